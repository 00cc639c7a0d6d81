"""One analysis from its start to its committed result, watched all the while for whether it may go on."""

import asyncio
import time

import structlog
from codetect_shared import bus
from codetect_shared.db import Database
from codetect_shared.events import SeriesFacts
from codetect_shared.jobs import LeaseLost
from codetect_shared.storage import ObjectMissing, Storage, StorageUnavailable
from prometheus_client import Counter, Histogram
from pydantic import ValidationError

from codetect_inference import service
from codetect_inference.batching import Reading
from codetect_inference.cost import Cost
from codetect_inference.engines import Engines, Loaded
from codetect_inference.explain import UNLIKE_FROM, Maps, explain
from codetect_inference.failures import NotLoadedYet, NotSignedYet, Unanalysable
from codetect_inference.keeping import Keeper, Progress
from codetect_inference.manifest import Manifest
from codetect_inference.models import ANALYSES, Analysis
from codetect_inference.preprocess import plan_series
from codetect_inference.result import Result
from codetect_inference.settings import WorkerSettings
from codetect_inference.stops import Stops
from codetect_inference.volume import Volume, VolumeRefused, open_volume

log = structlog.get_logger()
LABELS = ["model", "version", "provider"]
SLICES = Counter("codetect_slices_total", "Slices a model read.", LABELS)
CPU = Counter("codetect_analysis_cpu_seconds_total", "Processor time of analyses' own threads.", LABELS)
MODEL = Counter("codetect_model_seconds_total", "Wall time of runs of the model, on whatever runs it.", LABELS)
FALLEN_BACK = Counter(
    "codetect_model_fallbacks_total",
    "Analyses read by the version before, since this process can't load theirs.",
    ["model", "wanted", "version"],
)
UNLIKE = Counter("codetect_out_of_distribution_total", "Studies unlike a model's training data.", ["model", "version"])
FIRST = Histogram("codetect_first_batch_seconds", "From an analysis's claim to its first batch.")
LOOK_S = 1.0  # how often progress is told, and whether to go on is asked
STORE_AWAY_S = 5.0
NOT_SIGNED_S = 60.0


class Analyser:
    """Runs one analysis after the other; several may be in hand at once."""

    def __init__(self, db: Database, storage: Storage, engines: Engines, settings: WorkerSettings) -> None:
        self._db, self._storage, self.engines = db, storage, engines
        self._keeper = Keeper(db, storage, settings.parametric_maps)
        self._stops = Stops(settings.database_system_url)  # Postgres itself, where LISTEN works

    async def run(self, job: Analysis) -> None:
        """Do one analysis and settle it. What can't end otherwise fails at once; what may, is tried again."""
        begun = time.monotonic()
        try:
            async with self._db.facility(job.facility_id) as session:
                await service.start(session, job)
            await self._watched(job, begun)
        except Unanalysable as error:
            log.warning("analysis failed", code=error.code, cause=repr(error.__cause__))
            async with self._db.facility(job.facility_id) as session:
                await service.fail(session, await ANALYSES.settle(session, job), error.code)
        except StorageUnavailable as error:
            log.warning("the object store is away: the analysis waits", error=repr(error))
            await self._wait(job, STORE_AWAY_S)
        except NotSignedYet:
            log.warning("the model isn't signed: the analysis waits", model=job.model_name, version=job.model_version)
            await self._wait(job, NOT_SIGNED_S)
        except NotLoadedYet as error:
            log.warning("the model can't be loaded now: the analysis waits", cause=repr(error.__cause__))
            await self._wait(job, error.wait_s)

    async def _wait(self, job: Analysis, seconds: float) -> None:
        """Try again later; what it waits for isn't its own fault."""
        async with self._db.system() as session:
            await ANALYSES.postpone(session, job, seconds, spent=False)

    async def _watched(self, job: Analysis, begun: float) -> None:
        """Analyse, and once a second tell how far it got; stops when the job is no longer ours (LeaseLost)."""
        progress = Progress()
        work = asyncio.create_task(self._analyse(job, progress, begun))
        watched: set[asyncio.Future[None]] = {work}
        try:
            with self._stops.of(job.id) as stopped:
                watched.add(stopped)
                while not work.done():
                    done, _ = await asyncio.wait(watched, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                    watched -= done & {stopped}
                    if not work.done():
                        await self._look(job, progress)
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            del work, watched  # a failed task and this frame hold each other, and all that the study had

    async def _look(self, job: Analysis, progress: Progress) -> None:
        """Tell how far it got. Raises LeaseLost when it is no longer ours."""
        try:
            async with self._db.facility(job.facility_id) as session:
                await service.progress(session, job, progress.done)
        except bus.TRANSIENT as error:
            log.warning("progress not told", error=repr(error))
        except LeaseLost:
            if not progress.committing:  # else the commit itself says whether it is lost, or just settled
                raise

    async def _analyse(self, job: Analysis, progress: Progress, begun: float) -> None:
        cost = Cost()
        result, provider = await self._result(job, cost, progress, begun)  # what of the series isn't in it is free now
        await self._keeper.commit(job, result, provider, cost, progress)
        labels = (job.model_name, job.model_version, provider)
        SLICES.labels(*labels).inc(len(result.maps.slices))
        CPU.labels(*labels).inc(cost.cpu_s)
        MODEL.labels(*labels).inc(cost.model_s)
        if (result.explanation.unlikeness or 0) >= UNLIKE_FROM and not job.shadow_for:
            UNLIKE.labels(job.model_name, job.model_version).inc()

    async def _result(self, job: Analysis, cost: Cost, progress: Progress, begun: float) -> tuple[Result, str]:
        series = SeriesFacts.model_validate(job.series)
        model = await self._model(job)
        how = model.bundle.preprocessing
        try:
            volume, manifest = await self._study(series, cost)
            plan = await cost.thread(plan_series, len(volume), volume.slice, how.margin)
            if not plan.shows_lung:
                raise Unanalysable("no_lung")
            reading = Reading(volume.slice, plan, how, job.rank, cost)
            progress.follow(reading, passed_over=len(volume) - len(plan.slices))
            outputs = await model.line.run(reading)
            maps = Maps.of(plan, outputs, reading.inputs())
            explanation = explain(model.bundle, plan, maps, series.irregularities, manifest.place)
            hu = await cost.thread(lambda: {n: volume.slice(n) for n in explanation.top_slices})
        except VolumeRefused as error:
            raise Unanalysable("volume_unreadable") from error
        FIRST.observe((reading.begun_at or begun) - begun)
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
            hu=hu,
        )
        return result, model.engine.provider

    async def _model(self, job: Analysis) -> Loaded:
        """The version that reads; where it can't be loaded, the one that served before it."""
        try:
            return await self.engines.get(job.model_name, job.model_version, str(job.model_sha256))
        except (Unanalysable, NotLoadedYet) as error:
            wanted = job.model_version
            async with self._db.facility(job.facility_id) as session:
                if not await service.fall_back(session, job):
                    if isinstance(error, Unanalysable) and await service.unsigned(session, job):
                        raise NotSignedYet from None
                    raise
            log.warning("an older version reads", model=job.model_name, wanted=wanted, version=job.model_version)
            FALLEN_BACK.labels(job.model_name, wanted, job.model_version).inc()
            return await self.engines.get(job.model_name, job.model_version, str(job.model_sha256))

    async def _study(self, series: SeriesFacts, cost: Cost) -> tuple[Volume, Manifest]:
        try:
            content, manifest = await asyncio.gather(
                self._storage.get("studies", series.volume_key), self._storage.get("studies", series.manifest_key)
            )
            cost.bytes_read += len(content) + len(manifest)
            volume = await cost.thread(open_volume, content, series.volume_sha256)
            return volume, Manifest.model_validate_json(manifest)
        except ObjectMissing as error:
            raise Unanalysable("volume_missing") from error
        except ValidationError as error:
            raise Unanalysable("volume_unreadable") from error
