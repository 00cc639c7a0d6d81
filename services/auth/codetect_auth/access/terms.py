"""The terms of use: versions of a text, the highest in force; who agreed to which, and when."""

from uuid import UUID

from codetect_shared.db import one_at_a_time, uuid7
from codetect_shared.problems import Conflict, NotFound
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.context import Auth
from codetect_auth.models import Person, Terms, TermsAcceptance


class TermsChanged(Conflict):
    """These are not the terms in force; read the present ones (GET /api/v1/terms), then agree to their version."""


async def in_force(session: AsyncSession) -> Terms:
    """The terms that hold now."""
    return (await session.scalars(select(Terms).order_by(Terms.version.desc()).limit(1))).one()


async def show(session: AsyncSession, version: int) -> Terms:
    """A version of the terms, which may be an old one. Raises NotFound."""
    terms = await session.get(Terms, version)
    if terms is None:
        raise NotFound("There is no such version of the terms.")
    return terms


async def publish(auth: Auth, text: str, by: UUID | None) -> Terms:
    """A new version; everybody is asked at their next login."""
    async with auth.db.system() as session:
        await one_at_a_time(session, "terms")
        terms = Terms(version=(await in_force(session)).version + 1, text=text, published_by=by)
        session.add(terms)
        await session.flush()
        await session.refresh(terms)
        return terms


async def must_be_in_force(session: AsyncSession, version: int) -> None:
    """Raises TermsChanged when `version` isn't the present one."""
    present = (await in_force(session)).version
    if version != present:
        raise TermsChanged(f"Version {present} is in force.", version=present)


async def keep(session: AsyncSession, person: Person, version: int) -> None:
    """A person agrees to the terms in force; again is as good as once. Raises TermsChanged."""
    await must_be_in_force(session, version)
    new = {"id": uuid7(), "facility_id": person.facility_id, "person_id": person.id, "version": version}
    agree = insert(TermsAcceptance).values(new)
    await session.execute(agree.on_conflict_do_nothing(index_elements=["person_id", "version"]))


async def due(session: AsyncSession, person_id: UUID) -> int | None:
    """The version that a person has yet to agree to."""
    present = (await in_force(session)).version
    agreed = TermsAcceptance.person_id == person_id, TermsAcceptance.version == present
    return None if await session.scalar(select(TermsAcceptance.id).where(*agreed)) else present
