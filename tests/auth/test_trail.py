"""Audit rows of all services are chained per facility; whatever is done to them afterwards is found."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from codetect_auth.models import Facility
from codetect_auth.trail.chaining import Chains
from codetect_shared.bus import Envelope, Reject
from codetect_shared.db import uuid7
from codetect_shared.events import AuditRecorded

from tests.auth.conftest import House, Shell

HERE = "2026-11-26T10:00:00.000000Z"


def told(facility_id: UUID, number: int, service: str = "ingest", /, **changes: Any) -> Envelope:
    """A row as a service tells it."""
    row = {
        "facility_id": str(facility_id),
        "service": service,
        "number": number,
        "at": HERE,
        "subject": str(UUID(int=7)),
        "role": "member",
        "session_id": str(UUID(int=8)),
        "action": "study.export",
        "outcome": "success",
        "target": f"study/{UUID(int=number)}",
        "study_id": str(UUID(int=number)),
        "address": "10.1.2.3",
        "request_id": "r-1",
        "detail": {"view": "original", "ratio": 0.5, "n": number},
    }
    sent_as = f"audit/{facility_id}/{service}"
    return Envelope(uuid7(), AuditRecorded.type, datetime.now(UTC), facility_id, sent_as, number, row | changes)


@dataclass
class Trail:
    """One facility's chain, taken by hand; the service's own consumer leaves it alone."""

    house: House
    facility: Facility
    admin_url: str
    chains: Chains = field(init=False)

    def __post_init__(self) -> None:
        self.chains = Chains(self.house.auth.settings.master_key)

    async def take(self, *envelopes: Envelope) -> None:
        for envelope in envelopes:
            async with self.house.auth.db.facility(envelope.facility_id) as session:
                await self.chains.take(session, [(AuditRecorded.model_validate(envelope.data), envelope)])

    async def take_together(self, *envelopes: Envelope) -> None:
        """All in one transaction, as the consumer does when many are at hand."""
        async with self.house.auth.db.facility(self.facility.id) as session:
            await self.chains.take(session, [(AuditRecorded.model_validate(one.data), one) for one in envelopes])

    async def numbers(self, service: str = "ingest") -> list[int]:
        rows = await self.house.sql(
            "SELECT sequence FROM audit_chain WHERE facility_id = :f AND service = :s ORDER BY number",
            f=self.facility.id,
            s=service,
        )
        return [row.sequence for row in rows]

    async def findings(self) -> list[tuple[str, str, int, int, bool]]:
        rows = await self.house.sql(
            "SELECT service, kind, first, last, closed_at IS NULL AS open FROM audit_findings"
            " WHERE facility_id = :f ORDER BY id",
            f=self.facility.id,
        )
        return [tuple(row) for row in rows]

    async def tamper(self, statement: str) -> None:
        """As a superuser who knows what triggers are; $f is the facility."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            await connection.execute("SET session_replication_role = replica")
            done = await connection.execute(statement.replace("$f", f"'{self.facility.id}'"))
            assert not done.endswith(" 0"), done
        finally:
            await connection.close()


@pytest.fixture
async def trail(house: House, environment: Mapping[str, str]) -> Trail:
    """A facility with thirty chained rows of two services."""
    admin = environment["CODETECT_POSTGRES_ADMIN_URL"]
    database = environment["CODETECT_AUTH_DATABASE_OWNER_URL"].rpartition("/")[2]
    facility = await house.facility()
    await settled(house, facility.id)
    found = Trail(house, facility, f"{admin.rpartition('/')[0]}/{database}")
    await found.take(*(told(facility.id, n, s) for n in range(1, 16) for s in ("ingest", "inference")))
    return found


async def settled(house: House, facility_id: UUID) -> int:
    """Wait until all that auth itself recorded of a facility is chained."""
    for _ in range(100):
        [[recorded]] = await house.sql("SELECT count(*) FROM audit WHERE facility_id = :f", f=facility_id)
        [[chained]] = await house.sql(
            "SELECT count(*) FROM audit_chain WHERE facility_id = :f AND service = 'auth'", f=facility_id
        )
        if recorded == chained:
            return int(recorded)
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{recorded} recorded, {chained} chained")


async def verified(trail: Trail, shell: Shell, *more: str) -> tuple[int, dict[str, Any], str]:
    """What `admin audit verify` says of the facility."""
    code, found, err = await shell("audit", "verify", "--facility", trail.facility.slug, *more)
    return code, found["facilities"][0] if found else {}, err.strip()


async def test_a_chain_that_nobody_touched_is_whole(trail: Trail, shell: Shell) -> None:
    code, found, err = await verified(trail, shell)
    assert (code, err, found["wrong"], found["rows"]) == (0, "", [], 31)
    assert found["head"] == 31


FIRST_HALF = "facility_id = $f AND number"
ROW = "UPDATE audit_chain SET record = record || '{%s}' WHERE facility_id = $f AND number = %d"


@pytest.mark.parametrize(
    ("statement", "number", "said"),
    [
        (ROW % ('"subject": "somebody else"', 12), 12, "Row 12 was altered."),
        (ROW % ('"at": "2020-01-01T00:00:00.000000Z"', 1), 1, "Row 1 was altered."),
        (ROW % ('"study_id": null', 31), 31, "Row 31 was altered."),
        (f"DELETE FROM audit_chain WHERE {FIRST_HALF} = 9", 9, "Row 9 of the chain is gone."),
        (f"DELETE FROM audit_chain WHERE {FIRST_HALF} BETWEEN 9 AND 11", 9, "Rows 9 to 11 of the chain are gone."),
        (f"DELETE FROM audit_chain WHERE {FIRST_HALF} <= 5", 1, "Rows 1 to 5 of the chain are gone."),
        (f"DELETE FROM audit_chain WHERE {FIRST_HALF} > 28", 29, "Rows 29 to 31 of the chain are gone."),
        ("DELETE FROM audit_chain WHERE facility_id = $f", 1, "Rows 1 to 31 of the chain are gone."),
        (
            "UPDATE audit_chain SET number = CASE number WHEN 7 THEN 1008 ELSE 1007 END"
            " WHERE facility_id = $f AND number IN (7, 8);"
            "UPDATE audit_chain SET number = number - 1000 WHERE facility_id = $f AND number > 1000",
            7,
            "Row 7 doesn't follow the row before it.",
        ),
        (
            "UPDATE audit_chain a SET record = b.record, hash = b.hash, mac = b.mac, previous = b.previous,"
            " event_id = gen_random_uuid() FROM audit_chain b"
            " WHERE a.facility_id = $f AND b.facility_id = $f AND (a.number, b.number) = (20, 10)",
            20,
            "Row 20 doesn't follow the row before it.",
        ),
        (
            "INSERT INTO audit_chain (facility_id, number, event_id, record, previous, hash, mac)"
            " SELECT facility_id, 32, gen_random_uuid(), record, hash, hash, mac FROM audit_chain"
            " WHERE facility_id = $f AND number = 31",
            32,
            "Row 32 was altered.",
        ),
        ("UPDATE audit_heads SET number = 30 WHERE facility_id = $f", 30, "The chain's head, at row 30, was altered."),
        ("UPDATE audit_heads SET start = 4 WHERE facility_id = $f", 31, "The chain's head, at row 31, was altered."),
        ("DELETE FROM audit_heads WHERE facility_id = $f", 1, "The chain has rows, but its head is gone."),
        (
            "UPDATE audit_heads SET sealed_key = sealed_key || '\\x00' WHERE facility_id = $f",
            0,
            "The chain's key can't be opened: it was altered, or the master key is another one.",
        ),
    ],
)
async def test_what_somebody_does_to_the_chain_is_found(
    trail: Trail, shell: Shell, statement: str, number: int, said: str
) -> None:
    await trail.tamper(statement)
    code, _, err = await shell("audit", "verify", "--facility", trail.facility.slug)
    assert code == 1
    assert err.strip() == f"{trail.facility.slug}: {said}"
    assert (await _wrong(trail))[0][0] == number


async def test_who_rewrites_all_hashes_still_has_no_key(trail: Trail, shell: Shell) -> None:
    """The whole chain from row 12 on, computed anew as anybody can, its head too."""
    from codetect_auth.trail.linking import link

    rows = await trail.house.sql(
        "SELECT number, event_id, record, previous, hash FROM audit_chain WHERE facility_id = :f ORDER BY number",
        f=trail.facility.id,
    )
    previous, statements = rows[10].hash, []
    for row in rows[11:]:
        record = row.record | ({"subject": "nobody"} if row.number == 12 else {})
        new = link(trail.facility.id, row.number, row.event_id, record, previous)
        statements.append(
            f"UPDATE audit_chain SET record = '{json.dumps(record)}', previous = '\\x{previous.hex()}',"
            f" hash = '\\x{new.hex()}' WHERE facility_id = $f AND number = {row.number}"
        )
        previous = new
    statements.append(f"UPDATE audit_heads SET hash = '\\x{previous.hex()}' WHERE facility_id = $f")
    await trail.tamper(";".join(statements))
    code, _, err = await verified(trail, shell)
    assert (code, err.split(": ")[1]) == (1, "The chain's head, at row 31, was altered.")
    assert (12, "forged") in await _wrong(trail)


async def _wrong(trail: Trail) -> list[tuple[int, str]]:
    from codetect_auth.trail.verifying import verify

    [report] = await verify(trail.house.auth.db, trail.house.auth.settings.master_key, trail.facility.slug)
    return [(one.number, one.kind) for one in report.wrong]


async def test_a_chain_set_back_with_its_old_head_is_found_by_the_head_kept_elsewhere(
    trail: Trail, shell: Shell, tmp_path: Path
) -> None:
    """Whoever kept yesterday's database has a head whose MAC was right once."""
    before = await trail.house.sql("SELECT * FROM audit_heads WHERE facility_id = :f", f=trail.facility.id)
    await trail.take(told(trail.facility.id, 16), told(trail.facility.id, 17))
    _, heads, _ = await shell("audit", "head", "--facility", trail.facility.slug)
    kept = tmp_path / "head.json"
    kept.write_text(json.dumps(heads))
    assert (await verified(trail, shell, "--head", str(kept)))[0] == 0
    old = before[0]
    await trail.tamper(
        f"UPDATE audit_heads SET number = {old.number}, hash = '\\x{old.hash.hex()}', mac = '\\x{old.mac.hex()}',"
        f" sources = '{json.dumps(old.sources)}' WHERE facility_id = $f;"
        "DELETE FROM audit_chain WHERE facility_id = $f AND number > 31"
    )
    assert (await verified(trail, shell))[0] == 0
    code, _, err = await verified(trail, shell, "--head", str(kept))
    assert (code, err.split(": ")[1]) == (1, "Row 33, whose hash was kept elsewhere, is gone.")
    # The service goes on with its next number: from then on it shows without the head, too.
    await trail.take(told(trail.facility.id, 18))
    await pass_a_minute(trail)
    await trail.chains.notice(trail.house.auth.db)
    code, _, err = await verified(trail, shell)
    assert (code, err.split(": ")[1]) == (1, "Rows 16 to 17 of ingest never arrived.")


async def test_a_head_of_another_chain_is_found(trail: Trail, shell: Shell, tmp_path: Path) -> None:
    kept = tmp_path / "head.json"
    kept.write_text(json.dumps({"facility_id": str(trail.facility.id), "number": 5, "hash": "00" * 32}))
    code, _, err = await verified(trail, shell, "--head", str(kept))
    assert (code, err.split(": ")[1]) == (1, "Row 5 isn't the one whose hash was kept elsewhere.")
    kept.write_text("[]")
    assert (await verified(trail, shell, "--head", str(kept)))[0] == 1


@pytest.mark.parametrize("role", ["", "_OWNER", "_SYSTEM"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET event_id = gen_random_uuid()",
        "DELETE FROM {table}",
        "TRUNCATE {table}",
    ],
)
@pytest.mark.parametrize("table", ["audit_chain", "audit"])
async def test_no_role_of_ours_changes_or_removes_a_row(
    trail: Trail, environment: Mapping[str, str], role: str, statement: str, table: str
) -> None:
    connection = await asyncpg.connect(environment[f"CODETECT_AUTH_DATABASE{role}_URL"])
    try:
        await connection.execute(f"SELECT set_config('codetect.facility', '{trail.facility.id}', false)")
        if role == "":
            await connection.execute(f"SELECT set_config('codetect.{table}_retention', 'on', false)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement.format(table=table))
    finally:
        await connection.close()
    assert len(await trail.numbers()) == 15


async def pass_a_minute(trail: Trail) -> None:
    await trail.house.sql(
        "UPDATE audit_held SET at = at - interval '61 seconds' WHERE facility_id = :f", f=trail.facility.id
    )


async def test_rows_that_come_out_of_order_wait_for_those_before(trail: Trail, shell: Shell) -> None:
    f = trail.facility.id
    later = [told(f, n) for n in (18, 17, 20, 19)]
    await trail.take(*later, later[0])
    assert (await trail.numbers())[-1] == 15
    await trail.take(told(f, 16))
    assert await trail.numbers() == list(range(1, 21))
    assert await trail.findings() == []
    assert (await verified(trail, shell))[0] == 0


async def test_a_crowd_is_chained_as_if_it_came_one_by_one(trail: Trail, shell: Shell) -> None:
    f = trail.facility.id
    crowd = [told(f, n, s) for n in (16, 17, 19, 18, 20) for s in ("ingest", "inference")]
    await trail.take_together(*crowd, crowd[3], told(f, 22))
    assert await trail.numbers() == await trail.numbers("inference") == list(range(1, 21))
    await trail.take_together(told(f, 21), told(f, 23))
    assert await trail.numbers() == list(range(1, 24))
    assert (await verified(trail, shell))[0] == 0


async def test_a_number_that_is_missing_for_a_minute_is_a_finding_until_it_comes(trail: Trail, shell: Shell) -> None:
    f, db = trail.facility.id, trail.house.auth.db
    missing = [told(f, n) for n in (16, 17)]
    await trail.take(told(f, 18), told(f, 19), told(f, 21))
    await trail.chains.notice(db)
    assert await trail.findings() == []
    await pass_a_minute(trail)
    await trail.chains.notice(db)
    assert await trail.findings() == [("ingest", "missing", 16, 17, True), ("ingest", "missing", 20, 20, True)]
    assert (await trail.numbers())[-3:] == [18, 19, 21]
    code, found, err = await verified(trail, shell)
    assert (code, err.split(": ")[1]) == (1, "Rows 16 to 17 of ingest never arrived.")
    await trail.take(missing[1])
    assert (await trail.findings())[0][-1]
    await trail.take(missing[0], told(f, 20))
    assert [one[-1] for one in await trail.findings()] == [False, False]
    assert (await verified(trail, shell))[0] == 0
    await settled(trail.house, f)
    rows = await trail.house.sql(
        "SELECT record FROM audit_chain WHERE facility_id = :f AND action = 'audit.gap' ORDER BY number", f=f
    )
    assert [row.record["detail"]["first"] for row in rows] == [16, 20]


async def test_a_row_that_is_told_again_is_one_row_and_another_of_its_number_a_finding(
    trail: Trail, shell: Shell
) -> None:
    f = trail.facility.id
    first = told(f, 16)
    await trail.take(first, first)
    assert (await trail.numbers()).count(16) == 1
    await trail.take(told(f, 16, action="study.erase"))
    assert await trail.findings() == [("ingest", "repeated", 16, 16, True)]
    code, _, err = await verified(trail, shell)
    assert (code, "repeats number 16 of ingest." in err) == (1, True)


async def test_a_row_of_another_facility_than_its_event_is_rejected(trail: Trail) -> None:
    other = await trail.house.facility()
    envelope = told(trail.facility.id, 16, facility_id=str(other.id))
    with pytest.raises(Reject):
        async with trail.house.auth.db.facility(trail.facility.id) as session:
            await trail.chains.take(session, [(AuditRecorded.model_validate(envelope.data), envelope)])


async def test_old_rows_leave_by_one_command_and_what_stays_is_whole(
    trail: Trail, shell: Shell, tmp_path: Path
) -> None:
    old = (datetime.now(UTC) - timedelta(days=800)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    other = await trail.house.facility()
    await settled(trail.house, other.id)
    elsewhere = Trail(trail.house, other, trail.admin_url)
    await elsewhere.take(*(told(other.id, n, at=old) for n in range(1, 11)), told(other.id, 11))
    _, heads, _ = await shell("audit", "head", "--facility", other.slug)
    recent = (datetime.now(UTC) - timedelta(days=100)).date().isoformat()
    code, _, err = await shell("audit", "forget", "--facility", other.slug, "--before", recent)
    assert (code, err) == (1, "Rows of the last 365 days are kept.\n")
    # Auth's own first row (the facility's opening) is young and stands first: nothing before it may go.
    day = (datetime.now(UTC) - timedelta(days=500)).date().isoformat()
    assert (await shell("audit", "forget", "--facility", other.slug, "--before", day))[1]["removed"] == 0
    third = uuid7()
    aged = Trail(trail.house, Facility(id=third, facility_id=third, slug=str(third), name="x"), trail.admin_url)
    await aged.take(*(told(third, n, at=old) for n in range(1, 11)), told(third, 11, at="2099-01-01T00:00:00.000000Z"))
    code, gone, _ = await shell("audit", "forget", "--facility", str(third), "--before", day)
    assert (code, gone["removed"], await aged.numbers()) == (0, 10, [11])
    assert (await verified(aged, shell))[0] == 0
    await aged.take(told(third, 12))
    assert (await verified(aged, shell))[0] == 0
    await aged.tamper(ROW % ('"role": "x"', 11))
    assert (await verified(aged, shell))[0] == 1
    assert (await shell("audit", "forget", "--facility", str(third), "--before", day))[0] == 1


async def test_another_facility_sees_and_writes_nothing_of_it(trail: Trail) -> None:
    from sqlalchemy import text

    mine, other = trail.facility.id, await trail.house.facility()
    await trail.take(told(mine, 18))
    await pass_a_minute(trail)
    await trail.chains.notice(trail.house.auth.db)
    await trail.take(told(mine, 20))
    for table in ("audit", "audit_counters", "audit_chain", "audit_heads", "audit_held", "audit_findings"):
        count = text(f"SELECT count(*) FROM {table} WHERE facility_id = :f")
        async with trail.house.auth.db.facility(mine) as session:
            assert await session.scalar(count, {"f": mine}), table
        async with trail.house.auth.db.facility(other.id) as session:
            assert await session.scalar(count, {"f": mine}) == 0, table
