"""Commands of the machine's owner: `python -m codetect_auth admin --help`.

They write to the database with the service's own settings, so whoever runs them has the keys of the house already.
Exit codes: 0 done, 1 refused (the reason is on stderr), 2 wrong usage, 3 it exists already.
"""

import argparse
import asyncio
import json
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import pyotp
from codetect_shared.db import opened
from codetect_shared.problems import BadInput, Problem
from codetect_shared.tokens import Right, Role, Scope
from pydantic import ValidationError

from codetect_auth import (
    clients,
    facilities,
    mail_admin,
    members,
    people,
    recording,
    resealing,
    second_factor,
    strength,
    throttle,
)
from codetect_auth.access.steps import COMMAND
from codetect_auth.admin_access import add_commands, facility_named
from codetect_auth.context import Auth
from codetect_auth.keys import SigningKeys
from codetect_auth.models import Facility, Person
from codetect_auth.passwords import Passwords
from codetect_auth.settings import Settings
from codetect_auth.trail import commands as trail

EXISTS = 3
RIGHTS: tuple[Right, ...] = get_args(Right)


def run(arguments: list[str]) -> None:
    """Parse, do, print, exit."""
    options = _parser().parse_args(arguments)
    try:
        result = asyncio.run(_do(options))
    except Problem as problem:
        print(problem.detail or problem.title(), file=sys.stderr)
        exists = isinstance(problem, people.FacilityExists | people.PersonExists)
        raise SystemExit(EXISTS if exists else 1) from None
    except ValidationError as error:
        missing = ", ".join(str(item["loc"][0]) for item in error.errors())
        raise SystemExit(f"The service's settings are not all in the environment: {missing}") from None
    if options.json:
        print(json.dumps(result))
    elif show := getattr(options, "show", None):
        show(result)
    else:
        for name, value in result.items():
            print(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    if result.get("ok") is False or getattr(options, "failed", False):
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="print one JSON object")
    person = argparse.ArgumentParser(add_help=False)
    person.add_argument("--email", required=True)
    person.add_argument("--name", required=True)
    person.add_argument("--password-stdin", action="store_true", help="read the password; else one is made and printed")
    person.add_argument("--with-totp", action="store_true", help="set up the second factor now, and print it")
    facility = argparse.ArgumentParser(add_help=False)
    facility.add_argument("--facility", required=True, metavar="SLUG")

    parser = argparse.ArgumentParser("python -m codetect_auth admin", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Any, help: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help, parents=[common, *parents])
        added.set_defaults(do=do)
        return added

    opened = command("create-facility", _create_facility, "Open a facility with a host name of its own.")
    opened.add_argument("--slug", required=True)
    opened.add_argument("--name", required=True)
    opened.add_argument("--mail-domain", action="append", default=[], metavar="DOMAIN", help="none: any")
    opened.add_argument("--retention-days", type=int, help="its admins may change it; none: for good")
    opened.add_argument("--profile", choices=["seal", "forget"], help="what becomes of identities")
    opened.add_argument("--first-admin", nargs=2, metavar=("EMAIL", "NAME"), help="is sent an invitation")
    command("create-operator", _create_operator, "Add an operator of the whole platform.", person)
    added = command("create-person", _create_person, "Add a person to a facility.", facility, person)
    added.add_argument("--role", required=True, choices=["admin", "member", "viewer"])
    added.add_argument("--right", action="append", type=Scope, choices=RIGHTS, default=[], help="beyond the role")
    granted = command("grant", _grant, "Give a person rights beyond the role, or take them.", facility)
    granted.add_argument("--email", required=True)
    granted.add_argument("--right", action="append", type=Scope, choices=RIGHTS, default=[])
    granted.add_argument("--revoke", action="append", type=Scope, choices=RIGHTS, default=[])
    client = command(
        "create-api-client", _create_api_client, "Make an API client; its secret is printed once.", facility
    )
    client.add_argument("--name", required=True)
    client.add_argument("--scope", action="append", type=Scope, choices=list(Scope), help="default: read and write")
    keys = command("rotate-keys", _rotate_keys, "Sign access tokens with a new key, in a minute.")
    keys.add_argument("--revoke", metavar="KID", help="instead: refuse this key's tokens everywhere within a minute")
    command("reseal", _reseal, "After a change of the master key: seal anew what the one before had sealed.")
    unlock = command("unlock", _unlock, "Let a person try to log in again at once.", facility)
    unlock.add_argument("--email", required=True)
    trail.add(commands, common)
    add_commands(command, facility)
    mail_admin.add_commands(command, facility)
    return parser


@asynccontextmanager
async def _auth() -> AsyncIterator[Auth]:
    settings = Settings()
    passwords = Passwords(settings.hash_threads)
    try:
        async with opened(settings.database_url, settings.database_system_url) as db:
            yield Auth(settings, db, passwords, SigningKeys(db, settings.master_key))
    finally:
        passwords.close()


async def _do(options: argparse.Namespace) -> dict[str, Any]:
    async with _auth() as auth:
        result: dict[str, Any] = await options.do(auth, options)
        return result


async def _create_facility(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    if options.retention_days is not None and not 1 <= options.retention_days <= 36500:
        raise BadInput("Studies are kept for 1 to 36500 days.")
    first = tuple(options.first_admin) if options.first_admin else None
    wanted = (options.slug, options.name, options.mail_domain, options.retention_days, options.profile, first)
    facility = await facilities.open_facility(auth, facilities.Opening(*wanted), COMMAND)
    host = f"{facility.slug}.{auth.settings.base_domain}"
    return {"id": str(facility.id), "slug": facility.slug, "name": facility.name, "host": host}


async def _create_operator(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    try:
        facility = await people.open_facility(auth.db, recording.OPERATORS, "Operators")
    except people.FacilityExists:
        facility = await facility_named(auth, people.OPERATORS)
    return await _add_person(auth, options, facility, Role.OPERATOR)


async def _create_person(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    return await _add_person(auth, options, await facility_named(auth, options.facility), Role(options.role))


async def _create_api_client(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    facility = await facility_named(auth, options.facility)
    async with auth.db.facility(facility.id) as session:
        client, secret = await clients.create_client(
            session, facility.id, options.name, options.scope or [Scope.READ, Scope.WRITE]
        )
    return {"client_id": str(client.id), "client_secret": secret, "scopes": client.scopes, "facility": facility.slug}


async def _rotate_keys(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    return {"kid": await (auth.keys.revoke(options.revoke) if options.revoke else auth.keys.rotate())}


async def _reseal(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    return await resealing.reseal_all(auth.db, auth.settings.master_key)


async def _unlock(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    facility, key = await facility_named(auth, options.facility), people.email_key(options.email)
    async with auth.db.facility(facility.id) as session:
        person = await people.find_person(session, Person.email_key == key)
        account = throttle.account_key(str(facility.id), key, None)
        await throttle.clear(session, account, throttle.factor_key(person.id))
        await recording.record(session, recording.command(facility.id), "person.unlock", person)
    return {"id": str(person.id), "email": person.email}


async def _grant(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    facility, key = await facility_named(auth, options.facility), people.email_key(options.email)
    async with auth.db.facility(facility.id) as session:
        person = await people.find_person(session, Person.email_key == key)
        rights = {*person.rights, *options.right} - {*options.revoke}
        await members.change(auth, session, Person.id == person.id, COMMAND, rights=rights)
    return {"id": str(person.id), "email": person.email, "rights": person.rights}


async def _add_person(auth: Auth, options: argparse.Namespace, facility: Facility, role: Role) -> dict[str, Any]:
    password = sys.stdin.readline().rstrip("\r\n") if options.password_stdin else secrets.token_urlsafe(15)
    await strength.must_be_strong(auth, password, (options.email, options.name, facility.name, facility.slug))
    password_hash = await auth.passwords.hash(password)
    person = await people.add_person(
        auth.db, facility, options.email, options.name, role, password_hash, getattr(options, "right", [])
    )
    result = {"id": str(person.id), "email": person.email, "role": role.value, "facility": facility.slug}
    shown: dict[str, Any] = {} if options.password_stdin else {"password": password}
    if options.with_totp:
        secret = pyotp.random_base32()
        batch = await second_factor.make_recovery_codes(auth.passwords)
        async with auth.db.facility(facility.id) as session:
            second_factor.add_totp(session, auth.settings.master_key, person, secret, last_step=0)
            second_factor.add_recovery_codes(session, person, batch)
        shown |= {"totp_secret": secret, "recovery_codes": batch.codes}
    return result | shown
