"""What people choose: which mails of analyses they get, and in which language."""

from uuid import UUID

from codetect_shared.problems import NotFound
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.mails.rows import DEFAULT_CHOICE, Choice, MailPreference, ResultGroup
from codetect_auth.mails.unsubscribing import person_of
from codetect_auth.models import Facility, Person


class LinkRefused(NotFound):
    """This link isn't one of ours, or not whole."""


async def chosen(session: AsyncSession, person_id: UUID) -> tuple[Choice, str | None]:
    """What somebody chose, or what holds until they do; and the language, None: the house's."""
    row = await session.get(MailPreference, person_id)
    return (Choice(row.analyses), row.language) if row else (DEFAULT_CHOICE, None)


async def choose(
    session: AsyncSession, facility_id: UUID, person_id: UUID, choice: Choice, **language: str | None
) -> None:
    """Choose anew; without `language` that stays as it is."""
    new = {"analyses": choice, **language, "changed_at": func.clock_timestamp()}
    entered = insert(MailPreference).values(person_id=person_id, facility_id=facility_id, **new)
    await session.execute(entered.on_conflict_do_update(index_elements=["person_id"], set_=new))


async def unsubscribe(session: AsyncSession, master_key: bytes, facility: Facility, token: str) -> None:
    """No more mails of analyses to the person whose token this is. Raises LinkRefused."""
    person_id = person_of(master_key, facility.id, token)
    if person_id is None:
        raise LinkRefused
    known = select(Person.id).where(Person.id == person_id, Person.facility_id == facility.id)
    if await session.scalar(known) is None:
        raise LinkRefused
    await choose(session, facility.id, person_id, Choice.NONE)
    await session.execute(delete(ResultGroup).where(ResultGroup.person_id == person_id))
