"""Comments are sealed with the facility's key, which the master key seals; each opens for its own row alone."""

import os
from uuid import UUID

from codetect_shared.db import opened
from codetect_shared.identifiers import refuse_identifiers
from codetect_shared.sealing import Sealed, reseal, seal, unseal
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference.feedback.models import FacilityKey, Opinion, Ruling
from codetect_inference.settings import Settings

KEY_BYTES = 32
SEALED = Sealed("facility_keys", "sealed_key", "'facility/' || facility_id", id="facility_id")


async def facility_key(session: AsyncSession, facility_id: UUID, master_key: bytes) -> bytes:
    """The facility's key, made at its first use. Raises InvalidTag when no master key opens it."""
    wanted, owner = select(FacilityKey.sealed_key), f"facility/{facility_id}"
    found = await session.scalar(wanted.where(FacilityKey.facility_id == facility_id))
    if found is None:
        fresh = {"facility_id": facility_id, "sealed_key": seal(master_key, os.urandom(KEY_BYTES), owner)}
        await session.execute(insert(FacilityKey).values(fresh).on_conflict_do_nothing())
        found = (await session.scalars(wanted.where(FacilityKey.facility_id == facility_id))).one()
    return unseal(master_key, found, owner)


def seal_comment(key: bytes, row: Opinion | Ruling, comment: str) -> None:
    """Keep a comment in its row, whose id it is bound to. Raises HoldsIdentifier."""
    refuse_identifiers("comment", comment)
    row.sealed_comment = seal(key, comment.encode(), f"{row.__tablename__}/{row.id}")


def open_comment(key: bytes, row: Opinion | Ruling) -> str | None:
    """What was sealed."""
    if row.sealed_comment is None:
        return None
    return unseal(key, row.sealed_comment, f"{row.__tablename__}/{row.id}").decode()


async def reseal_all(settings: Settings) -> int:
    """Seal facilities' keys anew that an old master key had sealed: the command `reseal`."""
    async with opened(settings.database_url, settings.database_system_url) as db, db.system() as session:
        return await reseal(session, settings.master_key, SEALED)
