"""Telling people how their analyses ended: urgent results at once, all else at most once in a while, with a count."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from codetect_shared.bus import Envelope, Handler
from codetect_shared.db import Database
from codetect_shared.events import AnalysisCompleted, AnalysisFailed, Event
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.mails.asking import ask
from codetect_auth.mails.choosing import chosen
from codetect_auth.mails.kinds import Kind
from codetect_auth.mails.rows import Choice, ResultGroup
from codetect_auth.models import Facility, Person, Status
from codetect_auth.settings import MailerSettings

# What fails together is told together.
SETTLE_S = 20
WANTED = {Kind.ANALYSES_FAILED: {Choice.FAILURES, Choice.URGENT, Choice.ALL}, Kind.ANALYSES_COMPLETED: {Choice.ALL}}
LISTS = {Kind.ANALYSES_FAILED: "/analyses#status=failed", Kind.ANALYSES_COMPLETED: "/analyses"}


def handlers(settings: MailerSettings) -> Mapping[type[Event], Handler]:
    """What is done when an analysis has ended."""

    async def completed(session: AsyncSession, event: AnalysisCompleted, envelope: Envelope) -> None:
        person = await _person(session, envelope.facility_id, event.submitted_by)
        if person is None:
            return
        choice, _ = await chosen(session, person.id)
        if event.priority == "urgent" and choice in (Choice.URGENT, Choice.ALL):
            facility = await session.get_one(Facility, envelope.facility_id)
            await ask(
                session,
                settings.master_key,
                facility.id,
                Kind.ANALYSIS_COMPLETED,
                person.email,
                f"analysis/{event.analysis_id}/{envelope.id}",
                url=settings.url(facility.slug, f"/analyses/{event.analysis_id}"),
                model=event.model,
                completed_at=envelope.time.isoformat(),
            )
        else:
            await _group(session, settings, person, Kind.ANALYSES_COMPLETED, choice)

    async def failed(session: AsyncSession, event: AnalysisFailed, envelope: Envelope) -> None:
        person = await _person(session, envelope.facility_id, event.submitted_by)
        if person is not None:
            choice, _ = await chosen(session, person.id)
            await _group(session, settings, person, Kind.ANALYSES_FAILED, choice)

    return {AnalysisCompleted: completed, AnalysisFailed: failed}


async def tell_groups(db: Database, settings: MailerSettings) -> None:
    """Ask for a mail of each group whose time has come."""
    while await _tell_one(db, settings):
        pass


async def _person(session: AsyncSession, facility_id: UUID, subject: UUID | None) -> Person | None:
    """Who sent the study, if it is a person who may work here; an API client gets no mail."""
    if subject is None:
        return None
    mine = Person.id == subject, Person.facility_id == facility_id, Person.status == Status.ACTIVE
    return await session.scalar(select(Person).where(*mine))


async def _group(session: AsyncSession, settings: MailerSettings, person: Person, kind: Kind, choice: Choice) -> None:
    """Count it; the mail is due in a moment, or when the last one is old enough."""
    if choice not in WANTED[kind]:
        return
    now = func.clock_timestamp()
    soon = now + timedelta(seconds=SETTLE_S)
    later = func.greatest(soon, ResultGroup.asked_at + timedelta(minutes=settings.mail_group_minutes))
    new = {"person_id": person.id, "kind": kind, "facility_id": person.facility_id, "count": 1, "due_at": soon}
    counted = {"count": ResultGroup.count + 1, "due_at": func.coalesce(ResultGroup.due_at, later)}
    entered = insert(ResultGroup).values(new)
    await session.execute(entered.on_conflict_do_update(index_elements=["person_id", "kind"], set_=counted))


async def _tell_one(db: Database, settings: MailerSettings) -> bool:
    async with db.system() as session:
        due = select(ResultGroup).where(ResultGroup.due_at <= func.clock_timestamp()).order_by(ResultGroup.due_at)
        group = await session.scalar(due.limit(1).with_for_update(skip_locked=True))
        if group is None:
            return False
        count, group.count, group.number, group.due_at = group.count, 0, group.number + 1, None
        person = await _person(session, group.facility_id, group.person_id)
        choice, _ = await chosen(session, group.person_id)
        kind = Kind(group.kind)
        if person is None or choice not in WANTED[kind]:
            return True
        group.asked_at = func.clock_timestamp()
        facility = await session.get_one(Facility, group.facility_id)
        await ask(
            session,
            settings.master_key,
            facility.id,
            kind,
            person.email,
            f"{kind}/{person.id}/{group.number}",
            url=settings.url(facility.slug, LISTS[kind]),
            count=count,
        )
        return True
