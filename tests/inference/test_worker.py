"""The worker: each analysis is committed once, by whoever holds it, and says in words why when it can't be."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import numpy as np
import onnxruntime as ort
import pytest
from codetect_inference.analysing import Analyser
from codetect_inference.engine import ProviderUnavailable, cores
from codetect_inference.engines import Engines
from codetect_inference.explain import Maps
from codetect_inference.models import ANALYSES, Analysis
from codetect_inference.settings import WorkerSettings
from codetect_inference.worker import give_up
from codetect_shared.jobs import LeaseLost, Worker
from codetect_shared.storage import Storage
from codetect_shared.testing import claimed

from tests.inference.conftest import SAMPLE, Facility, House, Working, lung
from tests.inference.samples import bundle_files, sha256, volume_zip
from tests.inference.worker_process import forget_peak, high_water, worker_process
from tests.infrastructure import Infrastructure

FINAL = {"completed", "failed", "cancelled"}


async def settled(facility: Facility, *study_ids: UUID, within_s: float = 60) -> list[Analysis]:
    """The analyses of these studies, all of them at their end."""
    async with asyncio.timeout(within_s):
        while True:
            found = [one for study_id in study_ids for one in await facility.analyses(study_id)]
            if found and all(one.status in FINAL for one in found):
                return found
            await asyncio.sleep(0.05)


async def running(facility: Facility, study_id: UUID, slices_done: int = 1) -> Analysis:
    """Its analysis, once it is that far."""
    async with asyncio.timeout(30):
        while True:
            (one,) = await facility.analyses(study_id)
            assert one.status in ("queued", "running")
            if one.slices_done >= slices_done:
                return one
            await asyncio.sleep(0.02)


async def taken_over(house: House, analysis_id: UUID) -> Analysis:
    """Another worker claims it, since its lease has run out."""
    await house.sql("UPDATE analyses SET lease_until = now() - interval '1 second' WHERE id = $1", analysis_id)
    job = await claimed(ANALYSES, house.db)
    assert job.id == analysis_id
    return job


def keys(analysis: Analysis) -> set[str]:
    """The objects of a result."""
    return {str(analysis.maps_key), *(one["key"] for one in analysis.documents)}


class Meddling(Storage):
    """The object store, with something happening just when a worker has stored its result, before its commit."""

    def __init__(self, house: House, meanwhile: Callable[[], Awaitable[Any]], name: str = "maps.npz") -> None:
        super().__init__(house.settings)
        self._meanwhile, self._name = meanwhile, name

    async def put(self, bucket: Any, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        await super().put(bucket, key, body, content_type)
        if bucket == "results" and key.endswith(f"/{self._name}"):
            await self._meanwhile()


@asynccontextmanager
async def analysing(house: House, folder: Path, storage: Storage | None = None) -> AsyncIterator[Analyser]:
    """What a worker process runs, without the process around it."""
    settings = WorkerSettings(model_cache=folder, provider="cpu")
    engines = Engines(house.db, house.storage, settings)
    yield Analyser(house.db, storage or house.storage, engines, settings)
    engines.close()


async def test_a_study_is_read_and_told_from_start_to_result(
    tiny: str, facility: Facility, house: House, working: Working
) -> None:
    event = await facility.receive(await facility.store(lung(12)))
    async with working():
        (analysis,) = await settled(facility, event.study_id)
    assert analysis.status == "completed"
    assert (analysis.slices_total, analysis.slices_done, analysis.slices_analysed) == (12, 12, 12)
    assert [one["label"] for one in analysis.findings] == ["grey"]
    assert analysis.provider == "cpu"
    assert analysis.warnings == []
    assert 0 <= analysis.queued_ms <= analysis.total_ms
    assert 0 < analysis.inference_ms <= analysis.total_ms
    assert analysis.available_at is None
    told = await house.told(analysis.id)
    assert [what for what, _ in told if what != "progressed"] == ["queued", "started", "completed"]
    completed = told[-1][1]
    (finding,) = analysis.findings
    assert completed["findings"] == [{name: value for name, value in finding.items() if name != "peak"}]
    assert finding["peak"]["slice"] == analysis.top_slices[0]
    assert len(finding["peak"]["position_mm"]) == 3
    assert [one["slice"] for one in analysis.top_scores] == analysis.top_slices
    assert (completed["slices_analysed"], completed["provider"]) == (12, "cpu")
    maps = Maps.unpack(await house.storage.get("results", str(analysis.maps_key)))
    assert maps.slices.tolist() == list(range(12))
    assert analysis.maps_key == f"{facility.id}/{analysis.id}/1/maps.npz"
    assert completed["documents"] == analysis.documents
    stored = [one.size for one in await house.storage.list("results", analysis.results_prefix)]
    cost = (await facility.ask("GET", f"/analyses/{analysis.id}")).json()["cost"]
    assert cost == completed["cost"]
    assert cost["cpu_ms"] > 0
    assert (cost["gpu_ms"], cost["bytes_written"]) == (0, sum(stored))
    assert cost["bytes_read"] > 12 * 10_000
    assert completed["study_version"] == 1
    assert [one["kind"] for one in analysis.documents] == ["sr", "sc", "sc", "sc", "sc", "pm"]
    for one in analysis.documents:
        content = await house.storage.get("results", one["key"])
        assert (sha256(content), len(content)) == (one["sha256"], one["bytes"])
        assert one["key"].startswith(f"{facility.id}/{analysis.id}/1/")
    assert {one.key for one in await house.storage.list("results", analysis.results_prefix)} == keys(analysis)


async def test_readiness_says_which_provider_and_models(tiny: str, working: Working) -> None:
    async with working() as client:
        async with asyncio.timeout(10):
            while (answer := await client.get("/readyz")).status_code != 200:
                assert answer.status_code == 503
                await asyncio.sleep(0.05)
        assert answer.json()["provider"] == "cpu"
        assert answer.json()["models"] == ["tiny 0.1.0"]
        assert answer.json()["checks"] == {"database": "ok", "storage": "ok", "models": "ok"}


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="this machine has CUDA")
async def test_a_provider_that_is_not_there_stops_the_start(clear: None, working: Working) -> None:
    with pytest.raises(ProviderUnavailable, match="CODETECT_INFERENCE_PROVIDER is cuda"):
        async with working(provider="cuda"):
            pass


async def test_one_bad_model_does_not_stop_the_others(
    tiny: str, facility: Facility, house: House, working: Working
) -> None:
    await facility.register(bundle_files(name="bad"))
    await house.sql("UPDATE models SET sha256 = repeat('0', 64) WHERE name = 'bad'")
    event = await facility.receive(await facility.store(lung(2)))
    async with working():
        found = await settled(facility, event.study_id)
    assert {one.model_name: one.error_code for one in found} == {"tiny": None, "bad": "model_unusable"}


async def test_the_shipped_model_reads_the_sample_with_progress_twice_a_second(
    shipped: str, facility: Facility, house: House, working: Working
) -> None:
    event = await facility.receive(await facility.store(SAMPLE[::-1]))
    async with working():
        (analysis,) = await settled(facility, event.study_id)
    assert analysis.status == "completed"
    assert analysis.slices_total == len(SAMPLE)
    assert 20 <= analysis.slices_analysed < len(SAMPLE)
    assert set(analysis.top_slices) <= set(range(len(SAMPLE)))
    told = [data for what, data in await house.told(analysis.id) if what == "progressed"]
    assert told
    assert len(told) <= analysis.inference_ms / 500 + 1
    steps = [one["slices_done"] for one in told]
    assert steps == sorted(set(steps))
    assert {one["slices_total"] for one in told} == {len(SAMPLE)}


async def test_a_single_slice_is_read_with_a_warning(tiny: str, facility: Facility, working: Working) -> None:
    event = await facility.receive(await facility.store(lung(1)))
    async with working():
        (analysis,) = await settled(facility, event.study_id)
    assert (analysis.status, analysis.slices_analysed) == ("completed", 1)
    assert [one["code"] for one in analysis.warnings] == ["few_slices"]
    assert "1 slice" in analysis.warnings[0]["detail"]


async def test_a_study_that_shows_no_lung_fails_in_words(tiny: str, facility: Facility, working: Working) -> None:
    stored, content = await facility.store(lung(3)), volume_zip(np.full((3, 512, 512), 40, np.int16))
    await facility.house.storage.put("studies", stored.volume_key, content)
    event = await facility.receive(stored.model_copy(update={"volume_sha256": sha256(content)}))
    async with working():
        (analysis,) = await settled(facility, event.study_id)
    assert (analysis.status, analysis.error_code) == ("failed", "no_lung")
    assert analysis.error_detail == "No slice of this study shows lung, so there is nothing for this model to read."
    assert analysis.attempts == 1


async def test_a_damaged_or_missing_volume_fails_at_once(tiny: str, facility: Facility, working: Working) -> None:
    damaged, gone, no_zip = await facility.store(lung(2)), await facility.store(lung(2)), await facility.store(lung(2))
    good = await facility.house.storage.get("studies", damaged.volume_key)
    await facility.house.storage.put("studies", damaged.volume_key, good[:-1] + b"x")
    await facility.house.storage.remove("studies", [gone.volume_key])
    await facility.house.storage.put("studies", no_zip.volume_key, b"no zip")
    cases = [damaged, gone, no_zip.model_copy(update={"volume_sha256": sha256(b"no zip")})]
    events = [await facility.receive(one) for one in cases]
    async with working():
        found = await settled(facility, *(event.study_id for event in events))
    assert [one.error_code for one in found] == ["volume_unreadable", "volume_missing", "volume_unreadable"]
    assert {one.attempts for one in found} == {1}


async def test_a_model_that_was_altered_in_the_store_is_not_run(
    tiny: str, facility: Facility, house: House, working: Working
) -> None:
    (model,) = await house.sql("SELECT * FROM models")
    key = f"{model['name']}/{model['version']}/{model['sha256']}/model.onnx"
    await house.storage.put("models", key, bundle_files()["model.onnx"] + b" ")
    event = await facility.receive(await facility.store(lung(2)))
    async with working():
        (analysis,) = await settled(facility, event.study_id)
        assert (analysis.status, analysis.error_code) == ("failed", "model_unusable")
        await house.storage.put("models", key, bundle_files()["model.onnx"])
        assert (await facility.ask("POST", f"/analyses/{analysis.id}/rerun")).status_code == 202
        (again,) = await settled(facility, event.study_id)
    assert (again.status, again.error_code) == ("completed", None)


async def test_a_result_that_comes_late_is_refused_and_its_object_goes(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(lung(2)))
    job = await claimed(ANALYSES, house.db)
    second: list[Analysis] = []

    async def take_over() -> None:
        second.append(await taken_over(house, job.id))

    async with analysing(house, tmp_path, Meddling(house, take_over)) as first:
        with pytest.raises(LeaseLost):
            await first.run(job)
    assert [one.status for one in await facility.analyses(event.study_id)] == ["running"]
    assert await house.storage.list("results", job.results_prefix) == []
    async with analysing(house, tmp_path) as other:
        await other.run(second[0])
    (analysis,) = await facility.analyses(event.study_id)
    assert (analysis.status, analysis.maps_key) == ("completed", f"{facility.id}/{job.id}/2/maps.npz")
    told = [what for what, _ in await house.told(job.id) if what != "progressed"]
    assert told == ["queued", "started", "started", "completed"]


async def test_what_a_dead_attempt_left_goes_with_the_next_result(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(lung(2)))
    job = await claimed(ANALYSES, house.db)
    await house.storage.put("results", f"{job.results_prefix}1/maps.npz", b"left by a killed worker")
    second = await taken_over(house, job.id)
    async with analysing(house, tmp_path) as worker:
        await worker.run(second)
    (analysis,) = await facility.analyses(event.study_id)
    left = {one.key for one in await house.storage.list("results", job.results_prefix)}
    assert left == keys(analysis)
    assert {key.split("/")[2] for key in left} == {"2"}


async def test_a_study_erased_before_the_commit_leaves_nothing(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(lung(2)))
    job = await claimed(ANALYSES, house.db)
    async with analysing(house, tmp_path, Meddling(house, lambda: facility.erase(event.study_id))) as worker:
        with pytest.raises(LeaseLost):
            await worker.run(job)
    assert await facility.analyses(event.study_id) == []
    assert await house.storage.list("results", job.results_prefix) == []
    assert [what for what, _ in await house.told(job.id)][-1] == "cancelled"


async def test_a_look_that_comes_just_after_the_commit_takes_nothing_for_lost(
    tiny: str, facility: Facility, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codetect_inference.analysing.LOOK_S", 0.001)
    analysed = []
    async with analysing(house, tmp_path) as worker:
        for _ in range(8):
            event = await facility.receive(await facility.store(lung(1)))
            await worker.run(await claimed(ANALYSES, house.db))
            analysed += await facility.analyses(event.study_id)
    assert [one.status for one in analysed] == ["completed"] * 8
    left = {one.key for one in await house.storage.list("results", f"{facility.id}/")}
    assert left == {key for one in analysed for key in keys(one)}


async def test_cancelled_while_its_documents_are_written_an_analysis_leaves_none(
    tiny: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(lung(2)))
    job = await claimed(ANALYSES, house.db)

    async def cancel() -> None:
        assert (await facility.ask("POST", f"/analyses/{job.id}/cancel")).status_code == 200
        assert await house.storage.list("results", job.results_prefix)
        await asyncio.sleep(5)

    async with analysing(house, tmp_path, Meddling(house, cancel, "slice-1.dcm")) as worker:
        with pytest.raises(LeaseLost):
            await worker.run(job)
    assert [one.status for one in await facility.analyses(event.study_id)] == ["cancelled"]
    assert await house.storage.list("results", job.results_prefix) == []


async def test_cancelling_stops_a_run_and_keeps_it_stopped(
    shipped: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(SAMPLE[::-1] * 3))
    job = await claimed(ANALYSES, house.db)
    async with analysing(house, tmp_path) as worker:
        run = asyncio.create_task(worker.run(job))
        await running(facility, event.study_id, 60)
        line = (await worker.engines.get(job.model_name, job.model_version, str(job.model_sha256))).line
        answer = await facility.ask("POST", f"/analyses/{job.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        begun, asked = line.batches, time.monotonic()
        with pytest.raises(LeaseLost):
            await run
        assert time.monotonic() - asked < 2
        assert line.batches - begun <= cores()
    (analysis,) = await facility.analyses(event.study_id)
    assert (analysis.status, analysis.available_at, analysis.maps_key) == ("cancelled", None, None)
    assert await house.storage.list("results", job.results_prefix) == []
    assert [what for what, _ in await house.told(job.id)][-1] == "cancelled"
    assert (await facility.ask("POST", f"/analyses/{job.id}/cancel")).status_code == 409


class Gate:
    """A door in front of the object store that can be shut."""

    def __init__(self, url: str) -> None:
        self._target, self._server, self.port = urlsplit(url), None, 0
        self._open: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self._server
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await self._server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._open |= {writer, forth}
        await asyncio.gather(self._pump(reader, forth), self._pump(back, writer), return_exceptions=True)
        self._open -= {writer, forth}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        writer.close()


async def test_while_the_object_store_is_away_studies_wait_and_spend_no_attempt(
    tiny: str, facility: Facility, house: House, working: Working
) -> None:
    gate = Gate(str(house.settings.storage_url))
    await gate.open()
    seen = await facility.receive(await facility.store(lung(2)))
    async with working(storage_url=f"http://127.0.0.1:{gate.port}"):
        await settled(facility, seen.study_id)
        await gate.shut()
        waiting = [await facility.receive(await facility.store(lung(2))) for _ in range(3)]
        await asyncio.sleep(4)
        assert {one.status for event in waiting for one in await facility.analyses(event.study_id)} <= {
            "queued",
            "running",
        }
        await gate.open()
        found = await settled(facility, *(event.study_id for event in waiting))
    await gate.shut()
    assert {(one.status, one.attempts) for one in found} == {("completed", 1)}


async def test_two_workers_give_each_study_one_result(
    tiny: str, facility: Facility, house: House, working: Working
) -> None:
    stored = await facility.store(lung(4))
    async with working(), working():
        events = [await facility.receive(stored) for _ in range(20)]
        found = await settled(facility, *(event.study_id for event in events))
    assert [one.status for one in found] == ["completed"] * 20
    for one in found:
        told = [what for what, _ in await house.told(one.id) if what != "progressed"]
        assert told == ["queued", "started", "completed"]
    left = {one.key for one in await house.storage.list("results", f"{facility.id}/")}
    assert left == {key for one in found for key in keys(one)}


async def test_a_stopping_worker_finishes_what_it_has_in_hand(
    shipped: str, facility: Facility, working: Working
) -> None:
    event = await facility.receive(await facility.store(SAMPLE[::-1]))
    async with working():
        await running(facility, event.study_id)
    (analysis,) = await facility.analyses(event.study_id)
    assert (analysis.status, analysis.attempts) == ("completed", 1)


async def test_a_worker_stopped_in_the_middle_gives_the_work_back(
    shipped: str, facility: Facility, house: House, tmp_path: Path
) -> None:
    event = await facility.receive(await facility.store(SAMPLE[::-1] * 3))
    async with analysing(house, tmp_path) as analyser:
        hand = Worker(ANALYSES, house.db, house.settings.rabbitmq_url, analyser.run, give_up, drain_s=0)
        task = asyncio.create_task(hand.run())
        await running(facility, event.study_id, 60)
        task.cancel()
        await asyncio.wait([task])
    (analysis,) = await facility.analyses(event.study_id)
    assert (analysis.lease_until, analysis.attempts) == (None, 0)
    assert analysis.available_at is not None


async def test_urgent_studies_go_first(tiny: str, facility: Facility, working: Working) -> None:
    stored = await facility.store(lung(4))
    routine = [await facility.receive(stored) for _ in range(5)]
    urgent = await facility.receive(stored, priority="urgent")
    async with working(jobs_in_hand=1):
        found = await settled(facility, *(event.study_id for event in [*routine, urgent]))
    first = min(found, key=lambda one: one.started_at)
    assert first.study_id == urgent.study_id


async def test_memory_stays_flat_and_small(
    tiny: str, facility: Facility, infra: Infrastructure, tmp_path: Path
) -> None:
    stored = await facility.store([*SAMPLE, *SAMPLE][::-1])  # as long as series are: reports cost what they cost
    series_bytes = stored.slices * stored.rows * stored.columns * 2
    async with worker_process(infra, tmp_path) as process:
        resident = []
        for _ in range(4):
            idle_bytes = process.memory_info().rss
            forget_peak(process)
            events = [await facility.receive(stored) for _ in range(3)]
            await settled(facility, *(event.study_id for event in events))
            resident.append(process.memory_info().rss)
        peak_bytes = high_water(process) - idle_bytes
    assert resident[3] - resident[1] < series_bytes / 2  # the first round loads what writes reports
    assert peak_bytes < 2 * 1.5 * series_bytes
