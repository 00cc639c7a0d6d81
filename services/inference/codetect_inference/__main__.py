"""`python -m codetect_inference api|worker|migrate|reseal`."""

import os
import sys

from codetect_shared.serving import serve

from codetect_inference.settings import Settings, WorkerSettings


def main() -> None:
    """Run one process, or bring the database up to date; each imports only what it runs."""
    match sys.argv[1:]:
        case ["api"]:
            from codetect_inference.app import api

            serve(api(settings := Settings()), settings)
        case ["worker"]:
            from codetect_inference.worker import app

            serve(app(settings := WorkerSettings()), settings)
        case ["migrate"]:
            from codetect_shared.migrations import migrate  # Alembic is 11 MB that running processes don't need

            migrate("codetect_inference", os.environ["CODETECT_INFERENCE_DATABASE_OWNER_URL"])
        case ["reseal"]:
            import asyncio

            from codetect_inference.feedback.sealing import reseal_all

            print(asyncio.run(reseal_all(Settings())), "facilities' keys were sealed anew.")
        case _:
            raise SystemExit("Usage: python -m codetect_inference api|worker|migrate|reseal")


if __name__ == "__main__":
    main()
