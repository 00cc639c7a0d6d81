"""Bundles that are made anew go where nothing signed lies, and what would refuse does so before hours of training."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from codetect_training.about import NAME, VERSION
from codetect_training.packing import unsigned, write

from tests.inference.samples import BUNDLE, ROOT, bundle_files

SIGNED = [BUNDLE, ROOT / "models/lung-coverage-densenet/1.0.0"]


def asked(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "codetect_training", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd)


@pytest.mark.parametrize("bundle", SIGNED, ids=lambda path: path.parent.name)
def test_a_signed_bundle_is_never_written_over(bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SystemExit, match=f"{folder} is signed, so it stays as it is"):
        write(folder, bundle_files())
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "model.sig").unlink()
    write(folder, bundle_files())
    assert (folder / "bundle.json").read_bytes() == bundle_files()["bundle.json"]
    assert unsigned(tmp_path / "none") == tmp_path / "none"


def test_whether_a_bundle_may_be_written_is_told_before_training(tmp_path: Path) -> None:
    free = asked("publish", "--models", tmp_path, "--check")
    assert (free.returncode, free.stdout) == (0, f"{tmp_path}/{NAME}/{VERSION} may be written\n")
    taken = asked("publish", "--check")
    assert taken.returncode == 1
    assert "is signed, so it stays as it is" in taken.stderr
