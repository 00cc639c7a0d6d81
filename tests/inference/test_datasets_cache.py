"""Slices are decoded once; what changed is decoded anew, and a kill leaves the old cache or none."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.inference.pictures import describe, folders, opened, picture, save


def files(root: Path) -> dict[str, int]:
    """The cache's files but for locks, with what they are on the disk."""
    return {path.name: path.stat().st_ino for path in (root / "cache" / "tiny").iterdir() if path.suffix != ".lock"}


def test_a_current_cache_is_used_again(tmp_path) -> None:
    sources = {"set": folders(tmp_path, 3)}
    opened(tmp_path, sources)
    before = files(tmp_path)
    assert len(before) == 2
    pixels = opened(tmp_path, sources).cached(32).pixels
    assert files(tmp_path) == before
    assert (isinstance(pixels, np.memmap), pixels.shape, pixels.dtype) == (True, (6, 32, 32), np.uint8)


def test_a_changed_image_or_description_is_decoded_anew(tmp_path) -> None:
    sources = {"set": folders(tmp_path, 3)}
    first = opened(tmp_path, sources).part("train").load(32)
    save(tmp_path / "set" / "covid" / "covid_1.png", picture(77))
    changed = files(tmp_path)
    second = opened(tmp_path, sources).part("train").load(32)
    assert [bool((a != b).any()) for a, b in zip(first, second, strict=True)] == [
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    assert len(files(tmp_path)) == 2
    assert not set(files(tmp_path)) & set(changed) - {"32.json"}
    (tmp_path / "set" / "covid" / "covid_2.png").unlink()
    assert len(opened(tmp_path, sources).part("train").keys) == 5
    assert len(opened(tmp_path, sources, labels=["covid", "noncovid"]).part("train").keys) == 5
    assert len(files(tmp_path)) == 2


def test_each_side_has_a_cache_of_its_own(tmp_path) -> None:
    dataset = opened(tmp_path, {"set": folders(tmp_path, 3)})
    assert dataset.part("train").load(16).shape == (6, 1, 16, 16)
    assert {name.partition("-")[0].partition(".")[0] for name in files(tmp_path)} == {"16", "32"}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"digest": 1}'])
def test_a_damaged_index_is_written_anew(tmp_path, damage) -> None:
    sources = {"set": folders(tmp_path, 2)}
    opened(tmp_path, sources)
    index = tmp_path / "cache" / "tiny" / "32.json"
    index.write_text(damage)
    assert len(opened(tmp_path, sources).part("train").keys) == 4
    assert json.loads(index.read_text())["dtype"] == "uint8"


def test_a_mistake_halfway_leaves_the_old_cache(tmp_path) -> None:
    sources = {"set": folders(tmp_path, 3)}
    opened(tmp_path, sources)
    before = files(tmp_path)
    broken = tmp_path / "set" / "noncovid" / "z.png"
    broken.write_bytes(b"no image")
    with pytest.raises(SystemExit, match="decoded"):
        opened(tmp_path, sources)
    assert before.items() <= files(tmp_path).items()
    broken.unlink()
    opened(tmp_path, sources)
    assert before.items() <= files(tmp_path).items()


def test_a_kill_while_decoding_leaves_the_old_cache_and_the_next_run_finishes(tmp_path) -> None:
    sources = {"set": folders(tmp_path, 40)}
    opened(tmp_path, sources, side=512)
    before = files(tmp_path)
    save(tmp_path / "set" / "covid" / "covid_0.png", picture(999))
    program = (
        "import sys; from pathlib import Path; from codetect_training.datasets.dataset import open_dataset;"
        "open_dataset(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[2]) / 'cache', 512)"
    )
    path = describe(tmp_path, sources)
    child = subprocess.Popen([sys.executable, "-c", program, str(path), str(tmp_path)])
    deadline = time.monotonic() + 30
    while not any(one.suffix == ".tmp" for one in (tmp_path / "cache" / "tiny").iterdir()):
        assert time.monotonic() < deadline
        assert child.poll() is None
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert before.items() <= files(tmp_path).items()
    part = opened(tmp_path, sources, side=512).part("train")
    assert len(files(tmp_path)) == 2
    assert not before.items() & files(tmp_path).items()
    assert len(part.keys) == 80
