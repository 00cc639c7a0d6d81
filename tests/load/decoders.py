"""Decoders side by side, for ADR 0023: `python -m tests.load.decoders`. Those that aren't installed are left out.

Each decode runs in a process of its own under a limit on memory, as in a child. Hostile streams are a sound one with
some bytes changed, the same for every decoder: the worst a decoder may do is to crash, to hang, or to answer with an
image of a size that nobody promised.
"""

import os
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import pydicom
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder

from tests.ingest.samples import ROOT, big, ct
from tests.ingest.test_codestream import HTJ2K_STREAMS, JPEG_2000_FILES, JPEG_FILES, RLE_FILE, SYNTAXES, with_stream

MEMORY_BYTES = 512 * 2**20
TIMEOUT_S = 5
HOSTILE = 150
TIMES = 10
PLUGINS = ("pylibjpeg", "gdcm", "pyjpegls", "pillow", "imagecodecs")
Decode = Callable[[pydicom.Dataset], np.ndarray]


def samples() -> dict[str, pydicom.Dataset]:
    """A file in each compressed transfer syntax."""
    files = JPEG_FILES | JPEG_2000_FILES | {pydicom.uid.RLELossless: RLE_FILE}
    found = {syntax: pydicom.dcmread(big(f"{SYNTAXES}/{name}")) for syntax, name in files.items()}
    for syntax, name in HTJ2K_STREAMS.items():
        found[syntax] = with_stream(ct(64), (ROOT / "tests/data/htj2k" / name).read_bytes(), syntax)
    return {syntax.name.split(" (")[0][:44] + f" {syntax.split('.')[-1]}": ds for syntax, ds in found.items()}


def decoder(plugin: str, ds: pydicom.Dataset) -> Decode | None:
    """The plug-in's way to decode, None where it doesn't know the transfer syntax or isn't there."""
    syntax = ds.file_meta.TransferSyntaxUID
    if plugin == "imagecodecs":
        return direct(syntax)
    known = get_decoder(syntax)
    if plugin not in known.available_plugins:
        return None
    return lambda one: known.as_array(one, decoding_plugin=plugin)[0]


def direct(syntax: pydicom.uid.UID) -> Decode | None:
    """imagecodecs isn't a plug-in of pydicom's."""
    try:
        import imagecodecs
    except ImportError:
        return None
    number = str(syntax).rpartition(".")[2]
    names = {"90": "jpeg2k", "91": "jpeg2k", "80": "jpegls", "81": "jpegls", "50": "jpeg8", "51": "jpeg8"}
    names |= {"57": "jpegsof3", "70": "jpegsof3", "201": "htj2k", "202": "htj2k", "203": "htj2k"}
    name = names.get(number) if ".4." in syntax else None
    decode = getattr(imagecodecs, f"{name}_decode", None) if name else None
    return (lambda ds: decode(next(generate_frames(ds.PixelData, number_of_frames=1)))) if decode else None


def isolated(do: Callable[[], int]) -> tuple[str, int, float]:
    """Run in a forked, limited process: how it ended, its peak memory above the start in KiB, its seconds."""
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, 1)
        os.dup2(devnull, 2)
        with open("/proc/self/statm") as statm:
            now = int(statm.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES,) * 2)
        signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S)
        try:
            os._exit(do())
        except MemoryError:
            os._exit(3)
        except BaseException:
            os._exit(1)
    _, status, usage = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    ends = {0: "image", 1: "error", 2: "wrong size", 3: "memory", -signal.SIGALRM: "hang"}
    return ends.get(code, "crash"), usage.ru_maxrss, time.perf_counter() - began


def hostile(ds: pydicom.Dataset, seed: int) -> pydicom.Dataset:
    """The file with 1 to 8 bytes of its stream changed, one half of them in the first 200, or cut."""
    rng = np.random.default_rng(seed)
    stream = bytearray(next(generate_frames(ds.PixelData, number_of_frames=1)))
    for _ in range(rng.integers(1, 9)):
        at = rng.integers(2, min(200, len(stream)) if rng.random() < 0.5 else len(stream))
        stream[at] = rng.choice([0, 0xFF, rng.integers(256)])
    if rng.random() < 0.1:
        del stream[rng.integers(2, len(stream)) :]
    changed = pydicom.Dataset(dict(ds.items()))
    changed.file_meta = ds.file_meta
    changed.add_new("PixelData", "OB", encapsulate([bytes(stream)]))  # not assigned: that changes the original's
    changed.set_original_encoding(False, True)
    return changed


def main() -> None:
    """Print the table as Markdown."""
    warnings.simplefilter("ignore")
    print(
        "| transfer syntax | decoder | same pixels | ms | peak MiB | hostile: image, error, crash, hang, memory, size |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for name, ds in samples().items():
        truth = get_decoder(ds.file_meta.TransferSyntaxUID).as_array(ds)[0]
        for plugin in PLUGINS:
            decode = decoder(plugin, ds)
            if decode is None:
                continue

            def whole(decode: Decode = decode, ds: pydicom.Dataset = ds) -> int:
                return 0 if decode(ds).shape[:2] == (ds.Rows, ds.Columns) else 2

            ended, peak, _ = isolated(whole)
            _, base, _ = isolated(lambda: 0)
            if ended != "image":
                print(f"| {name} | {plugin} | {ended} | | | |")
                continue
            found = decode(ds)
            furthest = int(np.abs(found.astype(int) - truth).max()) if found.shape == truth.shape else -1
            began = time.perf_counter()
            for _ in range(TIMES):
                decode(ds)
            took = (time.perf_counter() - began) / TIMES * 1000
            ends: Counter[str] = Counter()
            for seed in range(HOSTILE):
                bad = hostile(ds, seed)
                ends[isolated(lambda decode=decode, bad=bad: whole(decode, bad))[0]] += 1
            counts = ", ".join(str(ends[k]) for k in ("image", "error", "crash", "hang", "memory", "wrong size"))
            same = "yes" if furthest == 0 else f"within {furthest}"
            print(f"| {name} | {plugin} | {same} | {took:.1f} | {(peak - base) / 1024:.0f} | {counts} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
