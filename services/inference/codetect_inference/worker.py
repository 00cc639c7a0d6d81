"""The worker: takes analyses, streams their volumes, runs the model, commits results guarded by the job's fence."""

import asyncio
import ctypes
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import structlog
from codetect_shared import bus
from codetect_shared.app import Background, create_app, readiness
from codetect_shared.db import Database
from codetect_shared.events import ResultDocument, SeriesFacts
from codetect_shared.jobs import LeaseLost, Worker
from codetect_shared.storage import ObjectMissing, Storage, StorageUnavailable
from fastapi import FastAPI
from prometheus_client import Counter
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import service
from codetect_inference.engine import Floats, Outputs
from codetect_inference.engines import Engines, Loaded
from codetect_inference.explain import Maps, explain
from codetect_inference.failures import Unanalysable
from codetect_inference.manifest import Manifest
from codetect_inference.models import ANALYSES, Analysis
from codetect_inference.preprocess import Plan, brightness, plan_series, prepare_batch
from codetect_inference.result import Result
from codetect_inference.settings import WorkerSettings
from codetect_inference.volume import Volume, VolumeRefused, open_volume
from codetect_inference.watch.measures import tallies

if TYPE_CHECKING:
    from codetect_inference.documents import Document

log = structlog.get_logger()
SLICES = Counter("codetect_slices_total", "Slices a model read.", ["model", "version", "provider"])
FALLEN_BACK = Counter(
    "codetect_model_fallbacks_total",
    "Analyses read by the version before, since this process can't load theirs.",
    ["model", "wanted", "version"],
)
UNLIKE = Counter("codetect_out_of_distribution_total", "Studies unlike a model's training data.", ["model", "version"])
LOOK_S = 0.5  # how often progress is told, and whether to go on is asked
STORE_AWAY_S = 5.0
DRAIN_S = 15  # supervisors wait 20 s
M_MMAP_THRESHOLD = -3  # malloc.h


class Progress:
    """How far a run is: slices done with, and whether it commits; written by the run, read by who tells."""

    def __init__(self) -> None:
        self.done, self.committing = 0, False


class Analyser:
    """Runs one analysis after the other; several may be in hand at once."""

    def __init__(self, db: Database, storage: Storage, engines: Engines, *, parametric_maps: bool = True) -> None:
        self._db, self._storage, self._engines = db, storage, engines
        self._parametric_maps = parametric_maps

    async def run(self, job: Analysis) -> None:
        """Do one analysis and settle it. What can't end otherwise fails at once; what may, is tried again."""
        try:
            async with self._db.facility(job.facility_id) as session:
                await service.start(session, job)
            await self._watched(job)
        except Unanalysable as error:
            log.warning("analysis failed", code=error.code, cause=repr(error.__cause__))
            async with self._db.facility(job.facility_id) as session:
                await service.fail(session, await ANALYSES.settle(session, job), error.code)
        except StorageUnavailable as error:
            log.warning("the object store is away: the analysis waits", error=repr(error))
            async with self._db.system() as session:
                await ANALYSES.postpone(session, job, STORE_AWAY_S, spent=False)

    async def _watched(self, job: Analysis) -> None:
        """Analyse, and twice a second tell how far it got; stops when the job is no longer ours (LeaseLost)."""
        progress = Progress()
        work = asyncio.create_task(self._analyse(job, progress))
        try:
            while not (await asyncio.wait([work], timeout=LOOK_S))[0]:
                try:
                    async with self._db.facility(job.facility_id) as session:
                        await service.progress(session, job, progress.done)
                except bus.TRANSIENT as error:
                    log.warning("progress not told", error=repr(error))
                except LeaseLost:
                    if not progress.committing:  # else the commit itself says whether it is lost, or just settled
                        raise
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _analyse(self, job: Analysis, progress: Progress) -> None:
        result, provider = await self._result(job, progress)  # what of the series isn't in it is free by now
        await self._commit(job, result, provider, progress)

    async def _result(self, job: Analysis, progress: Progress) -> tuple[Result, str]:
        series = SeriesFacts.model_validate(job.series)
        model = await self._model(job)
        volume, manifest = await self._study(series)
        how = model.bundle.preprocessing
        plan = await asyncio.to_thread(plan_series, len(volume), volume.slice, how.margin)
        if not plan.shows_lung:
            raise Unanalysable("no_lung")
        progress.done = len(volume) - len(plan.slices)
        maps = await infer(model, volume, plan, progress)
        SLICES.labels(job.model_name, job.model_version, model.engine.provider).inc(len(plan.slices))
        explanation = explain(model.bundle, plan, maps, series.irregularities, manifest.place)
        result = Result(
            analysis_id=job.id,
            fence=job.fence,
            prefix=job.attempt_prefix,
            manifest=manifest,
            bundle=model.bundle,
            bundle_sha256=str(job.model_sha256),
            explanation=explanation,
            maps=maps,
            provider=model.engine.provider,
            hu=await asyncio.to_thread(lambda: {n: volume.slice(n) for n in explanation.top_slices}),
        )
        return result, model.engine.provider

    async def _model(self, job: Analysis) -> Loaded:
        """The version that reads; where it can't be loaded, the one that served before it."""
        try:
            return await self._engines.get(job.model_name, job.model_version, str(job.model_sha256))
        except Unanalysable:
            wanted = job.model_version
            async with self._db.facility(job.facility_id) as session:
                if not await service.fall_back(session, job):
                    raise
            log.warning("an older version reads", model=job.model_name, wanted=wanted, version=job.model_version)
            FALLEN_BACK.labels(job.model_name, wanted, job.model_version).inc()
            return await self._engines.get(job.model_name, job.model_version, str(job.model_sha256))

    async def _study(self, series: SeriesFacts) -> tuple[Volume, Manifest]:
        try:
            content, manifest = await asyncio.gather(
                self._storage.get("studies", series.volume_key), self._storage.get("studies", series.manifest_key)
            )
            volume = await asyncio.to_thread(open_volume, content, series.volume_sha256)
            return volume, Manifest.model_validate_json(manifest)
        except ObjectMissing as error:
            raise Unanalysable("volume_missing") from error
        except (VolumeRefused, ValidationError) as error:
            raise Unanalysable("volume_unreadable") from error

    async def _commit(self, job: Analysis, result: Result, provider: str, progress: Progress) -> None:
        """Store maps and documents under keys of this attempt, then commit; without the commit they go again."""
        maps_key = f"{result.prefix}maps.npz"
        try:
            made = [] if job.shadow_for else [one async for one in self._write(result)]
            await self._storage.put("results", maps_key, await asyncio.to_thread(result.maps.pack))
        except asyncio.CancelledError:
            await self._remove(result.prefix)
            raise
        progress.committing = True
        counts = tallies(result.bundle, result.maps, result.explanation)
        try:
            async with self._db.facility(job.facility_id) as session:
                await service.complete(
                    session, job, result.explanation, counts, maps_key=maps_key, documents=made, provider=provider
                )
        except LeaseLost:
            await self._remove(result.prefix)
            raise
        if (result.explanation.unlikeness or 0) >= 1 and not job.shadow_for:
            UNLIKE.labels(job.model_name, job.model_version).inc()
        if job.fence > 1:
            await self._remove(job.results_prefix, but=result.prefix)

    async def _write(self, result: Result) -> AsyncIterator[ResultDocument]:
        """Store the documents, each before the next is made."""
        made = await asyncio.to_thread(begin_documents, result, self._parametric_maps)
        while one := await asyncio.to_thread(next, made, None):
            await self._storage.put("results", one.facts.key, one.content)
            yield one.facts

    async def _remove(self, prefix: str, but: str | None = None) -> None:
        found = [one.key for one in await self._storage.list("results", prefix)]
        await self._storage.remove("results", [key for key in found if but is None or not key.startswith(but)])


def begin_documents(result: Result, parametric_maps: bool) -> Iterator["Document"]:
    """A result's DICOM documents; what they need is imported by the first study, not by the start."""
    from codetect_inference.documents import documents

    return documents(result, parametric_maps)


async def infer(model: Loaded, volume: Volume, plan: Plan, progress: Progress) -> Maps:
    """Run the planned slices, a few batches prepared ahead in threads, so that the model never waits for one."""
    how, size = model.bundle.preprocessing, model.batch

    async def run(numbers: Sequence[int]) -> tuple[Outputs, Floats]:
        async with model.slots:
            images = await asyncio.to_thread(prepare_batch, map(volume.slice, numbers), plan.box, how)
            outputs = await model.engine.submit(images)
        progress.done += len(numbers)
        return outputs, brightness(images)

    async with asyncio.TaskGroup() as group:
        batches = [plan.slices[at : at + size] for at in range(0, len(plan.slices), size)]
        runs = [group.create_task(run(batch)) for batch in batches]
    outputs, inputs = zip(*(one.result() for one in runs), strict=True)
    return Maps.of(plan, Outputs.together(outputs), np.concatenate(inputs))


async def give_up(session: AsyncSession, row: Analysis, error: Exception | None) -> None:
    """After the last attempt."""
    await service.fail(session, row, "gave_up")


def app(settings: WorkerSettings) -> FastAPI:
    """As many analyses in hand as the settings say, on shared engines."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        give_memory_back()
        engines = Engines(db, storage, settings)
        readiness(app, {"database": db.ping, "storage": storage.ping, "models": engines.ready}, engines.facts)
        run = Analyser(db, storage, engines, parametric_maps=settings.parametric_maps).run
        hand = Worker(ANALYSES, db, settings.rabbitmq_url, run, give_up, drain_s=DRAIN_S)
        hands = [hand.run for _ in range(settings.jobs_in_hand)]
        yield [engines.keep_loaded, *hands]
        engines.close()

    return create_app(settings, "worker", parts)


def give_memory_back() -> None:
    """Let glibc return whatever held a volume: left alone, it keeps freed ones in its heaps, and a worker grows."""
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)
