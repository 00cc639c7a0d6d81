"""ONNX Runtime around one bundle: which provider runs it, and as much of the machine as it can use."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from codetect_inference.bundle import LoadedBundle

Floats = NDArray[np.float32]
Wanted = Literal["auto", "cuda", "tensorrt", "cpu"]

PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "tensorrt": ("TensorrtExecutionProvider", {"trt_fp16_enable": "1"}),
    "cuda": ("CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"}),
    "cpu": ("CPUExecutionProvider", {}),
}
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


class Engine:
    """One loaded model. `run` blocks, `submit` is for asyncio; both may be called from many places at once.

    On a CPU each run has one thread and `threads` of them go side by side on one session, which beats one run on all
    threads; batches may have any size, small ones spread best. On a GPU one run at a time takes a whole `batch`.
    """

    def __init__(self, bundle: LoadedBundle, provider: Wanted = "auto", threads: int = 0, batch: int = 0) -> None:
        self.labels, self.side = len(bundle.manifest.labels), bundle.manifest.preprocessing.side
        self._session, self.provider = open_session(bundle.model, provider)
        self._names = ["logits", "cam", *(["distance"] if bundle.manifest.outliers else [])]
        on_cpu = self.provider == "cpu"
        self.threads = (threads or len(os.sched_getaffinity(0))) if on_cpu else 1
        self.fixed_batch = batch or (0 if on_cpu else GPU_BATCH)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="model")

    def run(self, images: Floats) -> Outputs:
        """Images (n, 1, side, side) float32 -> what the model says to them."""
        if not self.fixed_batch:
            return Outputs(*self._session.run(self._names, {"image": images}))
        parts = [self._run_bound(images[at : at + self.fixed_batch]) for at in range(0, len(images), self.fixed_batch)]
        return Outputs.together(parts)

    async def submit(self, images: Floats) -> Outputs:
        """`run` on the engine's own threads; what is cancelled while waiting never runs."""
        return await asyncio.wrap_future(self._pool.submit(self.run, images))

    def map(self, batches: Iterable[Floats]) -> Iterator[Outputs]:
        """`run` over many batches, all threads busy, results in order; takes few batches ahead."""
        waiting: deque[Future[Outputs]] = deque()
        for batch in batches:
            waiting.append(self._pool.submit(self.run, batch))
            if len(waiting) > 2 * self.threads:
                yield waiting.popleft().result()
        yield from (future.result() for future in waiting)

    def warm_up(self) -> None:
        """Run once on every thread, so that the first study doesn't pay for planning memory and kernels."""
        empty = np.zeros((self.fixed_batch or 1, 1, self.side, self.side), np.float32)
        list(self._pool.map(self.run, [empty] * self.threads))

    def close(self) -> None:
        """Let running batches end and drop waiting ones."""
        self._pool.shutdown(cancel_futures=True)

    def _run_bound(self, images: Floats) -> Outputs:
        """One run of the fixed size, the last images repeated to fill it, through I/O binding."""
        filled = np.resize(images, (self.fixed_batch, *images.shape[1:]))
        binding = self._session.io_binding()
        binding.bind_cpu_input("image", filled)
        for name in self._names:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        return Outputs(*(np.asarray(one)[: len(images)] for one in binding.copy_outputs_to_cpu()))


def open_session(model: bytes, wanted: Wanted) -> tuple[ort.InferenceSession, str]:
    """A session and the provider it really uses. Raises ProviderUnavailable rather than run elsewhere than asked."""
    for name in ("tensorrt", "cuda", "cpu") if wanted == "auto" else (wanted,):
        full_name, options = PROVIDERS[name]
        if full_name not in ort.get_available_providers():
            continue
        session = ort.InferenceSession(model, session_options(name), [(full_name, options)])
        if session.get_providers()[0] == full_name:  # without its libraries ONNX Runtime falls back in silence
            return session, name
    have = ", ".join(ort.get_available_providers())
    raise ProviderUnavailable(
        f"CODETECT_INFERENCE_PROVIDER is {wanted}, but ONNX Runtime {ort.__version__} here can only use {have}: "
        "install onnxruntime-gpu with its CUDA libraries and a driver, or choose auto or cpu"
    )


def session_options(provider: str) -> ort.SessionOptions:
    """Fold the stored int8 weights once, at loading; on a CPU keep each run on its caller's thread."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 3
    if provider == "cpu":
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    return options
