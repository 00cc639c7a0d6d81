"""python -m codetect_analytics api | projector | rebuild | migrate"""

import asyncio
import os
import sys

from codetect_shared import outbox, telemetry
from codetect_shared.serving import serve

from codetect_analytics import app, rebuild
from codetect_analytics.settings import ProjectorSettings, Settings


async def rebuild_figures(settings: Settings) -> None:
    """Make the figures anew while everything runs."""
    telemetry.configure(settings, "rebuild")
    db = await outbox.connect_directly(settings.database_system_url)
    try:
        await rebuild.rebuild(db, app.app_role(settings))
    finally:
        await db.close()


def main(command: str) -> None:
    """Run one process."""
    match command:
        case "api":
            settings = Settings()
            serve(app.api(settings), settings)
        case "projector":
            settings = ProjectorSettings()
            serve(app.projector(settings), settings)
        case "rebuild":
            asyncio.run(rebuild_figures(Settings()))
        case "migrate":
            from codetect_shared.migrations import migrate  # Alembic is 11 MB that running processes don't need

            migrate("codetect_analytics", os.environ["CODETECT_ANALYTICS_DATABASE_OWNER_URL"])
        case _:
            raise SystemExit(f"Usage: {__doc__}")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]))
