"""ONNX Runtime around one bundle: which provider runs it, and as much of the machine as it can use."""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from codetect_inference.bundle import LoadedBundle
from codetect_inference.halves import halved, unpacked

Floats = NDArray[np.float32]
Wanted = Literal["auto", "cuda", "tensorrt", "cpu"]

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
TENSORRT = "libnvinfer.so.10"
GPU_BATCH = 32  # one fixed size: each new shape makes CUDA plan and keep memory again


class ProviderUnavailable(RuntimeError):
    """The execution provider that the settings ask for can't run here."""


class Outputs(NamedTuple):
    """What a model says to n images: logits (n, labels), cams (n, labels, side/32, side/32), distances (n,) or None."""

    logits: Floats
    cams: Floats
    distances: Floats | None = None

    @classmethod
    def together(cls, parts: Iterable[Outputs]) -> Outputs:
        """Several batches' as one."""
        return cls(*(None if of[0] is None else np.concatenate(of) for of in zip(*parts, strict=True)))  # type: ignore[arg-type]

    def rows(self, chosen: slice) -> Outputs:
        """Some of the images'."""
        return Outputs(*(None if of is None else of[chosen] for of in self))  # type: ignore[arg-type]


class Way(NamedTuple):
    """How runs are laid out: so many side by side, with so many threads each, of so many slices."""

    lanes: int
    threads: int = 1
    batch: int = 1


class Engine:
    """One loaded model; `run` blocks and may be called from many places at once.

    On a CPU `way.lanes` runs go side by side on one session (`tuning` finds how); batches may have any size. On a GPU
    one run at a time takes a whole batch of a fixed size, and computes in fp16 (`halves`) unless told otherwise.
    """

    def __init__(
        self,
        bundle: LoadedBundle,
        provider: Wanted = "auto",
        way: Way | None = None,
        *,
        half: bool = True,
        cache: Path | None = None,
    ) -> None:
        self.labels, self.side = len(bundle.manifest.labels), bundle.manifest.preprocessing.side
        threads = way.threads if way else 1
        self._session, self.provider = open_session(bundle.model, provider, threads=threads, half=half, cache=cache)
        self._names = ["logits", "cam", *(["distance"] if bundle.manifest.outliers else [])]
        self.on_gpu = self.provider != "cpu"
        self.way = way or (Way(1, batch=GPU_BATCH) if self.on_gpu else Way(cores()))
        self.run = partial(self.run_filled, self.way.batch) if self.on_gpu else self.run_any

    def run_any(self, images: Floats) -> Outputs:
        """Images (n, 1, side, side) float32 -> what the model says to them, in one run."""
        return Outputs(*self._session.run(self._names, {"image": images}))

    def run_filled(self, size: int, images: Floats) -> Outputs:
        """The same in runs of one fixed size, the last one filled up with copies, through I/O binding."""
        return Outputs.together(self._run_bound(images[at : at + size], size) for at in range(0, len(images), size))

    def _run_bound(self, images: Floats, size: int) -> Outputs:
        filled = images if len(images) == size else np.resize(images, (size, *images.shape[1:]))
        binding = self._session.io_binding()
        binding.bind_cpu_input("image", np.ascontiguousarray(filled))
        for name in self._names:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        return Outputs(*(np.asarray(one)[: len(images)] for one in binding.copy_outputs_to_cpu()))

    def map(self, batches: Iterable[Floats]) -> Iterator[Outputs]:
        """`run` over many batches, all lanes busy, results in order; takes few batches ahead."""
        waiting: deque[Future[Outputs]] = deque()
        with ThreadPoolExecutor(self.way.lanes, thread_name_prefix="model") as pool:
            for batch in batches:
                waiting.append(pool.submit(self.run, batch))
                if len(waiting) > 2 * self.way.lanes:
                    yield waiting.popleft().result()
            yield from (future.result() for future in waiting)

    def warm_up(self) -> None:
        """Run once on every lane, so that the first study doesn't pay for planning memory and kernels."""
        empty = np.zeros((self.way.batch, 1, self.side, self.side), np.float32)
        list(self.map([empty] * self.way.lanes))


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def open_session(
    model: bytes, wanted: Wanted, *, threads: int = 1, half: bool = True, cache: Path | None = None
) -> tuple[ort.InferenceSession, str]:
    """A session and the provider it really uses. Raises ProviderUnavailable rather than run elsewhere than asked."""
    for name in ("tensorrt", "cuda", "cpu") if wanted == "auto" else (wanted,):
        if PROVIDERS[name] not in ort.get_available_providers():
            continue
        if name == "tensorrt" and wanted == "auto" and not has_tensorrt():
            continue
        graph = model if name == "cpu" else halved(model) if half else unpacked(model)
        session = ort.InferenceSession(graph, session_options(name, threads), providers(name, half, cache))
        if session.get_providers()[0] == PROVIDERS[name]:  # without its libraries ONNX Runtime falls back in silence
            return session, name
    have = ", ".join(ort.get_available_providers())
    raise ProviderUnavailable(
        f"CODETECT_INFERENCE_PROVIDER is {wanted}, but ONNX Runtime {ort.__version__} here can only use {have}: "
        "install onnxruntime-gpu with its CUDA libraries and a driver, or choose auto or cpu"
    )


def has_tensorrt() -> bool:
    """Whether TensorRT's own library is here: the wheel has the provider always, the library never."""
    with suppress(OSError):
        ctypes.CDLL(TENSORRT)
        return True
    return False


def providers(name: str, half: bool = True, cache: Path | None = None) -> list[tuple[str, dict[str, Any]]]:
    """What a session may run on, first choice first; what TensorRT can't do is left to CUDA, its engines are kept."""
    if name == "cpu":
        return [(PROVIDERS["cpu"], {})]
    cuda = (PROVIDERS["cuda"], {"arena_extend_strategy": "kSameAsRequested"})
    if name == "cuda":
        return [cuda]
    options = {"trt_fp16_enable": str(int(half))}
    if cache:
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(cache),
        }
    return [(PROVIDERS["tensorrt"], options), cuda]


def session_options(provider: str, threads: int = 1) -> ort.SessionOptions:
    """Fold the stored int8 weights once, at loading; on a CPU one thread keeps each run on its caller's."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 3
    if provider == "cpu":
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        if threads > 1:  # threads that wait by spinning take the processor from preparing and storing
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
