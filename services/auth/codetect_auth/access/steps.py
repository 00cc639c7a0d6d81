"""Who did what, when: a row for each step of somebody's way in and of what admins and operators do, kept for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from codetect_shared.tokens import Principal, Role
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import AccessStep, Person

About = Literal["access_request", "invitation", "person", "facility", "api_client"]


@dataclass(frozen=True)
class By:
    """Who takes a step: a role, or `link` (whoever has the mailed link), `clock` or `command`; `name` is for mails.

    `principal` is who is logged in, for the audit trail.
    """

    role: str
    id: UUID | None = None
    name: str = "CoDetect"
    principal: Principal | None = None


FACTORS_RESET = "factors reset"
LINK, CLOCK, COMMAND = By("link"), By("clock"), By("command", name="an operator")


async def by(session: AsyncSession, principal: Principal) -> By:
    """The person an access token speaks for; an operator who acts in a facility is named by that alone."""
    id = UUID(principal.subject)
    if principal.role is Role.OPERATOR:
        return By(Role.OPERATOR.value, id, "an operator", principal)
    name = await session.scalar(select(Person.name).where(Person.id == id))
    return By(principal.role.value, id, name or "an admin", principal)


async def record(
    session: AsyncSession,
    facility_id: UUID,
    about: About,
    about_id: UUID,
    step: str,
    by: By,
    *,
    was: str | None = None,
    now: str | None = None,
    reason: str | None = None,
) -> None:
    """Write a step down, in the transaction that takes it."""
    row = {"facility_id": facility_id, "about": about, "about_id": about_id, "step": step, "was": was, "now": now}
    await session.execute(insert(AccessStep).values(**row, by_id=by.id, by_role=by.role, reason=reason))


async def was_taken(session: AsyncSession, about_id: UUID, step: str) -> bool:
    """Whether this step stands in the session's facility's list about somebody or something."""
    taken = select(AccessStep.id).where(AccessStep.about_id == about_id, AccessStep.step == step)
    return await session.scalar(taken.limit(1)) is not None


async def list_steps(
    session: AsyncSession, by_role: str | None, about_id: UUID | None, before: int | None, limit: int
) -> Sequence[AccessStep]:
    """The session's facility's steps, the latest first."""
    statement = select(AccessStep).order_by(AccessStep.id.desc()).limit(limit)
    if by_role:
        statement = statement.where(AccessStep.by_role == by_role)
    if about_id:
        statement = statement.where(AccessStep.about_id == about_id)
    if before:
        statement = statement.where(AccessStep.id < before)
    return (await session.scalars(statement)).all()
