"""Facilities and the people who belong to them."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

import email_validator
from codetect_shared.db import Database, uuid7
from codetect_shared.events import FacilityOpened, PersonAdded, PersonChanged
from codetect_shared.outbox import tell
from codetect_shared.problems import BadInput, Conflict, NotFound, Unauthenticated
from codetect_shared.tokens import Principal, Right, Role
from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import revocations
from codetect_auth.models import ApiClient, Facility, Person, Status
from codetect_auth.recording import OPERATORS as OPERATORS
from codetect_auth.recording import command, record

RESERVED_SLUGS = {"www", "api", "mail", "auth", "static"}
SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Hospitals have mail domains that aren't for the public Internet.
email_validator.SPECIAL_USE_DOMAIN_NAMES[:] = ["arpa", "invalid", "onion"]


class FacilityExists(Conflict):
    """There is a facility of this slug already."""


class PersonExists(Conflict):
    """Somebody with this e-mail address belongs to the facility already."""


def email_key(email: str) -> str:
    """What an address is found by: however its letters are written."""
    return unicodedata.normalize("NFKC", email.strip()).casefold()


def mailbox(email: str) -> email_validator.ValidatedEmail:
    """An address as it is written to. Raises BadInput."""
    try:
        return email_validator.validate_email(email, check_deliverability=False)
    except email_validator.EmailNotValidError as error:
        raise BadInput(f"This is no e-mail address: {error}") from None


async def open_facility(db: Database, slug: str, name: str, by: Principal | None = None) -> Facility:
    """A new facility with the host name `<slug>.<base domain>`."""
    must_be_slug(slug)
    id = uuid7()
    try:
        async with db.facility(id) as session:
            facility = await add_facility(session, id, slug, name)
            await record(session, by, "facility.open", facility)
            return facility
    except IntegrityError:
        raise FacilityExists from None


def must_be_slug(slug: str) -> None:
    """Raises BadInput for what can't be, or may not be, a host name's first part."""
    if not SLUG.fullmatch(slug) or slug in RESERVED_SLUGS:
        raise BadInput("A slug has 1 to 63 small letters, digits and inner hyphens, and isn't a reserved name.")


async def add_facility(
    session: AsyncSession,
    id: UUID,
    slug: str,
    name: str,
    mail_domains: Sequence[str] = (),
    retention_days: int | None = None,
    profile: Literal["seal", "forget"] | None = None,
    opened_by: UUID | None = None,
) -> Facility:
    """Enter a facility and tell of it; IntegrityError for a slug that is taken."""
    facility = Facility(id=id, facility_id=id, slug=slug, name=name, mail_domains=list(mail_domains))
    session.add(facility)
    told = FacilityOpened(
        facility_id=id, slug=slug, retention_days=retention_days, profile=profile, opened_by=opened_by
    )
    await tell(session, facility, told)
    return facility


async def list_facilities(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[Facility]:
    """Facilities in order of opening."""
    statement = select(Facility).order_by(Facility.id).limit(limit)
    return (await session.scalars(statement.where(Facility.id > after) if after else statement)).all()


async def add_person(
    db: Database,
    facility: Facility,
    email: str,
    name: str,
    role: Role,
    password_hash: str | None,
    rights: Iterable[Right] = (),
) -> Person:
    """Somebody new, who sets up a second factor at the first login."""
    if (role is Role.OPERATOR) != (facility.slug == OPERATORS) or role is Role.API_CLIENT:
        raise BadInput(f"Operators, and nobody else, belong to the facility `{OPERATORS}`.")
    address = mailbox(email).normalized
    person = Person(
        id=uuid7(),
        facility_id=facility.id,
        email=address,
        email_key=email_key(address),
        name=name,
        role=role,
        password_hash=password_hash,
        rights=sorted(set(rights)),
    )
    try:
        async with db.facility(facility.id) as session:
            session.add(person)
            await tell(session, person, PersonAdded(person_id=person.id, role=role))
            await record(session, command(facility.id), "person.add", person, role=role, rights=person.rights)
    except IntegrityError:
        raise PersonExists from None
    return person


async def list_people(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[Person]:
    """The session's facility's people in order of coming."""
    statement = select(Person).where(Person.status != Status.REMOVED).order_by(Person.id).limit(limit)
    return (await session.scalars(statement.where(Person.id > after) if after else statement)).all()


async def active_heads(session: AsyncSession) -> Sequence[Person]:
    """Who decides in the session's facility: its admins; in the operators' own, the operators."""
    deciding = Person.role.in_((Role.ADMIN, Role.OPERATOR)), Person.status == Status.ACTIVE
    return (await session.scalars(select(Person).where(*deciding).order_by(Person.id))).all()


async def find_person(session: AsyncSession, which: ColumnElement[bool]) -> Person:
    """One of the people of the session's facility, locked for a change. Raises NotFound."""
    person = (await session.scalars(select(Person).where(which).with_for_update())).one_or_none()
    if person is None:
        raise NotFound("The facility has no such person.")
    return person


async def change_rights(
    session: AsyncSession, person: Person, rights: Iterable[str], by: Principal | None = None
) -> None:
    """Give a person exactly these rights: access tokens with others are refused, the next refresh brings them."""
    changed = sorted(set(rights))
    if person.role == Role.OPERATOR and changed:
        raise BadInput("Operators belong to no hospital: there is nobody whom they could see.")
    if changed != person.rights:
        before, person.rights = person.rights, changed
        told = PersonChanged(person_id=person.id, changed_by=UUID(by.subject) if by else None)
        who = by or command(person.facility_id)
        await record(session, who, "person.rights", person, told, before=before, after=changed)
        await revocations.refuse(session, person.facility_id, person.id)


async def who_is(session: AsyncSession, principal: Principal) -> tuple[Person | ApiClient, Facility]:
    """The person or program behind an access token."""
    kind = ApiClient if principal.role is Role.API_CLIENT else Person
    who: Person | ApiClient | None = await session.get(kind, UUID(principal.subject))
    if who is None:
        raise Unauthenticated
    return who, await session.get_one(Facility, principal.facility_id)
