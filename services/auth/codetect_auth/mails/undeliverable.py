"""Addresses without a mailbox: mails to them stop until an admin says that there is one again."""

from collections.abc import Sequence
from uuid import UUID

from codetect_shared.problems import NotFound
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.mails.rows import UndeliverableAddress, address_key, address_keys


async def why(session: AsyncSession, master_key: bytes, address: str) -> str | None:
    """Why the session's facility sends nothing to this address, if it doesn't."""
    keys = address_keys(master_key, address)
    return await session.scalar(select(UndeliverableAddress.reason).where(UndeliverableAddress.address_key.in_(keys)))


async def mark(
    session: AsyncSession, master_key: bytes, facility_id: UUID, address: str, reason: str, mail_id: UUID
) -> None:
    """Send no more to it."""
    new = {
        "facility_id": facility_id,
        "address_key": address_key(master_key, address),
        "address": address,
        "reason": reason,
        "mail_id": mail_id,
    }
    await session.execute(insert(UndeliverableAddress).values(new).on_conflict_do_nothing())


async def list_addresses(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[UndeliverableAddress]:
    """Those of the session's facility, oldest first."""
    statement = select(UndeliverableAddress).order_by(UndeliverableAddress.id).limit(limit)
    return (await session.scalars(statement.where(UndeliverableAddress.id > after) if after else statement)).all()


async def forget(session: AsyncSession, master_key: bytes, address: str) -> bool:
    """Keep nothing of an address whose owner is gone; whether the session's facility had it."""
    theirs = UndeliverableAddress.address_key.in_(address_keys(master_key, address))
    forgotten = await session.execute(delete(UndeliverableAddress).where(theirs).returning(UndeliverableAddress.id))
    return forgotten.first() is not None


async def clear(session: AsyncSession, id: UUID) -> None:
    """Send to it again. Raises NotFound."""
    cleared = delete(UndeliverableAddress).where(UndeliverableAddress.id == id).returning(UndeliverableAddress.id)
    if (await session.execute(cleared)).first() is None:
        raise NotFound
