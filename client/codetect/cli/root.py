"""What every command shares: which facility and whose credentials, exit codes, how text is printed."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel, ValidationError

from codetect import store
from codetect.api import address
from codetect.client import Client
from codetect.credentials import ApiClient, Credentials, Person
from codetect.errors import CodetectError, LoginRequired

DISCLAIMER = "Not a medical device. Not for clinical use."
INTERRUPTED = 130
T = TypeVar("T")

app = typer.Typer(
    name="codetect",
    help=f"Submit CT studies to a CoDetect facility, and read what it found.\n\n{DISCLAIMER}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

FacilityOption = Annotated[
    str | None,
    typer.Option(
        "--facility",
        metavar="URL",
        envvar="CODETECT_FACILITY",
        help="The facility's address. Default: that of the last login, or of the local demo.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Exit(IntEnum):
    """Exit codes; 2, wrong usage, is Typer's own."""

    DONE = 0
    FAILED = 1


class Operator(BaseModel):
    """The demo's operator."""

    url: str
    email: str
    password: str
    totp_secret: str


class DemoApiClient(BaseModel):
    """The demo facility's API client."""

    client_id: str
    client_secret: str


class Demo(BaseModel):
    """`.local/demo.json`, which `make demo` writes."""

    url: str
    operator: Operator
    api_client: DemoApiClient


def client(facility: str | None, *, operator: bool = False, patience_s: float = 10) -> Client:
    """A client for the facility that is meant, with the first credentials there are for it."""
    demo = find_demo()
    ours = (demo.operator.url if operator else demo.url) if demo else None
    url = facility or (None if operator else store.read().default) or ours or store.read().default
    if url is None:
        raise LoginRequired("No facility is named: use --facility URL, or `codetect login URL`.")
    return Client(url, _credentials(address(url), demo), patience_s=patience_s)


def _credentials(url: str, demo: Demo | None) -> Credentials:
    if url in store.read().logins:
        return store.StoredLogin(url)
    client_id, secret = os.environ.get("CODETECT_CLIENT_ID"), os.environ.get("CODETECT_CLIENT_SECRET")
    if client_id and secret:
        return ApiClient(client_id, secret)
    if demo and url == address(demo.operator.url):
        return Person(demo.operator.email, demo.operator.password, demo.operator.totp_secret)
    if demo and url == address(demo.url):
        return ApiClient(demo.api_client.client_id, demo.api_client.client_secret)
    raise LoginRequired(
        f"There are no credentials for {url}: run `codetect login {url}`, or set CODETECT_CLIENT_ID and "
        "CODETECT_CLIENT_SECRET."
    )


def find_demo() -> Demo | None:
    """The demo of the folder one is in, or of one above it."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        try:
            return Demo.model_validate_json((folder / ".local" / "demo.json").read_bytes())
        except (OSError, ValidationError):
            continue
    return None


def run(work: Coroutine[Any, Any, T], interrupted: str = "") -> T:
    """Run to the end; what can be explained ends the command with a sentence instead of a traceback."""
    try:
        return asyncio.run(work)
    except CodetectError as error:
        fail(str(error))
    except KeyboardInterrupt:
        if interrupted:
            complain(interrupted)
        raise typer.Exit(INTERRUPTED) from None


def fail(message: str) -> NoReturn:
    """End with a reason."""
    complain(message)
    raise typer.Exit(Exit.FAILED)


def complain(message: str) -> None:
    """A line on stderr."""
    print(printable(message), file=sys.stderr, flush=True)


def say(line: str = "") -> None:
    """A line on stdout."""
    print(printable(line), flush=True)


def printable(text: str) -> str:
    """Text that can't command the terminal: file names and tags come from others."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
