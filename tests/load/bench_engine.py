"""How fast `Engine` runs one model on the provider that is here, and on a GPU how far its answers are from a CPU's.

    python -m tests.load.bench_engine [--bundle FOLDER] [--provider cuda] [--images FOLDER] [--seconds 2] [--json FILE]

prints JSON lines (name, value, unit). It needs no servers, and of Python's packages what the engine itself needs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from codetect_inference.bundle import LoadedBundle, open_folder
from codetect_inference.engine import GPU_BATCH, PROVIDERS, Engine, Floats, Outputs, ProviderUnavailable

Row = dict[str, Any]
MODELS = Path(__file__).parents[2] / "models/covid-ct-densenet169"
SIZES = (32, 8, 16, 64, 128)  # the one in use first, should the time run out
COMPARED = 64  # pseudo-slices
PICTURES = {".png", ".jpg", ".jpeg"}


class Loop(NamedTuple):
    """What running one thing over and over took: runs a second, and seconds of each."""

    rate: float
    taken_s: list[float]

    def latency(self, name: str) -> Iterator[Row]:
        """Of one run."""
        for percent in (50, 99):
            yield row(f"{name}_p{percent}", 1000 * float(np.percentile(self.taken_s, percent)), "ms")


def measure(bundle: LoadedBundle, asked: argparse.Namespace) -> Iterator[Row]:
    """All figures of this file."""
    begun, idle_mib = time.monotonic(), used_mib()
    engine, rows = loaded(bundle, asked.provider, "gpu_fp16")
    yield {
        "name": "engine",
        "provider": engine.provider,
        "onnxruntime": ort.__version__,
        "gpu": gpu("name") if engine.on_gpu else None,
        "driver": gpu("driver_version") if engine.on_gpu else None,
        "bundle": f"{bundle.manifest.name} {bundle.manifest.version}",
    }
    yield from rows
    if not engine.on_gpu:
        yield from on_cpu(engine, asked.seconds)
        yield {"name": "skipped", "value": "batches, copies, memory and differences: no GPU is used here"}
        return
    images = pictures(Path(asked.images), engine.side) if asked.images != "none" else pseudo_slices(engine.side)
    reference, rows = loaded(bundle, "cpu", "cpu")
    yield from rows
    right = Outputs.together(reference.map(images[at : at + 1] for at in range(len(images))))
    del reference
    for name, half in (("gpu_fp16", True), ("gpu_fp32", False)):
        if not half:
            del engine  # its memory goes back, so that each precision's is seen alone
            engine, rows = loaded(bundle, asked.provider, name, half=False)
            yield from rows
        yield from differences(bundle, name, engine.run(images), right)
        yield row(f"{name}_memory", used_mib() - idle_mib, "MiB with the usual batch alone")
        for size in SIZES:
            if time.monotonic() - begun > asked.limit * (0.5 if half else 1):  # leaves the other precision its half
                yield {"name": "skipped", "value": f"{name}, batch {size}: --limit"}
                continue
            yield from batches(engine, name, size, images, asked.seconds)
        yield row(f"{name}_memory_after", used_mib() - idle_mib, "MiB after all batches")


def loaded(bundle: LoadedBundle, provider: Any, name: str, *, half: bool = True) -> tuple[Engine, list[Row]]:
    """A warm engine and how long it took to get."""
    begun = time.monotonic()
    engine = Engine(bundle, provider, half=half)
    ready = time.monotonic()
    engine.warm_up()
    named = name if engine.on_gpu else "cpu"
    rows = [row(f"{named}_load", ready - begun, "s"), row(f"{named}_warm_up", time.monotonic() - ready, "s")]
    return engine, rows


def on_cpu(engine: Engine, seconds: float) -> Iterator[Row]:
    """The way that every machine has: a lane for each core, slice by slice."""
    image = pseudo_slices(engine.side, 1)
    found = loop(lambda: engine.run(image), seconds, lanes=engine.way.lanes)
    yield row(f"cpu_{engine.way.lanes}_lanes", found.rate, "slices/s")
    yield from found.latency("cpu_slice")


def batches(engine: Engine, name: str, size: int, images: Floats, seconds: float) -> Iterator[Row]:
    """Slices a second at one size; for the usual one also two runs side by side, and without the copies."""
    batch = images.take(range(size), axis=0, mode="wrap")

    def run() -> Outputs:
        return engine.run_filled(size, batch)

    begun = time.monotonic()
    run()
    yield row(f"{name}_batch{size}_first", time.monotonic() - begun, "s")
    alone = loop(run, seconds)
    yield row(f"{name}_batch{size}", alone.rate * size, "slices/s")
    yield from alone.latency(f"{name}_batch{size}")
    if size == GPU_BATCH:
        two = loop(run, seconds, lanes=2)
        yield row(f"{name}_batch{size}_two_runs", two.rate * size, "slices/s")
        stays = loop(on_device(engine, batch), seconds)
        yield row(f"{name}_batch{size}_on_device", stays.rate * size, "slices/s")
        yield row(f"{name}_batch{size}_copies", 1 - alone.rate / stays.rate, "of the time")


def on_device(engine: Engine, batch: Floats) -> Callable[[], None]:
    """A run whose input is on the GPU already and whose outputs stay there."""
    session = engine._session
    binding = session.io_binding()
    binding.bind_ortvalue_input("image", ort.OrtValue.ortvalue_from_numpy(batch, "cuda", 0))
    for name in engine._names:
        binding.bind_output(name, "cuda")

    def run() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    run()
    return run


def loop(run: Callable[[], object], seconds: float, lanes: int = 1) -> Loop:
    """Over and over for so long, on so many threads."""
    begun = time.perf_counter()

    def lane(_: int) -> list[float]:
        taken: list[float] = []
        while not taken or time.perf_counter() - begun < seconds:
            since = time.perf_counter()
            run()
            taken.append(time.perf_counter() - since)
        return taken

    with ThreadPoolExecutor(lanes) as pool:
        taken_s = [one for taken in pool.map(lane, range(lanes)) for one in taken]
    return Loop(len(taken_s) / (time.perf_counter() - begun), taken_s)


def differences(bundle: LoadedBundle, name: str, found: Outputs, right: Outputs) -> Iterator[Row]:
    """The greatest ones from the CPU's answers to the same images, and the spread of those answers."""
    temperatures = np.array([label.temperature for label in bundle.manifest.labels])
    thresholds = np.array([label.threshold for label in bundle.manifest.labels])
    mine, theirs = (1 / (1 + np.exp(-of.logits / temperatures)) for of in (found, right))
    pairs = {"logits": (found.logits, right.logits), "probabilities": (mine, theirs), "cams": (found.cams, right.cams)}
    if found.distances is not None and right.distances is not None:
        pairs["distances"] = (found.distances, right.distances)
    for what, (one, other) in pairs.items():
        ends = f"{other.min():.3f} to {other.max():.3f}"
        yield row(
            f"{name}_difference_{what}", float(np.abs(one - other).max()), f"greatest of {len(one)}, cpu {ends}", 6
        )
    flips = int(((mine >= thresholds) != (theirs >= thresholds)).sum())
    yield row(f"{name}_other_side_of_threshold", flips, f"of {mine.size} answers")


def pictures(folder: Path, side: int) -> Floats:
    """Slices as pictures, squeezed to the model's square, (n, 1, side, side) in 0..1."""
    from PIL import Image

    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not paths:
        raise SystemExit(f"{folder} has no pictures ({', '.join(sorted(PICTURES))})")
    read = [Image.open(path).convert("L").resize((side, side), Image.Resampling.BILINEAR) for path in paths]
    return np.stack([np.asarray(one, np.float32)[None] / 255 for one in read])


def pseudo_slices(side: int, count: int = COMPARED) -> Floats:
    """Smooth noise, the same every time, (count, 1, side, side) in 0..1."""
    coarse = np.random.default_rng(169).random((count, 1, 12, 12))
    at = np.linspace(0, 11, side)
    spread = np.stack([np.interp(at, np.arange(12), one) for one in np.eye(12)], -1)
    return np.asarray(spread @ coarse @ spread.T, np.float32)


def gpu(what: str) -> str | None:
    """What nvidia-smi says of the first GPU, where there is one."""
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def used_mib() -> int:
    """Memory of the first GPU that is in use, by anybody; 0 where that isn't told."""
    used = gpu("memory.used") or ""
    return int(used) if used.isdigit() else 0


def row(name: str, value: float, unit: str, digits: int = 3) -> Row:
    """One line of the bench."""
    return {"name": name, "value": round(value, digits), "unit": unit}


def newest(folder: Path) -> Path:
    """The highest version of a model."""
    return max(folder.iterdir(), key=lambda path: [int(part) for part in path.name.split(".")])


def arguments() -> argparse.Namespace:
    """What is measured, and for how long."""
    parser = argparse.ArgumentParser(description="Measure one bundle on this machine's provider.")
    parser.add_argument("--bundle", type=Path, default=newest(MODELS))
    parser.add_argument("--provider", choices=["auto", *PROVIDERS], default="auto")
    parser.add_argument("--images", default="none", help="a folder of pictures to compare answers on")
    parser.add_argument("--seconds", type=float, default=4, help="of each loop")
    parser.add_argument("--limit", type=float, default=600, help="seconds after which no further batch size is begun")
    parser.add_argument("--json", type=Path, help="keep all lines as one list in this file too")
    return parser.parse_args()


def main() -> None:
    """Print each figure as soon as it is known."""
    asked, rows = arguments(), []
    try:
        for figure in measure(open_folder(asked.bundle), asked):
            print(json.dumps(figure), flush=True)
            rows.append(figure)
            if asked.json:
                asked.json.write_text(json.dumps(rows, indent=1))
    except ProviderUnavailable as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
