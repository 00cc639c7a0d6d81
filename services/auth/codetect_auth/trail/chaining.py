"""Rows of all services, put into their facility's chain as they come; what comes too early waits for what is missing.

Whoever chains holds the lock of the facility's head, so a chain grows one row after the other.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from codetect_shared.audit import Actor, record
from codetect_shared.bus import Envelope, Reject
from codetect_shared.crowds import Told
from codetect_shared.db import Database, uuid7
from codetect_shared.events import AuditRecorded
from prometheus_client import Counter, Gauge
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.trail.linking import Head, link, mac_of_row, new_key, open_key
from codetect_auth.trail.tables import chain, findings, heads, held

log = structlog.get_logger()
PATIENCE = text("interval '1 minute'")
MISSING, REPEATED = "missing", "repeated"
CHAINED = Counter("codetect_audit_chained_total", "Audit rows put into their chain.", ["service"])
FINDINGS = Gauge("codetect_audit_findings", "Audit rows that are missing, or came twice with another content.")


@dataclass
class Source:
    """How far a service is in a chain: its newest row there, and how many wait behind a gap."""

    newest: int = 0
    waiting: int = 0


@dataclass
class Growing:
    """A chain whose head is locked."""

    head: Head
    key: bytes
    sources: dict[str, Source]
    rows: list[dict[str, Any]] = field(default_factory=list)

    async def write(self, session: AsyncSession) -> None:
        """Write the rows that were added."""
        if self.rows:
            await session.execute(insert(chain), self.rows)
            self.rows.clear()


class Chains:
    """All facilities' chains, to be added to."""

    def __init__(self, master_key: bytes) -> None:
        self._master_key = master_key
        self._keys: dict[bytes, bytes] = {}

    async def take(self, session: AsyncSession, told: Told) -> None:
        """Chain rows of one facility, or hold those that come before their turn. Raises Reject."""
        growing = await self._lock(session, told[0][1].facility_id)
        for event, envelope in told:
            if not isinstance(event, AuditRecorded) or event.facility_id != growing.head.facility_id:
                raise Reject("an audit row of another facility than its event's")
            await self._take(session, growing, event, envelope)
        await self._save(session, growing)

    async def _take(self, session: AsyncSession, growing: Growing, event: AuditRecorded, envelope: Envelope) -> None:
        source = growing.sources.setdefault(event.service, Source())
        if event.number == source.newest + 1:
            _append(growing, envelope.id, envelope.data)
            if source.waiting:
                await self._follow(session, growing, event.service)
        elif event.number > source.newest and await self._hold(session, event, envelope):
            source.waiting += 1
        else:
            await self._late(session, growing, event, envelope)

    async def notice(self, db: Database) -> None:
        """Find what is missing for more than a minute, tell, and chain what waited for it."""
        due = select(held.c.facility_id).where(held.c.at < func.clock_timestamp() - PATIENCE).distinct()
        async with db.system() as session:
            facilities = list(await session.scalars(due))
        for facility_id in facilities:
            async with db.facility(facility_id) as session:
                growing = await self._lock(session, facility_id)
                for service in list(growing.sources):
                    await self._skip(session, growing, service)
                await self._save(session, growing)
        async with db.system() as session:
            open_ones = select(func.count()).select_from(findings).where(findings.c.closed_at.is_(None))
            FINDINGS.set((await session.execute(open_ones)).scalar_one())

    async def _lock(self, session: AsyncSession, facility_id: UUID) -> Growing:
        mine = select(heads).where(heads.c.facility_id == facility_id).with_for_update()
        row = (await session.execute(mine)).one_or_none()
        if row is None:
            await session.execute(self._first(facility_id))
            row = (await session.execute(mine)).one()
        if row.sealed_key not in self._keys:
            self._keys[row.sealed_key] = open_key(self._master_key, facility_id, row.sealed_key)
        head = Head(facility_id, row.number, row.hash, row.start, row.start_hash)
        sources = {name: Source(**place) for name, place in row.sources.items()}
        return Growing(head, self._keys[row.sealed_key], sources)

    def _first(self, facility_id: UUID) -> postgresql.Insert:
        head, sealed = Head(facility_id), new_key(self._master_key, facility_id)
        mac = head.mac(open_key(self._master_key, facility_id, sealed))
        values = vars(head) | {"mac": mac, "sealed_key": sealed, "sources": {}}
        return postgresql.insert(heads).values(values).on_conflict_do_nothing()

    async def _save(self, session: AsyncSession, growing: Growing) -> None:
        await growing.write(session)
        head = growing.head
        values = {"number": head.number, "hash": head.hash, "mac": head.mac(growing.key)}
        places = {name: vars(source) for name, source in growing.sources.items()}
        mine = update(heads).where(heads.c.facility_id == head.facility_id)
        await session.execute(mine.values(**values, sources=places, at=func.clock_timestamp()))

    async def _hold(self, session: AsyncSession, event: AuditRecorded, envelope: Envelope) -> bool:
        """Keep a row for later; False when one of its number waits already."""
        values = {
            "facility_id": event.facility_id,
            "service": event.service,
            "sequence": event.number,
            "event_id": envelope.id,
            "record": envelope.data,
        }
        added = postgresql.insert(held).values(values).on_conflict_do_nothing().returning(held.c.sequence)
        return (await session.execute(added)).first() is not None

    async def _follow(self, session: AsyncSession, growing: Growing, service: str) -> None:
        """Chain what waited for the row that has just been chained."""
        source, c = growing.sources[service], held.c
        while source.waiting:
            next_one = c.facility_id == growing.head.facility_id, c.service == service, c.sequence == source.newest + 1
            taken = await session.execute(delete(held).where(*next_one).returning(c.event_id, c.record))
            row = taken.one_or_none()
            if row is None:
                return
            source.waiting -= 1
            _append(growing, row.event_id, row.record)

    async def _skip(self, session: AsyncSession, growing: Growing, service: str) -> None:
        """Chain what waited too long, and write down which numbers are missing before it."""
        source, c = growing.sources[service], held.c
        mine = c.facility_id == growing.head.facility_id, c.service == service
        late = func.coalesce(func.bool_or(c.at < func.clock_timestamp() - PATIENCE), False)
        while (await session.execute(select(late).where(*mine))).scalar_one():
            lowest = (await session.execute(select(func.min(c.sequence)).where(*mine))).scalar_one()
            await _find(session, growing.head.facility_id, service, MISSING, source.newest + 1, lowest - 1)
            source.newest = lowest - 1
            await self._follow(session, growing, service)

    async def _late(self, session: AsyncSession, growing: Growing, event: AuditRecorded, envelope: Envelope) -> None:
        """A number that was passed already: told again, missed so far, or, what must not be, another row's."""
        await growing.write(session)
        c, number = chain.c, event.number
        for table in (chain, held):
            known = select(table.c.event_id).where(
                table.c.facility_id == event.facility_id, table.c.event_id == envelope.id
            )
            if (await session.execute(known)).first():
                return
        _append(growing, envelope.id, envelope.data, late=True)
        await growing.write(session)
        f = findings.c
        gap = f.service == event.service, f.kind == MISSING, f.first <= number, f.last >= number, f.closed_at.is_(None)
        found = (await session.execute(select(findings).where(f.facility_id == event.facility_id, *gap))).first()
        if found is None:
            await _find(session, event.facility_id, event.service, REPEATED, number, number)
            return
        there = select(func.count(c.sequence.distinct())).where(
            c.facility_id == event.facility_id, c.service == event.service, c.sequence.between(found.first, found.last)
        )
        if (await session.execute(there)).scalar_one() == found.last - found.first + 1:
            await session.execute(update(findings).where(f.id == found.id).values(closed_at=func.clock_timestamp()))


def _append(growing: Growing, event_id: UUID, row: dict[str, Any], *, late: bool = False) -> None:
    """Add a row to the chain; `write` writes it."""
    head = growing.head
    number, previous = head.number + 1, head.hash
    row_hash = link(head.facility_id, number, event_id, row, previous)
    growing.rows.append(
        {
            "facility_id": head.facility_id,
            "number": number,
            "event_id": event_id,
            "record": row,
            "previous": previous,
            "hash": row_hash,
            "mac": mac_of_row(growing.key, row_hash),
        }
    )
    head.number, head.hash = number, row_hash
    if not late:
        growing.sources[row["service"]].newest = row["number"]
    CHAINED.labels(row["service"]).inc()


async def _find(session: AsyncSession, facility_id: UUID, service: str, kind: str, first: int, last: int) -> None:
    where = {"service": service, "kind": kind, "first": first, "last": last}
    await session.execute(insert(findings).values(id=uuid7(), facility_id=facility_id, **where))
    log.error("audit rows " + kind, facility=str(facility_id), **where)
    await record(session, Actor("platform", facility_id, "platform"), "audit.gap", outcome="failure", detail=where)
