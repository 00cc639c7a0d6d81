"""Access tokens that must stop before their ten minutes are over."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession


async def refuse_access_tokens(
    session: AsyncSession, facility_id: UUID, subject: UUID | None = None, session_id: UUID | None = None
) -> None:
    """In the transaction of what ends them: a facility's tokens, somebody's, or those of one login.

    All that auth itself decides on (logins, refreshes, API clients' tokens) looks at the rows and needs no refusal.
    """
