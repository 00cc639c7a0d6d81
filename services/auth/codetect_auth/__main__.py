"""`python -m codetect_auth api | mailer | migrate | admin ...`; each imports only what it needs."""

import os
import sys


def main(arguments: list[str]) -> None:
    """Run the process or the command that is named."""
    match arguments:
        case ["api"]:
            from codetect_shared.serving import serve

            from codetect_auth.app import api
            from codetect_auth.settings import Settings

            settings = Settings()
            serve(api(settings), settings)
        case ["mailer"]:
            from codetect_shared.serving import serve

            from codetect_auth.mails.app import mailer
            from codetect_auth.settings import MailerSettings

            mailer_settings = MailerSettings()
            serve(mailer(mailer_settings), mailer_settings)
        case ["migrate"]:
            from codetect_shared.migrations import migrate

            migrate("codetect_auth", os.environ["CODETECT_AUTH_DATABASE_OWNER_URL"])
        case ["admin", *rest]:
            from codetect_auth import admin

            admin.run(rest)
        case _:
            raise SystemExit("Usage: python -m codetect_auth api | mailer | migrate | admin --help")


if __name__ == "__main__":
    main(sys.argv[1:])
