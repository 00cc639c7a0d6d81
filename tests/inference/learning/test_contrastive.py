"""Learning without labels: it learns, no label steers it, a killed run goes on as if nothing had happened.

`scripts/train test` runs this where PyTorch is; elsewhere it is skipped.
"""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.inference.pictures import folders, opened, save

torch = pytest.importorskip("torch")

from codetect_training import contrastive, experiments, regression  # noqa: E402
from codetect_training.augment import augment  # noqa: E402
from codetect_training.contrastive import PENALTY, Contrasting, pretrained, probe  # noqa: E402
from codetect_training.coverage.network import SmallCamDenseNet  # noqa: E402
from codetect_training.metrics import auc  # noqa: E402
from codetect_training.network import CamDenseNet  # noqa: E402
from codetect_training.runs import Recipe, Run, Stage  # noqa: E402
from codetect_training.trials import line  # noqa: E402

GIVEN = {"by": "folders", "folders": {"train": "train", "val": "val"}}
AS_THEY_ARE = {"covid": "covid", "noncovid": "noncovid"}
SWAPPED = {"covid": "noncovid", "noncovid": "covid"}
RECIPE = Recipe((Stage(32, 6, batch=4),), look_every=3, save_every=1, blind=True, from_known=True)


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tiny(root, **changes):
    """Twelve pictures to learn from, eight to look at."""
    folders(root, 6, 0, "set/train")
    folders(root, 4, 500, "set/val")
    return opened(root, {"covid-ct": folders(root / "unused", 1, folder="set", split=GIVEN, **changes)}, 256)


def run(dataset, out, recipe=RECIPE) -> Run:
    torch.manual_seed(recipe.seed)
    task = Contrasting(SmallCamDenseNet())
    return Run(task, dataset, recipe, out, labelled=False, judge=probe("covid-ct"))


def finished(out) -> dict:
    return torch.load(out / "state.pt", weights_only=True)


def same(one, other) -> None:
    for part in ("module", "averaged"):
        assert one[part].keys() == other[part].keys()
        for name, value in one[part].items():
            assert torch.equal(value, other[part][name]), name


def without_times(history) -> list[dict]:
    return [{name: value for name, value in one.items() if name != "seconds"} for one in history]


def test_a_run_killed_after_any_step_ends_as_one_that_was_not(tmp_path, monkeypatch) -> None:
    dataset = tiny(tmp_path)
    run(dataset, tmp_path / "whole").go()
    whole = finished(tmp_path / "whole")
    assert [one["step"] for one in whole["history"]] == [0, 3, 6]
    step_of = Run.one
    for last in range(1, RECIPE.steps):

        def one(self, last=last) -> float:
            if self.step == last:
                raise Killed
            return step_of(self)

        monkeypatch.setattr(Run, "one", one)
        out = tmp_path / f"killed-{last}"
        with pytest.raises(Killed):
            run(dataset, out).go()
        assert finished(out)["step"] == last
        monkeypatch.setattr(Run, "one", step_of)
        run(dataset, out).go()
        same(finished(out), whole)
        assert without_times(finished(out)["history"]) == without_times(whole["history"])
        assert json.loads((out / "history.json").read_text()) == finished(out)["history"]


def test_another_seed_is_another_run(tmp_path) -> None:
    dataset = tiny(tmp_path)
    run(dataset, tmp_path / "one").go()
    run(dataset, tmp_path / "other", replace(RECIPE, seed=1)).go()
    with pytest.raises(AssertionError):
        same(finished(tmp_path / "one"), finished(tmp_path / "other"))


def test_no_label_steers_what_is_learnt(tmp_path) -> None:
    """Labels the other way round, twice as many of one as of the other: the very same weights."""
    for name, labels in (("one", AS_THEY_ARE), ("other", SWAPPED)):
        dataset = tiny(tmp_path / name, labels=labels)
        run(dataset, tmp_path / name / "run").go()
    same(finished(tmp_path / "one" / "run"), finished(tmp_path / "other" / "run"))
    drawn = dataset.part("train").unlabelled().sampler(1, 1, False)
    assert sorted(drawn.slot(0, at) for at in range(12)) == list(range(12))


def stripes(root) -> None:
    """Twelve pictures that stay apart however they are turned a little, cropped and mirrored."""
    y, x = np.mgrid[0:256, 0:256] / 256
    for number in range(12):
        angle, waves = np.pi / 6 * (number % 4), (3, 8, 20)[number // 4]
        wave = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)))
        label = "covid" if number % 2 else "noncovid"
        save(root / "set" / "train" / label / f"{number}.png", (127 + 100 * wave).astype(np.uint8))


def test_it_learns_to_find_the_other_view_of_a_slice(tmp_path) -> None:
    stripes(tmp_path)
    folders(tmp_path, 4, 500, "set/val")
    dataset = opened(tmp_path, {"covid-ct": folders(tmp_path / "unused", 1, folder="set", split=GIVEN)}, 256, alike=0)
    recipe = replace(RECIPE, stages=(Stage(32, 120, batch=12),), look_every=30, save_every=120, average=0.9)
    going = run(dataset, tmp_path / "run", recipe)
    images = torch.from_numpy(dataset.part("train").load(256))
    assert len(images) == 12

    def found() -> float:
        """How often another view of a slice is nearer than views of the eleven others."""
        torch.manual_seed(5)
        encoder = going.averaged.eval()
        with torch.no_grad():
            views = [encoder(augment(images, 32, contrastive.ZOOM, contrastive.SHIFT))[1] for _ in range(16)]
        nearest = torch.stack([(one @ other.T).argmax(1) for one, other in itertools.pairwise(views)])
        return float((nearest == torch.arange(12)).float().mean())

    before = found()
    going.go()
    assert found() > before + 0.1
    losses = [one["loss"] for one in going.history if "loss" in one]
    assert losses[-1] < losses[0] - 0.5


def test_a_view_is_compared_with_its_other_view_and_all_the_rest() -> None:
    """Against the definition, view by view."""
    said = torch.nn.functional.normalize(torch.randn(8, 5, generator=torch.Generator().manual_seed(1)), dim=1)
    found = []
    for view in range(8):
        other = (view + 4) % 8
        near = {one: float(said[view] @ said[one]) / contrastive.TEMPERATURE for one in range(8) if one != view}
        found.append(np.log(sum(np.exp(one) for one in near.values())) - near[other])
    assert contrastive.unfound(said).item() == pytest.approx(np.mean(found), rel=1e-5)


def test_the_probe_reads_features_and_never_vals_labels(tmp_path) -> None:
    """Features that hold the answer are found out; the same features answer alike whatever val is labelled."""

    class Sure(torch.nn.Module):
        def forward(self, image):
            return (torch.cat([image.mean((2, 3)), image.std((2, 3)), image[:, :, 0, 0]], 1),)

    dataset = tiny(tmp_path)
    train, val = dataset.part("train"), dataset.part("val")
    judge = probe("covid-ct")
    scores = judge(Sure(), train, val, 32)
    assert scores.shape == (8,)
    np.testing.assert_array_equal(scores, judge(Sure(), train, replace(val, labels=1 - val.labels), 32))
    assert auc(val.labels, judge(Sure(), replace(train, labels=1 - train.labels), val, 32)) == pytest.approx(
        1 - auc(val.labels, scores), abs=1e-9
    )
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 200)
    known = random.normal(size=(200, 5)) + labels[:, None] * np.array([2.0, 0, 0, 0, 0])
    assert auc(labels[100:], regression.logits(known[:100], labels[:100], known[100:], PENALTY)) > 0.85


def test_what_was_seen_without_labels_is_what_tuning_starts_from(tmp_path, monkeypatch) -> None:
    """`contrastive-tuned` on a tiny set, whole: the pretraining first, its averaged weights, then labels."""
    dataset = tiny(tmp_path)
    monkeypatch.setattr(experiments, "open_dataset", lambda _: dataset)
    for name in ("contrastive", "contrastive-tuned"):
        known = experiments.EXPERIMENTS[name]
        recipe = replace(known.recipe, stages=(Stage(32, 2, batch=4),), turns=())
        monkeypatch.setitem(experiments.EXPERIMENTS, name, replace(known, recipe=recipe))
    out = experiments.train("contrastive-tuned", 1, tmp_path / "runs")
    assert (out / "best.pt").exists()
    assert finished(tmp_path / "runs" / "contrastive")["step"] == 2
    student = pretrained(tmp_path / "runs" / "contrastive").eval()
    encoder = Contrasting(CamDenseNet()).encoder.eval()
    encoder.load_state_dict(finished(tmp_path / "runs" / "contrastive")["averaged"])
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(student(images)[1], encoder(images)[0])
    tuned = Run(experiments.tuned(tmp_path / "runs"), dataset, recipe, tmp_path / "new", True)
    for name, value in tuned.task.module.state_dict().items():
        if "class_layers" not in name:
            assert torch.equal(value, student.state_dict()[name]), name


def test_the_page_of_trials_tells_how_far_a_stopped_run_came(tmp_path, monkeypatch) -> None:
    dataset = tiny(tmp_path)
    experiment = replace(experiments.EXPERIMENTS["contrastive"], recipe=RECIPE)
    assert "not run" in line("tiny", experiment, tmp_path / "run")
    step_of = Run.one

    def one(self) -> float:
        if self.step == 5:
            raise Killed
        return step_of(self)

    monkeypatch.setattr(Run, "one", one)
    with pytest.raises(Killed):
        run(dataset, tmp_path / "run").go()
    history = finished(tmp_path / "run")["history"]
    told = line("tiny", experiment, tmp_path / "run")
    assert "(stopped at step 5 of 6) | 20 |" in told
    assert told.endswith(f"| - | {history[-1]['val']['covid-ct']:.3f} at step 3 |")
    monkeypatch.setattr(Run, "one", step_of)
    run(dataset, tmp_path / "run").go()
    told = line("tiny", experiment, tmp_path / "run")
    assert "stopped" not in told
    assert "| 24 |" in told
