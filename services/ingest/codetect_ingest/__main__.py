"""`python -m codetect_ingest api | importer | migrate | reseal | rotate-keys`"""

import os
import sys


def main(arguments: list[str]) -> None:
    """Run the process or the command that is named; imports wait, since the importer's children import this module."""
    from codetect_shared.serving import serve

    from codetect_ingest import app
    from codetect_ingest.settings import Settings

    match arguments:
        case ["api"]:
            settings = Settings()
            serve(app.api(settings), settings)
        case ["importer"]:
            settings = Settings()
            serve(app.importer(settings), settings)
        case ["migrate"]:
            from codetect_shared.migrations import migrate  # Alembic is 11 MB that running processes don't need

            migrate("codetect_ingest", os.environ["CODETECT_INGEST_DATABASE_OWNER_URL"])
        case ["reseal"]:
            import asyncio

            from codetect_ingest.keys import rewrap_all

            print(asyncio.run(rewrap_all(Settings())), "facilities' keys were wrapped anew.")
        case ["rotate-keys", *options]:
            from codetect_ingest import rotating

            rotating.main(options)
        case _:
            raise SystemExit("Usage: python -m codetect_ingest api | importer | migrate | reseal | rotate-keys")


if __name__ == "__main__":
    main(sys.argv[1:])
