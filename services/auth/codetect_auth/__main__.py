"""`python -m codetect_auth api | migrate | admin ...`; each imports what it needs, so that commands start quickly."""

import os
import sys


def main(arguments: list[str]) -> None:
    """Run the process or the command that is named."""
    match arguments:
        case ["api"]:
            from codetect_shared.app import serve

            from codetect_auth.app import api
            from codetect_auth.settings import Settings

            settings = Settings()
            serve(api(settings), settings)
        case ["migrate"]:
            from codetect_shared.migrations import migrate

            migrate("codetect_auth", os.environ["CODETECT_AUTH_DATABASE_OWNER_URL"])
        case ["admin", *rest]:
            from codetect_auth import admin

            admin.run(rest)
        case _:
            raise SystemExit("Usage: python -m codetect_auth api | migrate | admin --help")


if __name__ == "__main__":
    main(sys.argv[1:])
