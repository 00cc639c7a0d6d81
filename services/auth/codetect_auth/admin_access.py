"""Commands about coming in: facilities, invitations, access requests, people, terms, API clients' secrets."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from codetect_shared.problems import BadInput, NotFound
from codetect_shared.tokens import Role
from sqlalchemy import select

from codetect_auth import clients, facilities, members, people, recording, resetting
from codetect_auth.access import invitations, reading, requests, terms
from codetect_auth.access.states import RequestState
from codetect_auth.access.steps import COMMAND, FACTORS_RESET, record
from codetect_auth.context import Auth
from codetect_auth.models import Facility, Person, Status

Command = Callable[..., argparse.ArgumentParser]
Result = dict[str, Any]


def add_commands(command: Command, facility: argparse.ArgumentParser) -> None:
    """Enter them into the parser; `facility` is the option that names one."""
    changed = command("change-facility", _change_facility, "Rename a facility or change its mail domains.", facility)
    changed.add_argument("--name")
    changed.add_argument("--mail-domain", action="append", metavar="DOMAIN", help="all of them; '' for any domain")
    for name, status, help in (
        ("suspend-facility", Status.SUSPENDED, "Let a facility's people work no longer, at once."),
        ("reactivate-facility", Status.ACTIVE, "Let the people of a suspended facility work again."),
    ):
        standing = command(name, _set_standing, help, facility)
        standing.add_argument("--reason", help="is kept for good, so name nobody in it; the facility's admins read it")
        standing.set_defaults(status=status)
    command("checklist", _checklist, "Say what a facility still lacks.", facility)

    invited = command("invite", _invite, "Invite somebody, or everybody in a CSV file, by mail.", facility)
    invited.add_argument("--email")
    invited.add_argument("--name")
    invited.add_argument("--role", choices=["admin", "member", "viewer", "operator"], default="member")
    invited.add_argument("--csv", type=Path, metavar="FILE", help="columns email, name, role")
    listed = command("access-requests", _list_requests, "Say who asks to come in.", facility)
    listed.add_argument("--status", type=RequestState, choices=list(RequestState), default=RequestState.CONFIRMED)
    approved = command("approve", _approve, "Let somebody in who asked.", facility)
    approved.add_argument("id", type=UUID)
    approved.add_argument("--role", choices=["admin", "member", "viewer"], help="a lesser one than was asked for")
    rejected = command("reject", _reject, "Refuse somebody who asked.", facility)
    rejected.add_argument("id", type=UUID)
    rejected.add_argument("--reason", required=True, help="they read it; kept for good, so name nobody in it")

    person = command("change-person", _change_person, "Give a person another role, or suspend them.", facility)
    person.add_argument("--email", required=True)
    person.add_argument("--role", choices=["admin", "member", "viewer"])
    person.add_argument("--status", type=Status, choices=[Status.ACTIVE, Status.SUSPENDED])
    removed = command("remove-person", _remove_person, "Let a person go, and forget name and address.", facility)
    removed.add_argument("--email", required=True)
    reset = command("reset-factors", _reset_factors, "Take away the second factors somebody lost.", facility)
    reset.add_argument("--email", required=True)
    reset.add_argument("--reason", required=True, help="they, admins and operators read it; kept, so name nobody in it")
    command("publish-terms", _publish_terms, "Publish new terms of use, read from standard input.")
    rotated = command("rotate-api-client", _rotate_client, "Give an API client another secret, printed once.", facility)
    rotated.add_argument("--client-id", type=UUID, required=True)
    rotated.add_argument("--grace-hours", type=int, choices=range(25), default=24, metavar="0..24")


async def facility_named(auth: Auth, slug: str) -> Facility:
    """The facility of this slug. Raises NotFound."""
    async with auth.db.system() as session:
        facility = (await session.scalars(select(Facility).where(Facility.slug == slug))).one_or_none()
    if facility is None:
        raise NotFound(f"There is no facility {slug!r}.")
    return facility


async def _change_facility(auth: Auth, options: argparse.Namespace) -> Result:
    if options.name is None and options.mail_domain is None:
        raise BadInput("Say --name or --mail-domain.")
    domains = None if options.mail_domain is None else [each for each in options.mail_domain if each]
    id = (await facility_named(auth, options.facility)).id
    facility = await facilities.change(auth, id, COMMAND, name=options.name, mail_domains=domains)
    return {"id": str(facility.id), "name": facility.name, "mail_domains": facility.mail_domains}


async def _set_standing(auth: Auth, options: argparse.Namespace) -> Result:
    id = (await facility_named(auth, options.facility)).id
    facility = await facilities.change(auth, id, COMMAND, status=options.status, reason=options.reason)
    return {"id": str(facility.id), "slug": facility.slug, "status": facility.status}


async def _checklist(auth: Auth, options: argparse.Namespace) -> Result:
    id = (await facility_named(auth, options.facility)).id
    async with facilities.inside(auth, id) as (session, facility):
        items = await facilities.checklist(session, facility)
    return {item.name: "done" if item.done else item.todo for item in items}


async def _invite(auth: Auth, options: argparse.Namespace) -> Result:
    if (options.csv is None) == (options.email is None or options.name is None):
        raise BadInput("Say --email and --name, or --csv.")
    if options.csv:
        wanted = reading.from_csv(options.csv.read_bytes())
    else:
        wanted = [invitations.Wanted(options.email, options.name, options.role)]
    id = (await facility_named(auth, options.facility)).id
    async with facilities.inside(auth, id) as (session, facility):
        outcomes = await invitations.invite(auth, session, facility, wanted, COMMAND)
        await facilities.tell_admins(session, facility, "people invited", COMMAND)
    return {each.email: each.outcome + (f": {each.detail}" if each.detail else "") for each in outcomes}


async def _list_requests(auth: Auth, options: argparse.Namespace) -> Result:
    id = (await facility_named(auth, options.facility)).id
    async with auth.db.facility(id) as session:
        rows = await requests.list_requests(session, options.status, None, 200)
    return {str(row.id): f"{row.role}, {row.name} <{row.email}>: {row.reason}" for row in rows}


async def _approve(auth: Auth, options: argparse.Namespace) -> Result:
    id = (await facility_named(auth, options.facility)).id
    role = Role(options.role) if options.role else None
    async with facilities.inside(auth, id) as (session, facility):
        made = await requests.approve(auth, session, facility, options.id, role, COMMAND)
        await facilities.tell_admins(session, facility, "access request approved", COMMAND)
    return {"invitation": str(made.id), "email": made.email, "role": made.role}


async def _reject(auth: Auth, options: argparse.Namespace) -> Result:
    id = (await facility_named(auth, options.facility)).id
    async with facilities.inside(auth, id) as (session, facility):
        row = await requests.reject(auth, session, facility, options.id, options.reason, COMMAND)
        await facilities.tell_admins(session, facility, "access request rejected", COMMAND)
    return {"id": str(row.id), "email": row.email, "state": row.state}


async def _change_person(auth: Auth, options: argparse.Namespace) -> Result:
    if options.role is None and options.status is None:
        raise BadInput("Say --role or --status.")
    id, role = (await facility_named(auth, options.facility)).id, Role(options.role) if options.role else None
    key = people.email_key(options.email)
    async with facilities.inside(auth, id) as (session, facility):
        which = Person.email_key == key
        person = await members.change(auth, session, which, COMMAND, role=role, status=options.status)
        await facilities.tell_admins(session, facility, "member changed", COMMAND)
    return {"id": str(person.id), "email": person.email, "role": person.role, "status": person.status}


async def _remove_person(auth: Auth, options: argparse.Namespace) -> Result:
    id, key = (await facility_named(auth, options.facility)).id, people.email_key(options.email)
    async with facilities.inside(auth, id) as (session, facility):
        await members.remove(auth, session, Person.email_key == key, COMMAND)
        await facilities.tell_admins(session, facility, "member removed", COMMAND)
    return {"removed": options.email}


async def _reset_factors(auth: Auth, options: argparse.Namespace) -> Result:
    id, key = (await facility_named(auth, options.facility)).id, people.email_key(options.email)
    async with facilities.inside(auth, id) as (session, facility):
        person = await members.hold(session, Person.email_key == key)
        await resetting.reset(auth, session, person, COMMAND, options.reason)
        await facilities.tell_admins(session, facility, FACTORS_RESET, COMMAND)
    return {"id": str(person.id), "email": person.email}


async def _publish_terms(auth: Auth, _: argparse.Namespace) -> Result:
    text = sys.stdin.read().strip()
    if not text:
        raise BadInput("Standard input held no text.")
    return {"version": (await terms.publish(auth, text, None)).version}


async def _rotate_client(auth: Auth, options: argparse.Namespace) -> Result:
    facility = await facility_named(auth, options.facility)
    async with auth.db.facility(facility.id) as session:
        client, secret = await clients.rotate_client(session, options.client_id, options.grace_hours)
        await record(session, facility.id, "api_client", client.id, "rotated", COMMAND)
        await recording.record(session, None, "client.rotate", client)
        await clients.tell_owner(auth, session, client, "rotated", f"rotated/{client.rotated_at}")
    return {"client_id": str(client.id), "client_secret": secret, "expires_at": f"{client.expires_at:%Y-%m-%d}"}
