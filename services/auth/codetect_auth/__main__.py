"""`python -m codetect_auth api | migrate | admin ...`"""

import os
import sys

from codetect_shared.app import serve
from codetect_shared.migrations import migrate

from codetect_auth import admin
from codetect_auth.app import api
from codetect_auth.settings import Settings


def main(arguments: list[str]) -> None:
    """Run the process or the command that is named."""
    match arguments:
        case ["api"]:
            settings = Settings()
            serve(api(settings), settings)
        case ["migrate"]:
            migrate("codetect_auth", os.environ["CODETECT_AUTH_DATABASE_OWNER_URL"])
        case ["admin", *rest]:
            admin.run(rest)
        case _:
            raise SystemExit("Usage: python -m codetect_auth api | migrate | admin --help")


if __name__ == "__main__":
    main(sys.argv[1:])
