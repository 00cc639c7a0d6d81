"""Whatever is killed: lost 0, visible results per study and model 1, WebSocket clients that reconnect miss nothing."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from codetect_inference.models import ANALYSES
from codetect_local.stack import Stack

from tests.faults.ledger import Facility, Ledger
from tests.faults.studies import long_study, new_study

CHANCE = random.Random(20261122)
SERVICES = ["gateway", "auth", "mailer", "ingest", "importer", "inference", "worker", "analytics", "projector"]


@pytest.fixture
async def ledger(facility: Facility) -> AsyncIterator[Ledger]:
    async with Ledger.open(facility) as opened:
        yield opened


async def kill_now_and_then(stack: Stack, names: list[str], times: int, pause_s: tuple[float, float]) -> None:
    for _ in range(times):
        await asyncio.sleep(CHANCE.uniform(*pause_s))
        await kill(stack, CHANCE.choice(names))


async def kill(stack: Stack, name: str) -> None:
    """Kill a process as the kernel would; one that is being restarted just now is left alone."""
    if stack.supervisor.processes()[name]["statename"] == "RUNNING":
        stack.supervisor.kill(name, signal.SIGKILL)


async def test_workers_killed_in_mid_run(stack: Stack, ledger: Ledger) -> None:
    async with ledger.submitting(0.5):
        await kill_now_and_then(stack, ["worker", "worker-2"], 12, (0.3, 3))
    await ledger.settle()


async def test_importers_killed_between_their_steps(stack: Stack, ledger: Ledger) -> None:
    async with ledger.submitting(0.3):
        await kill_now_and_then(stack, ["importer", "importer-2"], 12, (0.2, 2))
    await ledger.settle()


async def test_relays_killed_between_publish_and_mark(stack: Stack, ledger: Ledger) -> None:
    """Backends that hold a relay's lock are ended while events flow; the process itself, too."""
    admin = await asyncpg.connect(stack.environment()["CODETECT_POSTGRES_ADMIN_URL"])
    holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    async with ledger.submitting(0.3):
        for number in range(30):
            await asyncio.sleep(CHANCE.uniform(0.1, 0.6))
            await admin.execute(holders)
            if number % 6 == 0:
                await kill(stack, CHANCE.choice(["ingest", "ingest-2", "inference", "inference-2"]))
    await admin.close()
    await ledger.settle()


async def test_any_process_killed_every_ten_seconds_for_two_minutes(stack: Stack, ledger: Ledger) -> None:
    names = [name + suffix for name in SERVICES for suffix in ("", "-2")]
    async with ledger.submitting(1.0):
        await kill_now_and_then(stack, names, 12, (10, 10))
    await ledger.settle()


@pytest.mark.parametrize(("server", "times"), [("rabbitmq", 3), ("postgres", 5)])
async def test_servers_killed_and_started(stack: Stack, ledger: Ledger, server: str, times: int) -> None:
    async with ledger.submitting(0.5):
        for _ in range(times):
            await asyncio.sleep(CHANCE.uniform(2, 5))
            await kill(stack, server)
            await running_again(stack, server)
    await ledger.settle()


async def test_the_object_store_gone_for_thirty_seconds(stack: Stack, ledger: Ledger) -> None:
    async with ledger.submitting(0.5):
        await asyncio.sleep(2)
        stack.supervisor.halt("s3")
        await asyncio.sleep(30)
        stack.supervisor.launch("s3")
        await asyncio.sleep(2)
    await ledger.settle()


async def test_a_service_that_starts_after_events_were_sent(stack: Stack, ledger: Ledger) -> None:
    names = [name + suffix for name in ("inference", "worker", "analytics", "projector") for suffix in ("", "-2")]
    stack.supervisor.halt(*names)
    try:
        for _ in range(3):
            await ledger.submit()
        await asyncio.sleep(3)
    finally:
        stack.supervisor.launch(*names)
    await ledger.settle()


async def test_a_worker_frozen_for_two_leases_then_thawed(stack: Stack, ledger: Ledger) -> None:
    upload = await on_the_first_worker_alone(stack, ledger, new_study(45))
    stack.supervisor.kill("worker", signal.SIGSTOP)
    try:
        assert (await the_analysis(ledger, upload))["status"] == "running"
        stack.supervisor.launch("worker-2")
        await ledger.settle()
        assert (await the_analysis(ledger, upload))["attempts"] == 2
        await asyncio.sleep(ANALYSES.lease_s)
    finally:
        stack.supervisor.kill("worker", signal.SIGCONT)
    await asyncio.sleep(5)
    await ledger.settle()


async def test_a_job_longer_than_its_lease(stack: Stack, ledger: Ledger) -> None:
    """The worker runs in bits of half a second, often enough to renew its lease; the other one must not take over."""
    upload = await on_the_first_worker_alone(stack, ledger, long_study(360))
    stack.supervisor.launch("worker-2")
    clock = asyncio.get_running_loop().time
    began = clock()
    while clock() - began < 1.2 * ANALYSES.lease_s:
        stack.supervisor.kill("worker", signal.SIGSTOP)
        await asyncio.sleep(9)
        stack.supervisor.kill("worker", signal.SIGCONT)
        await asyncio.sleep(0.4)
    assert (await the_analysis(ledger, upload))["status"] == "running"
    await ledger.settle()
    assert (await the_analysis(ledger, upload))["attempts"] == 1


async def on_the_first_worker_alone(stack: Stack, ledger: Ledger, study: list[bytes]) -> str:
    """Submit a long study while only one worker is there, and wait until that one has begun."""
    stack.supervisor.halt("worker-2")
    try:
        upload = await ledger.submit(study)
        async with asyncio.timeout(60):
            while not (found := await ledger.analyses(upload)) or found[0]["status"] == "queued":
                await asyncio.sleep(0.02)
    except BaseException:
        stack.supervisor.launch("worker-2")
        raise
    return upload


async def the_analysis(ledger: Ledger, upload: str) -> dict[str, Any]:
    (analysis,) = await ledger.analyses(upload)
    return analysis


async def running_again(stack: Stack, name: str, within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while stack.supervisor.processes()[name]["statename"] != "RUNNING":
            await asyncio.sleep(0.2)
