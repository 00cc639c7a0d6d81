"""A model's trial run: whether a bundle loads and runs, found in a process of its own (docs/adr/0059)."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from codetect_inference.bundle import BundleModelUnusable, BundleRefused, open_folder

SLICES = 3
CLOSE = 1e-3  # how far a slice's outputs may differ between batches
LAST_WORDS = 300  # characters of what the process complained about


async def prove(files: Mapping[str, bytes], timeout_s: float) -> dict[str, Any]:
    """Run a checked bundle once; how long loading and a slice took, in ms. Raises BundleModelUnusable.

    A child process does it: what crashes, hangs or fills the memory is the child; the API itself loads no runtime.
    """
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            await asyncio.to_thread((Path(folder) / name).write_bytes, content)
        own = {key: value for key, value in os.environ.items() if not key.startswith("CODETECT_")}  # no secrets
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "codetect_inference.trial", folder),
            env=own,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(timeout_s):
                output, errors = await process.communicate()
        except TimeoutError:
            raise BundleModelUnusable(f"its trial run took longer than {timeout_s:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0:
        words = errors.decode(errors="replace").strip().rpartition("\n")[2][-LAST_WORDS:]
        raise BundleModelUnusable(f"its trial run failed: {words or f'exit status {process.returncode}'}")
    facts: dict[str, Any] = json.loads(output)
    return facts


def try_out(folder: Path) -> dict[str, float]:
    """In the child: load the bundle and run a few made-up slices. Ends the process with a sentence if that fails."""
    import numpy as np

    from codetect_inference.engine import Engine, Way

    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, this process goes first
    try:
        bundle = open_folder(folder)
        begun = time.perf_counter()
        engine = Engine(bundle, "cpu", Way(1))
        engine.warm_up()
        loaded = time.perf_counter()
        side = bundle.manifest.preprocessing.side
        ramp = np.linspace(0, 1, side * side, dtype=np.float32).reshape(1, 1, side, side)
        images = np.concatenate([ramp * share for share in np.linspace(0, 1, SLICES, dtype=np.float32)])
        together = engine.run(images)
        ran = time.perf_counter()
        alone = engine.run(images[-1:])
    except BundleRefused as error:
        raise SystemExit(str(error)) from error
    except Exception as error:  # whatever ONNX Runtime says to a model
        raise SystemExit(f"ONNX Runtime can't run it: {error}".replace("\n", " ")) from error
    for batch, one in zip(together, alone, strict=True):
        if batch is None or one is None:
            continue
        if not np.isfinite(batch).all():
            raise SystemExit("it answers with numbers that aren't finite")
        if len(batch) != SLICES or not np.allclose(batch[-1:], one, CLOSE, CLOSE):
            raise SystemExit("it answers otherwise when slices go together than when they go alone")
    return {"load_ms": round((loaded - begun) * 1000), "slice_ms": round((ran - loaded) * 1000 / SLICES)}


if __name__ == "__main__":
    print(json.dumps(try_out(Path(sys.argv[1]))))
