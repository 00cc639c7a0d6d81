"""`codetect admin ...`: commands of the machine's owner, which the auth service itself carries out."""

import importlib.util
import os
import sys
from typing import Annotated

import typer

administration = typer.Typer()
HERE = (
    "`codetect admin` works where the auth service is installed, with its settings in the environment.\n"
    "Run it there: in a container `python -m codetect_auth admin ...`."
)


@administration.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def admin(context: typer.Context, arguments: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Open facilities, invite people, change and suspend them (on the server itself; `codetect admin --help`)."""
    _ = context
    service = "CODETECT_AUTH_DATABASE_URL" in os.environ and importlib.util.find_spec("codetect_auth")
    local = importlib.util.find_spec("codetect_local")
    if not service and not local:
        typer.echo(HERE, err=True)
        raise typer.Exit(2)
    # The service's own command takes this process's place; the local stack knows where its services are.
    module = "codetect_auth" if service else "codetect_local"
    os.execv(sys.executable, [sys.executable, "-m", module, "admin", *(arguments or [])])  # noqa: S606
