"""`codetect login`, `logout`, `whoami`."""

import getpass
import sys
from typing import Annotated

import typer

from codetect import store
from codetect.api import address
from codetect.cli.root import FacilityOption, client, complain, fail, find_demo, run, say
from codetect.client import Client
from codetect.errors import CodetectError, LoginRequired, Refused
from codetect.models import Challenge, Tokens

access = typer.Typer()
CODE_TRIES = 3


@access.command()
def login(
    url: Annotated[str | None, typer.Argument(metavar="[URL]", help="The facility's address.")] = None,
    email: Annotated[str | None, typer.Option(help="Your e-mail address; asked for when missing.")] = None,
) -> None:
    """Log in with password and second factor; the login is kept in your configuration folder."""
    demo = find_demo()
    url = url or store.read().default or (demo.url if demo else None)
    if url is None:
        fail("Name the facility's address: codetect login URL")
    run(_login(url, email))


async def _login(url: str, email: str | None) -> None:
    async with Client(url) as facility:
        name = (await facility.facility()).name
        say(f"{name} ({facility.url})")
        email = email or _ask("E-mail address: ")
        challenge = await facility.log_in(email, _ask("Password: ", hidden=True))
        tokens = await (_enrol if challenge.enrolment_token else _confirm)(facility, challenge)
        await store.save(facility.url, tokens)
        say(f"You are logged in as {(await facility.me()).name}.")


async def step_up(facility: Client) -> None:
    """Ask for a code once more, before what is dangerous."""
    for attempt in range(1, CODE_TRIES + 1):
        code = _ask("Confirm that it is you. Code of your authenticator, or a recovery code: ")
        try:
            await store.prove(facility.url, await facility.step_up(code, _method(code)))
            return
        except Refused as error:
            if attempt == CODE_TRIES or error.code != "proof-refused":
                raise
            complain(str(error))


def _method(code: str) -> str:
    return "totp" if code.isdigit() and len(code) == 6 else "recovery_code"


async def _confirm(facility: Client, challenge: Challenge) -> Tokens:
    for attempt in range(1, CODE_TRIES + 1):
        code = _ask("Code of your authenticator, or a recovery code: ")
        try:
            return await facility.confirm(challenge, code, _method(code))
        except LoginRequired as error:
            if attempt == CODE_TRIES:
                raise
            complain(str(error))
    raise AssertionError


async def _enrol(facility: Client, challenge: Challenge) -> Tokens:
    enrolment = await facility.enrol(challenge)
    say("This is your first login: put this secret into your authenticator app, then type the code that it shows.")
    say(f"  secret  {enrolment.secret}")
    say(f"  URI     {enrolment.otpauth_uri}")
    for attempt in range(1, CODE_TRIES + 1):
        try:
            enrolled = await facility.confirm_enrolment(challenge, _ask("Code: "))
            break
        except CodetectError as error:
            if attempt == CODE_TRIES:
                raise
            complain(str(error))
    say("Keep these recovery codes in a safe place; each lets you in once, and they are not shown again:")
    for code in enrolled.recovery_codes:
        say(f"  {code}")
    return enrolled


@access.command()
def logout(facility: FacilityOption = None) -> None:
    """End the login, here and at the server."""
    url = facility or store.read().default
    if url is None:
        fail("Nobody is logged in.")
    run(_logout(address(url)))


async def _logout(url: str) -> None:
    refresh_token = await store.forget(url)
    if refresh_token is None:
        fail(f"Nobody is logged in to {url}.")
    async with Client(url, patience_s=5) as facility:
        await facility.log_out(refresh_token)
    say(f"You are logged out of {url}.")


@access.command()
def whoami(facility: FacilityOption = None) -> None:
    """Show the facility and who you are there."""

    async def show() -> None:
        async with client(facility) as door:
            me = await door.me()
            say(f"{me.name} ({me.role}) at {door.url}")

    run(show())


def _ask(question: str, *, hidden: bool = False) -> str:
    """From the terminal, or a line of what is piped in."""
    ask = getpass.getpass if hidden else input
    answer = ask(question) if sys.stdin.isatty() else sys.stdin.readline()
    if not answer.strip():
        fail(f"Nothing was given for: {question.rstrip(': ')}")
    return answer.rstrip("\r\n") if hidden else answer.strip()
