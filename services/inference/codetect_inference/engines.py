"""The models in memory: fetched from the object store into a local folder, checked there, loaded, warmed up."""

import asyncio
import ctypes
import shutil
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from codetect_shared import bus
from codetect_shared.db import Database
from codetect_shared.storage import ObjectMissing, Storage
from onnx import TensorProto, helper
from prometheus_client import Gauge

from codetect_inference import serving
from codetect_inference.bundle import (
    MANIFEST,
    Bundle,
    BundleAltered,
    BundleModelUnusable,
    BundleRefused,
    open_folder,
    read_manifest,
)
from codetect_inference.engine import Engine, ProviderUnavailable, Wanted, open_session
from codetect_inference.failures import Unanalysable
from codetect_inference.models import bundle_prefix
from codetect_inference.settings import WorkerSettings
from codetect_inference.signature import SIGNATURE

log = structlog.get_logger()
REFUSED = Gauge("codetect_model_refused", "1: this process can't load the version.", ["model", "version"])
AHEAD = 2  # batches being prepared, or waiting prepared, beside those that run
CPU_BATCH = 2


@dataclass
class Loaded:
    """A model in memory. Batches take a slot before they are prepared, in order: studies don't overtake each other."""

    bundle: Bundle
    engine: Engine
    slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.engine.threads + AHEAD)

    @property
    def batch(self) -> int:
        """Slices of one run."""
        return self.engine.fixed_batch or CPU_BATCH


class Engines:
    """Bundles by the hash of their bundle.json, the ones longest unused dropped first."""

    def __init__(self, db: Database, storage: Storage, settings: WorkerSettings) -> None:
        self._db, self._storage, self._settings = db, storage, settings
        self._folder = settings.model_cache.expanduser()
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self._loading = asyncio.Lock()
        self._warm = False
        self._refused: dict[str, str] = {}
        self.provider = probe(settings.provider)
        self.facts: dict[str, object] = {"provider": self.provider, "models": [], "refused": self._refused}

    async def get(self, name: str, version: str, sha256: str) -> Loaded:
        """A model ready to run. Raises Unanalysable when its bundle is missing, damaged or can't be loaded."""
        if sha256 not in self._loaded:
            async with self._loading:
                if sha256 not in self._loaded:
                    self._loaded[sha256] = await self._load(name, version, sha256)
                    while len(self._loaded) > self._settings.models_loaded:
                        self._loaded.popitem(last=False)
                    self.facts["models"] = [f"{m.bundle.name} {m.bundle.version}" for m in self._loaded.values()]
        self._loaded.move_to_end(sha256)
        return self._loaded[sha256]

    async def _load(self, name: str, version: str, sha256: str) -> Loaded:
        folder = self._folder / sha256
        try:
            if not folder.exists():
                await self._fetch(bundle_prefix(name, version, sha256), folder)
            loaded = await asyncio.to_thread(self._open, folder, sha256)
            self._settled(name, version, None)
            return loaded
        except (ObjectMissing, BundleRefused) as error:
            log.error("model refused", model=name, version=version, error=str(error))
            self._settled(name, version, "a file is missing" if isinstance(error, ObjectMissing) else str(error))
            shutil.rmtree(folder, ignore_errors=True)
            raise Unanalysable("model_unusable") from error

    def _settled(self, name: str, version: str, refused: str | None) -> None:
        """Say whether a version can be loaded here; where it can't, the one that served before goes on."""
        REFUSED.labels(name, version).set(refused is not None)
        if refused is None:
            self._refused.pop(f"{name} {version}", None)
        else:
            self._refused[f"{name} {version}"] = refused

    def _open(self, folder: Path, sha256: str) -> Loaded:
        bundle = open_folder(folder, self._settings.trusted_keys)
        if bundle.sha256 != sha256:
            raise BundleAltered(f"{MANIFEST} isn't the one that was registered")
        try:
            engine = Engine(bundle, self.provider, self._settings.threads, self._settings.batch)
            engine.warm_up()
            trim()
        except ProviderUnavailable:
            raise
        except Exception as error:  # whatever ONNX Runtime says to a model; one bad model must not stop the others
            raise BundleModelUnusable(f"ONNX Runtime can't run it: {error}") from error
        log.info("model loaded", model=bundle.manifest.name, version=bundle.manifest.version, provider=engine.provider)
        return Loaded(bundle.manifest, engine)

    async def _fetch(self, prefix: str, folder: Path) -> None:
        """Download a bundle; its folder appears whole, by the process that is first."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as temporary:
            fresh = Path(temporary) / "bundle"
            fresh.mkdir()
            manifest = await self._storage.get("models", prefix + MANIFEST)
            (fresh / MANIFEST).write_bytes(manifest)
            for name in (SIGNATURE, *read_manifest(manifest).files):
                (fresh / name).write_bytes(await self._storage.get("models", prefix + name))
            with suppress(OSError):  # another process was first
                fresh.rename(folder)

    async def keep_loaded(self) -> None:
        """Load what new studies will need before they come. A provider that can't run ends the process."""
        while True:
            try:
                async with self._db.system() as session:
                    current = await serving.in_use(session)
                for model in current[: self._settings.models_loaded]:
                    with suppress(Unanalysable):
                        await self.get(model.name, model.version, model.sha256)
                self._warm = True
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
            model.engine.close()


def trim() -> None:
    """Give the kernel back what loading took beside the model itself: 90 MiB that glibc would keep."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def probe(wanted: Wanted) -> Wanted:
    """The provider that runs here, found with a model of one node. Raises ProviderUnavailable."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("a", "b")]
    graph = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "probe", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return open_session(model.SerializeToString(), wanted)[1]  # type: ignore[return-value]
