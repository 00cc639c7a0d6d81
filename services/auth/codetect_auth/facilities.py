"""What operators do with facilities: open them, change them, suspend them, and see what a new one still lacks."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from codetect_shared.bus import Envelope, Handler
from codetect_shared.db import uuid7
from codetect_shared.events import (
    AnalysisCompleted,
    Event,
    FacilityAdministered,
    FacilityChanged,
    FacilityReactivated,
    FacilitySuspended,
    SettingsChanged,
)
from codetect_shared.problems import BadInput, Conflict, NotFound
from codetect_shared.tokens import Role
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import people, recording, revocations
from codetect_auth.access import invitations
from codetect_auth.access.states import InvitationState, RequestState
from codetect_auth.access.steps import By, record
from codetect_auth.context import Auth
from codetect_auth.models import AccessStep, Facility, Person, Session, Status

DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])")
MOST_DOMAINS = 50


class OperatorsStay(Conflict):
    """The operators' own facility can't be suspended: nobody could take it back."""


@dataclass(frozen=True)
class Opening:
    """A facility to open. Retention and profile are ingest's to keep; it is told."""

    slug: str
    name: str
    mail_domains: Sequence[str] = ()
    retention_days: int | None = None
    profile: Literal["seal", "forget"] | None = None
    first_admin: tuple[str, str] | None = None  # address, name


@dataclass(frozen=True)
class Item:
    """One line of the checklist."""

    name: str
    done: bool
    todo: str


async def open_facility(auth: Auth, new: Opening, by: By) -> Facility:
    """Open it and invite its first admin, both or neither. Raises BadInput, FacilityExists."""
    people.must_be_slug(new.slug)
    id = uuid7()
    try:
        async with auth.db.facility(id) as session:
            facility = await people.add_facility(
                session, id, new.slug, new.name, domains(new.mail_domains), new.retention_days, new.profile, by.id
            )
            await record(session, id, "facility", id, "opened", by, now=Status.ACTIVE)
            await recording.record(session, by.principal, "facility.open", facility)
            await recording.record_for_platform(session, by.principal, "facility.open", target=facility)
            if new.first_admin:
                await _invite(auth, session, facility, *new.first_admin, by)
    except IntegrityError:
        raise people.FacilityExists from None
    return facility


async def invite_admin(auth: Auth, facility_id: UUID, email: str, name: str, by: By) -> invitations.Outcome:
    """Invite somebody to be a facility's admin. Raises NotFound, BadInput, AlreadyInvited, PersonExists."""
    async with inside(auth, facility_id) as (session, facility):
        return await _invite(auth, session, facility, email, name, by)


async def _invite(
    auth: Auth, session: AsyncSession, facility: Facility, email: str, name: str, by: By
) -> invitations.Outcome:
    role = Role.OPERATOR if facility.slug == people.OPERATORS else Role.ADMIN
    wanted = invitations.Wanted(email, name, role)
    [outcome] = await invitations.invite(auth, session, facility, [wanted], by, role)
    if outcome.outcome == "already_invited":
        raise invitations.AlreadyInvited
    if outcome.outcome == "already_member":
        raise people.PersonExists
    if outcome.outcome == "refused":
        raise BadInput(outcome.detail)
    await tell_admins(session, facility, "admin invited", by)
    return outcome


async def tell_admins(session: AsyncSession, facility: Facility, step: str, by: By) -> None:
    """An event of what an operator did in a facility; the step itself is in the facility's list."""
    told = FacilityAdministered(facility_id=facility.id, step=step, by=by.id)
    await recording.record(session, by.principal, "facility.administer", facility, told, step=step)


@asynccontextmanager
async def inside(auth: Auth, facility_id: UUID) -> AsyncIterator[tuple[AsyncSession, Facility]]:
    """A transaction in another facility than the operators' own. Raises NotFound."""
    async with auth.db.facility(facility_id) as session:
        facility = await session.get(Facility, facility_id, with_for_update={"key_share": True})
        if facility is None:
            raise NotFound("There is no such facility.")
        yield session, facility


async def change(
    auth: Auth,
    facility_id: UUID,
    by: By,
    *,
    name: str | None = None,
    mail_domains: Sequence[str] | None = None,
    status: Status | None = None,
    reason: str | None = None,
) -> Facility:
    """Rename a facility, change its mail domains, suspend or reactivate it. Raises NotFound, BadInput."""
    async with inside(auth, facility_id) as (session, facility):
        steps = []
        if name is not None and name != facility.name:
            steps.append(("renamed", facility.name, name))
            facility.name = name
        if mail_domains is not None and (wanted := domains(mail_domains)) != facility.mail_domains:
            steps.append(("mail domains", " ".join(facility.mail_domains), " ".join(wanted)))
            facility.mail_domains = wanted
        for step, was, now in steps:
            await record(session, facility_id, "facility", facility_id, step, by, was=was, now=now, reason=reason)
        if steps:
            told = FacilityChanged(facility_id=facility_id, changed_by=by.id)
            await recording.record(session, by.principal, "facility.change", facility, told)
        if status is not None and status != facility.status:
            await _set_status(session, facility, status, by, reason)
        return facility


async def _set_status(session: AsyncSession, facility: Facility, status: Status, by: By, reason: str | None) -> None:
    """Logins, refreshes and API clients look at this row; gateways and ingest are told."""
    if facility.slug == people.OPERATORS:
        raise OperatorsStay
    was, facility.status = facility.status, status.value
    id = facility.id
    step = "suspended" if status is Status.SUSPENDED else "reactivated"
    await record(session, id, "facility", id, step, by, was=was, now=status.value, reason=reason)
    if status is Status.SUSPENDED:
        await revocations.refuse(session, id)
    told = (FacilitySuspended if status is Status.SUSPENDED else FacilityReactivated)(facility_id=id)
    action = "facility.suspend" if status is Status.SUSPENDED else "facility.reactivate"
    await recording.record(session, by.principal, action, facility, told)


def domains(given: Sequence[str]) -> list[str]:
    """Mail domains as they are kept: none means that any will do. Raises BadInput."""
    found = sorted({each.strip().removeprefix("@").casefold() for each in given})
    if len(found) > MOST_DOMAINS or not all(len(each) <= 253 and DOMAIN.fullmatch(each) for each in found):
        raise BadInput(f"Mail domains are at most {MOST_DOMAINS} names such as hospital.example.")
    return found


async def checklist(session: AsyncSession, facility: Facility) -> list[Item]:
    """What a new facility still lacks, from what is known here."""
    admins = Person.role == Role.ADMIN, Person.status == Status.ACTIVE
    count = await session.scalar(select(func.count()).select_from(Person).where(*admins)) or 0
    logins = select(Session.id).join(Person, Person.id == Session.person_id).where(*admins).limit(1)
    by_mail = AccessStep.now.in_((RequestState.CONFIRMED, InvitationState.ACCEPTED)), AccessStep.by_role == "link"
    mail = await session.scalar(select(AccessStep.id).where(*by_mail).limit(1))
    lasts = facility.retention_days is not None
    return [
        Item("admin_logged_in", await session.scalar(logins) is not None, "Invite an admin, who then logs in."),
        Item("second_admin", count >= 2, "Have a second admin: one alone who loses the second factor is locked out."),
        Item("mail_works", mail is not None, "Nobody has used a link from a mail yet; check that mail arrives."),
        Item("mail_domains_set", bool(facility.mail_domains), "Say which mail domains people may have."),
        Item("retention_set", lasts, "Say for how many days studies are kept; they are kept for good now."),
        Item("study_analysed", facility.first_analysed_at is not None, "Send a test study, and see its result."),
    ]


def handlers() -> dict[type[Event], Handler]:
    """What other services tell of facilities."""
    return {SettingsChanged: on_settings_changed, AnalysisCompleted: on_analysis_completed}


async def on_settings_changed(session: AsyncSession, event: SettingsChanged, envelope: Envelope) -> None:
    """Keep what ingest says, unless something newer is known."""
    older = Facility.id == event.facility_id, Facility.settings_sequence < envelope.sequence
    said = {"retention_days": event.retention_days, "profile": event.profile, "settings_sequence": envelope.sequence}
    await session.execute(update(Facility).where(*older).values(said))


async def on_analysis_completed(session: AsyncSession, event: AnalysisCompleted, envelope: Envelope) -> None:
    """Keep when the first analysis was done."""
    first = Facility.id == envelope.facility_id, Facility.first_analysed_at.is_(None)
    await session.execute(update(Facility).where(*first).values(first_analysed_at=envelope.time))
