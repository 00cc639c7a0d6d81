"""The mailer as a process: killed at any point, it loses nothing; what it says anywhere holds no secret."""

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from codetect_auth.mails.kinds import Kind
from codetect_auth.models import Facility
from codetect_shared.events import AnalysisCompleted, AnalysisFailed
from codetect_shared.outbox import tell

from tests.auth.conftest import House
from tests.auth.mailbox import DROP, Mailbox, mailbox
from tests.auth.post import posting
from tests.auth.test_mail_of_results import Ward

SECRETS = ("geheim-0123456789", "Jonas Weber", "clinic.example", "a secret password", "DOE^JANE")


@asynccontextmanager
async def mailer(environment: dict[str, str], box: Mailbox, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m codetect_auth mailer`; its log is kept, and added to."""
    own = {
        "CODETECT_AUTH_SMTP_HOST": "127.0.0.1",
        "CODETECT_AUTH_SMTP_PORT": str(box.port),
        "CODETECT_AUTH_SMTP_TLS": "none",
        "CODETECT_AUTH_MAIL_FROM": "no-reply@mail.house.example",
        "CODETECT_AUTH_PORT": "0",
        "CODETECT_LOG_LEVEL": "debug",
        "CODETECT_AUTH_MAIL_FACILITY_PER_MINUTE": "1000",
    }
    with log.open("ab") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "codetect_auth", "mailer"),
            env=os.environ | environment | own,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 30)


async def until(done: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not done():
            await asyncio.sleep(0.02)


async def test_killed_at_every_point_it_loses_nothing_and_copies_carry_the_same_id(
    house: House, environment: dict[str, str], tmp_path: Path
) -> None:
    chance, log = random.Random(4), tmp_path / "mailer.log"
    points = ["mail", "rcpt", "data", "taken"] * 5
    async with mailbox() as box, posting(house, box) as post:
        number, in_the_window = 0, 0
        for point in points:
            killed = asyncio.Event()
            async with mailer(environment, box, log) as process:

                def kill(process: asyncio.subprocess.Process = process, killed: asyncio.Event = killed) -> str | None:
                    box.faults.clear()
                    process.kill()
                    killed.set()
                    return DROP if "data" in box.commands[-1] else None

                box.faults[point] = kill
                for _ in range(chance.randint(1, 3)):
                    number += 1
                    await post.ask(cause=f"cause/{number}", to=f"p{number}@clinic.example")
                await asyncio.wait_for(killed.wait(), 60)
                await process.wait()
            in_the_window += point == "taken"
            # Its lease runs out; what may have been handed over waits a little longer.
            await house.sql("UPDATE mails SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL")
            await post.pass_time(61)
        async with mailer(environment, box, log):
            await until(lambda: len({kept.recipient for kept in box.kept}) == number)
            async with asyncio.timeout(60):
                while {row[2] for row in await post.rows()} != {"sent"}:
                    await asyncio.sleep(0.1)
        copies = Counter(kept.recipient for kept in box.kept)
        assert set(copies) == {f"p{n}@clinic.example" for n in range(1, number + 1)}
        assert sum(copies.values()) - number <= in_the_window
        ids = {kept.recipient: set[str]() for kept in box.kept}
        for kept in box.kept:
            ids[kept.recipient].add(kept.message["Message-ID"])
        assert all(len(found) == 1 for found in ids.values())
        assert len(set().union(*ids.values())) == number


async def test_no_secret_shows_in_logs_rows_or_other_peoples_mails(
    house: House, environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "mailer.log"
    async with mailbox() as box, posting(house, box) as post:
        for kind in Kind:
            await post.ask(cause=f"cause/{kind}", kind=kind, to=f"{kind}@clinic.example")
        waiting = await house.sql("SELECT mails::text FROM mails")
        box.faults["rcpt"] = "550 5.7.1 <someone@clinic.example> geheim-0123456789@clinic.example refused"
        async with mailer(environment, box, log):
            async with asyncio.timeout(60):
                while "queued" in {row[2] for row in await post.rows()}:
                    await asyncio.sleep(0.1)
                    if box.commands.count("rcpt") >= 4:
                        box.faults.clear()
        rows = await house.sql(
            "SELECT mails::text FROM mails UNION ALL SELECT outbox::text FROM outbox WHERE queue = 'auth.mails'"
        )
        said = log.read_text() + "".join(row[0] for row in [*waiting, *rows])
        assert "mail failed" in said
        assert not [secret for secret in SECRETS if secret in said]
        assert {row[4] for row in await post.rows()} == {None}
        linked = "https://demo.localhost/way-in#token=geheim-0123456789"
        for kept in box.kept:
            for part in (kept.text, kept.html):
                assert part.count("geheim-0123456789") == part.count(linked)
            headers = str(kept.message.items())
            assert "geheim" not in headers


async def test_it_stops_when_asked_and_finishes_what_it_has_in_hand(
    house: House, environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "mailer.log"
    async with mailbox() as box, posting(house, box) as post:
        await post.ask()
        async with mailer(environment, box, log) as process:

            async def stop() -> None:
                process.send_signal(signal.SIGTERM)
                await asyncio.sleep(0.5)

            box.faults["data"] = stop
            await asyncio.wait_for(process.wait(), 60)
        assert len(box.kept) == 1
        assert await post.state() == ("sent", None)


async def test_events_reach_it_through_the_broker_and_each_counts_once(
    house: House, environment: dict[str, str], tmp_path: Path
) -> None:
    async with mailbox() as box, posting(house, box) as post:
        ward = await Ward.open(house, post, box)
        await ward.choose(analyses="urgent")
        numbers = dict.fromkeys(("slices_total", "slices_analysed", "queued_ms", "inference_ms", "total_ms"), 1)
        done = AnalysisCompleted(**ward.about(), **numbers, findings=[], provider="cpu", priority="urgent")
        failed = [AnalysisFailed(**ward.about(), code="no_usable_series") for _ in range(3)]
        async with mailer(environment, box, tmp_path / "mailer.log"):
            async with house.auth.db.facility(post.facility.id) as session:
                await tell(session, await session.get_one(Facility, post.facility.id), done, *failed)
            await until(lambda: len(box.kept) == 1)
            # "Send again since": whatever was told before is told once more.
            await house.sql("UPDATE outbox SET sent_at = NULL WHERE facility_id = :f", f=post.facility.id)
            await house.sql("NOTIFY codetect_outbox")
            async with asyncio.timeout(30):
                while await house.sql("SELECT 1 FROM outbox WHERE sent_at IS NULL"):
                    await asyncio.sleep(0.1)
            await house.sql("UPDATE result_groups SET due_at = clock_timestamp()")
            await until(lambda: len(box.kept) == 2)
        subjects = [str(kept.message["Subject"]) for kept in box.kept]
        assert subjects == ["An urgent analysis is ready at Test Clinic", "3 analyses failed at Test Clinic"]


@pytest.fixture(autouse=True)
async def alone(house: House) -> AsyncIterator[None]:
    """No look of an earlier test's wakes the process for nothing."""
    yield
    await house.sql("UPDATE mails SET available_at = NULL")
