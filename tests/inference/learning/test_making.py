"""Making a bundle where a signed one lies is refused before anything is trained."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="scripts/train installs PyTorch")

from codetect_training.__main__ import main
from codetect_training.about import NAME, VERSION
from codetect_training.coverage import make
from codetect_training.coverage.publish import NAME as COVERAGE
from codetect_training.coverage.publish import VERSION as COVERAGE_VERSION

from tests.inference.samples import BUNDLE, ROOT, data


def test_make_train_refuses_before_it_trains(tmp_path: Path) -> None:
    """The script itself, in a folder that has nothing of its own but a signed bundle."""
    for name in (".venv-train", "requirements", "shared", "services", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts" / "train", tmp_path / "scripts")
    made = tmp_path / ".training" / "made" / NAME / VERSION
    shutil.copytree(BUNDLE, made)
    done = subprocess.run([script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"made/{NAME}/{VERSION} is signed, so it stays as it is" in done.stderr
    assert [path.name for path in (tmp_path / ".training").iterdir()] == ["made"]


def test_a_quick_look_is_no_run_to_go_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its learning rate was planned for two steps: a real run that went on from there would stop at the third."""
    data("covid-ct")
    words = ["train", "--experiment", "teacher-covid", "--quick", "--runs", str(tmp_path), "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["codetect_training", *words])
    main()
    assert (tmp_path / "quick" / "teacher-covid" / "state.pt").exists()
    assert not (tmp_path / "teacher-covid").exists()


@pytest.mark.parametrize("trained", [False, True])
def test_coverage_refuses_before_it_trains(tmp_path: Path, trained: bool) -> None:
    shutil.copytree(ROOT / "models" / COVERAGE / COVERAGE_VERSION, tmp_path / COVERAGE / COVERAGE_VERSION)
    with pytest.raises(SystemExit, match="is signed, so it stays as it is"):
        make.make(tmp_path / "run", tmp_path, tmp_path / "docs", 1, trained)
    assert [path.name for path in tmp_path.iterdir()] == [COVERAGE]
