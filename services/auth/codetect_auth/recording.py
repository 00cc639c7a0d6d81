"""What auth writes into the audit trail, in the transaction of what it records (docs/audit.md)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from codetect_shared import audit
from codetect_shared.audit import Actor, Outcome
from codetect_shared.db import SET_FACILITY, AggregateRow, FacilityRow
from codetect_shared.events import Event
from codetect_shared.origin import NOWHERE, ORIGIN
from codetect_shared.outbox import tell
from codetect_shared.tokens import Principal
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import ApiClient, Facility, LoginChallenge, Person, Session

OPERATORS = "admin"


async def record(
    session: AsyncSession,
    who: Principal | Actor | Person | ApiClient | None,
    action: str,
    about: FacilityRow | str | None,
    *events: Event,
    outcome: Outcome = "success",
    session_id: UUID | None = None,
    once: bool = False,
    **detail: Any,
) -> None:
    """Tell `events` about a row, and write down who did what to it (`about`), in the transaction that changes it.

    `who` None: the person whom it is about, at the door itself; else a command. `once`: once a minute at most, where
    strangers could fill the trail. No names, no addresses in `detail`. Raises AuditUnavailable.
    """
    if events:
        assert isinstance(about, AggregateRow)
        await tell(session, about, *events)
    write = audit.record_once if once else audit.record
    actor = _there(_actor(who if who is not None else doer(about), session_id), about)
    await write(session, actor, action, target=_target(about), outcome=outcome, detail=detail)


ABOUT: ContextVar[UUID | None] = ContextVar("about", default=None)


def about(known: Person | LoginChallenge | None) -> None:
    """Whom a login is tried for, should it be refused."""
    person_id = known.person_id if isinstance(known, LoginChallenge) else known.id if known else None
    ABOUT.set(person_id)


def stranger(facility: Facility) -> Actor:
    """Somebody who hasn't proven who they are."""
    return Actor("anonymous", facility.id, "anonymous")


def command(facility_id: UUID) -> Actor:
    """Whoever runs commands on the platform's machine."""
    return Actor("command", facility_id, "operator")


async def record_for_platform(
    session: AsyncSession, who: Principal | Actor | None, action: str, *, target: Facility | str | None, **detail: Any
) -> None:
    """Write down what concerns the platform in the operators' trail; without operators there is nobody to read it."""
    async with among_operators(session) as operators:
        if operators is None:
            return
        actor = Actor(who.subject, operators, str(who.role), who.session_id) if who else command(operators)
        await record(session, actor, action, _target(target), **detail)


@asynccontextmanager
async def among_operators(session: AsyncSession) -> AsyncIterator[UUID | None]:
    """The transaction, in the operators' own facility for a while; None: there are no operators yet."""
    operators = await session.scalar(select(Facility.id).where(Facility.slug == OPERATORS))
    if operators is None:
        yield None
        return
    fenced = await session.scalar(text("SELECT current_setting('codetect.facility', true)"))
    await session.flush()
    await session.execute(SET_FACILITY, {"facility": str(operators)})
    yield operators
    await session.flush()
    await session.execute(SET_FACILITY, {"facility": fenced or ""})


def _actor(who: Principal | Actor | Person | ApiClient, session_id: UUID | None) -> Principal | Actor:
    match who:
        case Person():
            return Actor(str(who.id), who.facility_id, who.role, session_id)
        case ApiClient():
            return Actor(str(who.id), who.facility_id, "api_client")
        case _:
            return who


def _there(who: Principal | Actor, about: FacilityRow | str | None) -> Principal | Actor:
    """An operator's deed in a facility stands in that facility's trail."""
    if not isinstance(about, FacilityRow) or about.facility_id == who.facility_id:
        return who
    return Actor(who.subject, about.facility_id, str(who.role), who.session_id)


def doer(about: FacilityRow | str | None) -> Actor | Person:
    """Who does something when nobody is named: whoever is at the door, or a command, which comes from nowhere."""
    assert isinstance(about, FacilityRow)
    return about if isinstance(about, Person) and ORIGIN.get() != NOWHERE else command(about.facility_id)


def _target(about: FacilityRow | str | None) -> str | None:
    if not isinstance(about, FacilityRow):
        return about
    kinds: dict[type, str] = {Person: "person", ApiClient: "client", Session: "session", Facility: "facility"}
    return f"{kinds.get(type(about), type(about).__name__.lower())}/{about.id}"
