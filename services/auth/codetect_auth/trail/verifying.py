"""Whether a chain is what was written: each row, their order, both ends, and every service's numbers."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from codetect_shared.db import Database
from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import Facility
from codetect_auth.trail.linking import Head, KeyLost, link, mac_of_row, open_key
from codetect_auth.trail.tables import chain, heads

BATCH = 2000
MOST_TOLD = 100
SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


@dataclass(frozen=True)
class Wrong:
    """Something that isn't as it was written, and the row of the chain where it shows."""

    number: int
    kind: str
    said: str


@dataclass
class Report:
    """What was found in one facility's chain."""

    facility_id: UUID
    slug: str
    rows: int = 0
    head: Head | None = None
    wrong: list[Wrong] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.wrong

    def add(self, number: int, kind: str, said: str) -> None:
        """Note what is wrong; a hundred are enough."""
        if len(self.wrong) < MOST_TOLD:
            self.wrong.append(Wrong(number, kind, said))


@dataclass
class Numbers:
    """The numbers of one service so far: the highest, and the ranges that are missing below it."""

    newest: int | None = None
    missing: list[tuple[int, int]] = field(default_factory=list)

    def take(self, number: int, from_one: bool) -> bool:
        """Note a number; False when it was there already."""
        if self.newest is None:
            self.newest = 0 if from_one else number - 1
        if number > self.newest:
            if number > self.newest + 1:
                self.missing.append((self.newest + 1, number - 1))
            self.newest = number
            return True
        for at, (first, last) in enumerate(self.missing):
            if first <= number <= last:
                around = [(first, number - 1), (number + 1, last)]
                self.missing[at : at + 1] = [(a, b) for a, b in around if a <= b]
                return True
        return False


async def verify(
    db: Database, master_key: bytes, slug: str | None = None, kept: Mapping[UUID, tuple[int, str]] | None = None
) -> list[Report]:
    """Look through the chains of one facility, or of all; `kept`: heads that were stored elsewhere (number, hash)."""
    wanted = select(Facility.id, Facility.slug).order_by(Facility.id)
    async with db.system() as session:
        known = {row.id: row.slug for row in await session.execute(wanted)}
        chained = await session.scalars(select(heads.c.facility_id).union(select(chain.c.facility_id).distinct()))
        known |= {one: str(one) for one in chained if one not in known}
    kept = kept or {}
    reports = []
    for facility_id, name in known.items():
        if slug in (None, name):
            async with db.system() as session:
                await session.execute(SNAPSHOT)
                reports.append(await _facility(session, master_key, Report(facility_id, name), kept.get(facility_id)))
    return reports


async def _facility(session: AsyncSession, master_key: bytes, report: Report, kept: tuple[int, str] | None) -> Report:
    row = (await session.execute(select(heads).where(heads.c.facility_id == report.facility_id))).one_or_none()
    key = None
    if row:
        report.head = Head(report.facility_id, row.number, row.hash, row.start, row.start_hash)
        try:
            key = open_key(master_key, report.facility_id, row.sealed_key)
        except KeyLost:
            report.add(0, "key", "The chain's key can't be opened: it was altered, or the master key is another one.")
        if key and report.head.mac(key) != row.mac:
            report.add(row.number, "head", f"The chain's head, at row {row.number}, was altered.")
    await _rows(session, report, key, kept)
    return report


async def _rows(session: AsyncSession, report: Report, key: bytes | None, kept: tuple[int, str] | None) -> None:
    head = report.head or Head(report.facility_id)
    before, previous, services = head.start, head.start_hash, dict[str, Numbers]()
    seen_kept = kept is None or kept[0] <= head.start
    async for row in _read(session, report.facility_id):
        report.rows += 1
        if row.number != before + 1:
            _cut(report, before + 1, row.number - 1)
        elif row.previous != previous:
            report.add(row.number, "order", f"Row {row.number} doesn't follow the row before it.")
        if link(report.facility_id, row.number, row.event_id, row.record, row.previous) != row.hash:
            report.add(row.number, "altered", f"Row {row.number} was altered.")
        elif key and mac_of_row(key, row.hash) != row.mac:
            report.add(row.number, "forged", f"Row {row.number} was written by somebody who has no key to the chain.")
        if kept and row.number == kept[0]:
            seen_kept = True
            if row.hash.hex() != kept[1]:
                report.add(row.number, "rewritten", f"Row {row.number} isn't the one whose hash was kept elsewhere.")
        before, previous = row.number, row.hash
        _count(report, services, row, from_one=head.start == 0)
    _ends(report, before, previous)
    if not seen_kept and kept:
        report.add(kept[0], "cut", f"Row {kept[0]}, whose hash was kept elsewhere, is gone.")
    for service, numbers in services.items():
        for first, last in numbers.missing:
            report.add(before, "gap", f"{_numbers(first, last)} of {service} never arrived.")
    report.wrong.sort(key=lambda one: one.kind == "gap")


async def _read(session: AsyncSession, facility_id: UUID) -> AsyncIterator[Row[*tuple[Any, ...]]]:
    c, after = chain.c, -1
    wanted = select(c.number, c.event_id, c.record, c.previous, c.hash, c.mac).order_by(c.number).limit(BATCH)
    while True:
        rows = (await session.execute(wanted.where(c.facility_id == facility_id, c.number > after))).all()
        for row in rows:
            yield row
        if len(rows) < BATCH:
            return
        after = rows[-1].number


def _cut(report: Report, first: int, last: int) -> None:
    said = f"{_numbers(first, last)} of the chain" + (" is gone." if first == last else " are gone.")
    report.add(first, "removed", said if first <= last else f"Row {last + 1} stands where none should be.")


def _count(report: Report, services: dict[str, Numbers], row: Row[*tuple[Any, ...]], *, from_one: bool) -> None:
    service, number = str(row.record.get("service")), row.record.get("number")
    numbers = services.setdefault(service, Numbers())
    if isinstance(number, int) and not numbers.take(number, from_one):
        report.add(row.number, "repeated", f"Row {row.number} repeats number {number} of {service}.")


def _ends(report: Report, last: int, last_hash: bytes) -> None:
    head = report.head
    if head is None:
        if report.rows:
            report.add(1, "head", "The chain has rows, but its head is gone.")
    elif last < head.number:
        _cut(report, last + 1, head.number)
    elif last > head.number:
        report.add(head.number + 1, "added", f"Row {head.number + 1} stands behind the chain's head.")
    elif last_hash != head.hash:
        report.add(last, "head", f"Row {last} isn't the one that the chain's head names.")


def _numbers(first: int, last: int) -> str:
    return f"Row {first}" if first == last else f"Rows {first} to {last}"


def first_sentence(reports: Iterable[Report]) -> str | None:
    """What is wrong first, in plain words; None when nothing is."""
    for report in reports:
        for one in report.wrong[:1]:
            return f"{report.slug}: {one.said}"
    return None
