"""The models in memory: fetched from the object store into a local folder, checked there, loaded, warmed up."""

import asyncio
import ctypes
import shutil
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from codetect_shared import bus
from codetect_shared.db import Database
from codetect_shared.storage import ObjectMissing, Storage, StorageUnavailable
from onnx import TensorProto, helper
from prometheus_client import Gauge

from codetect_inference import serving
from codetect_inference.batching import Line
from codetect_inference.bundle import (
    MANIFEST,
    Bundle,
    BundleAltered,
    BundleModelUnusable,
    BundleRefused,
    LoadedBundle,
    open_folder,
)
from codetect_inference.engine import GPU_BATCH, Engine, ProviderUnavailable, Wanted, Way, cores, open_session
from codetect_inference.failures import NotLoadedYet, Unanalysable
from codetect_inference.models import bundle_prefix
from codetect_inference.remote import bundle_files
from codetect_inference.settings import WorkerSettings
from codetect_inference.troubles import Troubles, may_pass
from codetect_inference.tuning import best_engine

log = structlog.get_logger()
REFUSED = Gauge("codetect_model_refused", "1: this process can't load the version.", ["model", "version"])
WAY = Gauge(
    "codetect_model_runs", "How a model's runs are laid out: lanes, threads, batch.", ["model", "version", "what"]
)


@dataclass(frozen=True)
class Loaded:
    """A model in memory, and the line of studies before it."""

    bundle: Bundle
    engine: Engine
    line: Line
    facts: dict[str, object]


class Engines:
    """Bundles by the hash of their bundle.json, the ones longest unused dropped first."""

    def __init__(self, db: Database, storage: Storage, settings: WorkerSettings) -> None:
        self._db, self._storage, self._settings = db, storage, settings
        self._folder = settings.model_cache.expanduser()
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._loading = asyncio.Lock()
        self._warm = False
        self._refused: dict[str, str] = {}
        self._troubles = Troubles()
        self.provider = probe(settings.provider)
        self.facts: dict[str, object] = {"provider": self.provider, "models": [], "refused": self._refused}

    async def get(self, name: str, version: str, sha256: str) -> Loaded:
        """A model ready to run.

        Raises Unanalysable when its bundle is missing, damaged or can't be run, NotLoadedYet for what may pass.
        """
        if sha256 not in self._loaded:
            async with self._loading:
                if sha256 not in self._loaded:
                    self._loaded[sha256] = await self._load(name, version, sha256)
                    while len(self._loaded) > self._settings.models_loaded:
                        self._loaded.popitem(last=False)
                    named = {f"{m.bundle.name} {m.bundle.version}": m.facts for m in self._loaded.values()}
                    self.facts |= {"models": list(named), "runs": named}
        self._loaded.move_to_end(sha256)
        return self._loaded[sha256]

    async def _load(self, name: str, version: str, sha256: str) -> Loaded:
        if self._troubles.passing(sha256) and (wait_s := self._troubles.wait_s(sha256)):
            raise NotLoadedYet(wait_s)
        try:
            bundle = await self._bundle(bundle_prefix(name, version, sha256), self._folder / sha256, sha256)
            loaded = await asyncio.to_thread(self._started, bundle)
        except StorageUnavailable:
            raise
        except (ObjectMissing, BundleRefused) as error:
            log.error("model refused", model=name, version=version, error=str(error))
            self._settled(name, version, "a file is missing" if isinstance(error, ObjectMissing) else str(error))
            self._troubles.note(sha256, passing=False)
            raise Unanalysable("model_unusable") from error
        except Exception as error:
            if not may_pass(error):
                raise
            log.warning("model can't be loaded now", model=name, version=version, error=repr(error))
            self._settled(name, version, f"can't be loaded now: {error!r}")
            raise NotLoadedYet(self._troubles.note(sha256, passing=True)) from error
        self._settled(name, version, None)
        self._troubles.over(sha256)
        return loaded

    async def _bundle(self, prefix: str, folder: Path, sha256: str) -> LoadedBundle:
        """A bundle whose hashes and signature hold, out of its folder or fetched into it."""
        try:
            return await asyncio.to_thread(self._checked, folder, sha256)
        except BundleModelUnusable:  # its hashes hold: fetched again it would be the same
            raise
        except (FileNotFoundError, BundleRefused):  # not here yet, or as it was before it was signed anew
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            await self._fetch(prefix, folder)
            return await asyncio.to_thread(self._checked, folder, sha256)

    def _settled(self, name: str, version: str, refused: str | None) -> None:
        """Say whether a version can be loaded here; where it can't, the one that served before goes on."""
        REFUSED.labels(name, version).set(refused is not None)
        if refused is None:
            self._refused.pop(f"{name} {version}", None)
        else:
            self._refused[f"{name} {version}"] = refused

    def _checked(self, folder: Path, sha256: str) -> LoadedBundle:
        bundle = open_folder(folder, self._settings.trusted_keys)
        if bundle.sha256 != sha256:
            raise BundleAltered(f"{MANIFEST} isn't the one that was registered")
        return bundle

    def _started(self, bundle: LoadedBundle) -> Loaded:
        try:
            engine, facts = self._engine(bundle)
            trim()
        except Exception as error:  # whatever ONNX Runtime says to a model; one bad model must not stop the others
            if isinstance(error, ProviderUnavailable) or may_pass(error):
                raise
            raise BundleModelUnusable(f"ONNX Runtime can't run it: {error}") from error
        name, version = bundle.manifest.name, bundle.manifest.version
        log.info("model loaded", model=name, version=version, provider=engine.provider, **facts)
        for what, value in engine.way._asdict().items():
            WAY.labels(name, version, what).set(value)
        return Loaded(bundle.manifest, engine, Line(engine), facts)

    def _engine(self, bundle: LoadedBundle) -> tuple[Engine, dict[str, object]]:
        """A warm engine laid out as the settings say, else as was measured; and what to tell of it."""
        wanted = self._settings
        if self.provider != "cpu" or wanted.threads or wanted.batch or not wanted.tune_s:
            way = asked_for(wanted, self.provider)
            engine = Engine(bundle, self.provider, way, half=wanted.half, cache=self._folder / "tensorrt")
            engine.warm_up()
            return engine, engine.way._asdict()
        engine, tuned, now = best_engine(bundle, wanted.tune_s, self._folder / f"{bundle.sha256}.tuning.json")
        return engine, engine.way._asdict() | {"slices_per_s": tuned.rates, "measured": "now" if now else "before"}

    async def _fetch(self, prefix: str, folder: Path) -> None:
        """Download a bundle; its folder appears whole, by the process that is first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as temporary:
            fresh = Path(temporary) / "bundle"
            fresh.mkdir()
            async for name, content in bundle_files(self._storage, prefix):
                (fresh / name).write_bytes(content)
            with suppress(OSError):  # another process was first
                fresh.rename(folder)

    async def keep_loaded(self) -> None:
        """Load what new studies will need before they come. A provider that can't run ends the process."""
        while True:
            try:
                async with self._db.system() as session:
                    current = (await serving.in_use(session))[: self._settings.models_loaded]
                for model in current:
                    if not self._troubles.wait_s(model.sha256):
                        with suppress(Unanalysable, NotLoadedYet):
                            await self.get(model.name, model.version, model.sha256)
                self._warm |= not any(self._troubles.passing(model.sha256) for model in current)
            except bus.TRANSIENT as error:
                log.warning("models not loaded", error=repr(error))
            await asyncio.sleep(10 if self._warm else 1)

    async def ready(self) -> None:
        """Raise until the registered models are warm."""
        if not self._warm:
            raise RuntimeError("models are being loaded")

    def close(self) -> None:
        """Drop all models."""
        for model in self._loaded.values():
            model.line.close()


def trim() -> None:
    """Give the kernel back what loading took beside the model itself: 90 MiB that glibc would keep."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def asked_for(wanted: WorkerSettings, provider: str) -> Way:
    """How runs are laid out without measuring."""
    if provider == "cpu":
        return Way(wanted.threads or cores(), batch=wanted.batch or 2)
    return Way(1, batch=wanted.batch or GPU_BATCH)


def probe(wanted: Wanted) -> Wanted:
    """The provider that runs here, found with a model of one node. Raises ProviderUnavailable."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "probe", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return open_session(model.SerializeToString(), wanted)[1]  # type: ignore[return-value]
