"""Removing what was kept long enough: the one way in which rows leave a chain, and only its owner's.

The chain's head says where it starts from then on, under the same MAC as its end: who removes rows in another way
leaves a start that doesn't fit.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from codetect_shared.db import SET_FACILITY, engine_of
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.pool import NullPool

from codetect_auth.trail.linking import Head, open_key
from codetect_auth.trail.tables import chain, heads

ALLOW = text("SELECT set_config('codetect.audit_chain_retention', 'on', true)")


async def forget(owner_url: str, master_key: bytes, facilities: Sequence[UUID], before: datetime) -> int:
    """Remove rows from before a time, each chain in its own transaction; its newest row always stays."""
    engine = engine_of(owner_url, poolclass=NullPool)
    removed, c, until = 0, chain.c, before.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    try:
        for facility_id in facilities:
            async with engine.begin() as session:
                await session.execute(SET_FACILITY, {"facility": str(facility_id)})
                mine = heads.c.facility_id == facility_id
                row = (await session.execute(select(heads).where(mine).with_for_update())).one_or_none()
                if row is None:
                    continue
                young = select(func.min(c.number)).where(c.facility_id == facility_id, c.at >= until)
                first = min((await session.execute(young)).scalar_one() or row.number, row.number)
                last = select(c.number, c.hash).where(c.facility_id == facility_id, c.number == first - 1)
                end = (await session.execute(last)).one_or_none()
                if end is None:
                    continue
                await session.execute(ALLOW)
                old = await session.execute(delete(chain).where(c.facility_id == facility_id, c.number < first))
                removed += old.rowcount
                head = Head(facility_id, row.number, row.hash, end.number, end.hash)
                mac = head.mac(open_key(master_key, facility_id, row.sealed_key))
                await session.execute(
                    update(heads).where(mine).values(start=head.start, start_hash=head.start_hash, mac=mac)
                )
    finally:
        await engine.dispose()
    return removed
