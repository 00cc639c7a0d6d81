"""A model that can't be loaded: what may pass only makes studies wait, and what doesn't isn't tried without end."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from codetect_inference.analysing import Analyser
from codetect_inference.engines import Engines
from codetect_inference.failures import NotLoadedYet, Unanalysable
from codetect_inference.models import ANALYSES
from codetect_inference.settings import WorkerSettings
from codetect_inference.troubles import FIRST_S, LONGEST_S, Troubles, may_pass
from codetect_shared.testing import claimed

from tests.inference.conftest import Facility, House, damaged, lung
from tests.inference.samples import BUNDLE, bundle_files, sha256, unrunnable
from tests.infrastructure import Infrastructure
from tests.signing import signed

# A process that can't have more memory than it has and `room`, then can; what `get` says each time, and of a new start.
STARVED = """
import asyncio, resource, sys
from pathlib import Path
from codetect_inference.engines import Engines
from codetect_inference.settings import WorkerSettings

folder, sha256, room = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
settings = WorkerSettings(model_cache=folder, provider="cpu", threads=1, batch=2)

async def get(engines):
    try:
        return (await engines.get("covid-ct-densenet169", "1", sha256)).bundle.name
    except Exception as error:
        return type(error).__name__

async def main():
    await asyncio.to_thread(int)  # its thread needs memory, too
    engines = Engines(None, None, settings)
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + room * 2**20, -1))
    print(await get(engines))
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    print(list(engines.facts["refused"])[0], await get(engines))
    print(await get(Engines(None, None, settings)))

asyncio.run(main())
"""


@asynccontextmanager
async def fresh(house: House, cache: Path) -> AsyncIterator[Engines]:
    """The models of a worker process that has just started."""
    engines = Engines(house.db, house.storage, WorkerSettings(model_cache=cache, provider="cpu"))
    yield engines
    engines.close()


async def registered(house: House) -> tuple[str, str, str]:
    (model,) = await house.sql("SELECT name, version, sha256 FROM models")
    return model["name"], model["version"], model["sha256"]


@pytest.mark.parametrize("room", [5, 20, 60])  # MiB: too little for a thread, to parse the model, to lay it out
def test_want_of_memory_passes_and_the_files_stay(infra: Infrastructure, tmp_path: Path, room: int) -> None:
    digest = sha256((BUNDLE / "bundle.json").read_bytes())
    folder = shutil.copytree(BUNDLE, tmp_path / digest)
    before = folder.stat().st_ino
    command = [sys.executable, "-c", STARVED, str(tmp_path), digest, str(room)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | infra.environment)
    assert [line for line in said.stdout.splitlines() if not line.startswith(("{", "\x1b", "20"))] == [
        "NotLoadedYet",
        "covid-ct-densenet169 1 NotLoadedYet",
        "covid-ct-densenet169",
    ], said.stdout + said.stderr
    assert folder.stat().st_ino == before


async def test_without_a_disk_a_study_waits_and_spends_no_attempt(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    cache = tmp_path / "models"
    cache.write_text("a file where the folder should be: no disk")
    event = await facility.receive(await facility.store(lung(2)))
    job = await claimed(ANALYSES, house.db)
    async with fresh(house, cache) as engines:
        await Analyser(house.db, house.storage, engines, WorkerSettings()).run(job)
        (row,) = await house.sql("SELECT * FROM analyses WHERE study_id = $1", event.study_id)
        assert (row["attempts"], row["error_code"], row["finished_at"]) == (0, None, None)
        assert row["available_at"] - datetime.now(UTC) < timedelta(seconds=FIRST_S)
        with pytest.raises(NotLoadedYet) as again:
            await engines.get(*await registered(house))
        assert 0 < again.value.wait_s <= FIRST_S
        assert "can't be loaded now" in str(engines.facts["refused"])
        await kept_loaded(engines)
        with pytest.raises(RuntimeError, match="being loaded"):
            await engines.ready()
    cache.unlink()
    await house.sql("UPDATE analyses SET available_at = now()")
    async with fresh(house, cache) as engines:
        await Analyser(house.db, house.storage, engines, WorkerSettings()).run(await claimed(ANALYSES, house.db))
    (row,) = await house.sql("SELECT * FROM analyses WHERE study_id = $1", event.study_id)
    assert (row["attempts"], row["error_code"]) == (1, None)
    assert row["finished_at"]


async def test_files_whose_hashes_hold_are_kept_and_not_fetched_again(tiny: str, house: House, tmp_path: Path) -> None:
    files = signed(bundle_files(unrunnable()))
    digest = sha256(files["bundle.json"])
    (tmp_path / digest).mkdir()
    for name, content in files.items():
        (tmp_path / digest / name).write_bytes(content)
    async with fresh(house, tmp_path) as engines:
        for _ in range(2):
            with pytest.raises(Unanalysable):
                await engines.get("tiny", "0.1.0", digest)  # the store has no such bundle
            assert "NoSuchOperator" in str(engines.facts["refused"])
    assert {path.name for path in (tmp_path / digest).iterdir()} == set(files)


async def test_what_was_refused_rests_for_a_while_but_not_for_a_study(tiny: str, house: House, tmp_path: Path) -> None:
    model = await registered(house)
    async with fresh(house, tmp_path) as engines:
        async with damaged(house, "0.1.0"):
            with pytest.raises(Unanalysable):
                await engines.get(*model)
        await kept_loaded(engines)
        assert engines.facts["models"] == []
        await engines.ready()
        assert (await engines.get(*model)).bundle.name == "tiny"
        assert engines.facts["refused"] == {}


async def kept_loaded(engines: Engines) -> None:
    """One look at what to load, and a little longer."""
    looking = asyncio.create_task(engines.keep_loaded())
    await asyncio.sleep(0.7)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)


def test_each_failure_doubles_the_time_to_the_next_try() -> None:
    troubles = Troubles()
    assert [troubles.note("a", passing=False) for _ in range(6)] == [FIRST_S, 20, 40, 80, LONGEST_S, LONGEST_S]
    assert 0 < LONGEST_S - troubles.wait_s("a") < 1
    assert (troubles.wait_s("b"), troubles.passing("a"), troubles.passing("b")) == (0, False, False)
    troubles.note("a", passing=True)
    assert troubles.passing("a")
    troubles.over("a")
    assert (troubles.wait_s("a"), troubles.note("a", passing=True)) == (0, FIRST_S)


@pytest.mark.parametrize(
    ("said", "short"),
    [
        ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Exception during initialization: std::bad_alloc", True),
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 67108864", True),
        ("CUDA failure 2: out of memory ; GPU=0", True),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", True),
        ("can't start new thread", True),
        ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for NoSuchOperator(18)", False),
        ("[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model failed: Protobuf parsing failed.", False),
    ],
)
def test_want_of_memory_is_told_from_a_bad_model(said: str, short: bool) -> None:
    assert may_pass(RuntimeError(said)) is short
