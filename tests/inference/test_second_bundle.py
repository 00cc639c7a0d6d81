"""Another condition is another bundle: a second one, with other labels and preprocessing, and not a line of code."""

import numpy as np
import pytest
from codetect_inference.bundle import open_folder
from codetect_inference.engine import Engine, Way
from codetect_inference.explain import probabilities
from codetect_inference.preprocess import SHOWN_SHARE, plan_series, prepare_batch
from codetect_local.demo import bundles
from codetect_local.settings import Settings, Trouble
from codetect_training.coverage.data import LABELS, from_images, measure, to_hu
from codetect_training.datasets.dataset import open_dataset
from codetect_training.metrics import auc
from codetect_training.studies.scoring import score_studies
from codetect_training.studies.table import open_table
from codetect_training.words import table_words

from tests.inference.conftest import SAMPLE, Facility, Working, folder_files, lung, read
from tests.inference.samples import BUNDLE, ROOT, data
from tests.inference.studies import write_study
from tests.inference.test_worker import settled

SECOND = ROOT / "models" / "lung-coverage-densenet" / "1.0.0"


def test_the_two_bundles_differ_in_what_a_bundle_may_differ_in() -> None:
    first, second = open_folder(BUNDLE).manifest, open_folder(SECOND).manifest
    assert {one.name for one in first.labels}.isdisjoint(one.name for one in second.labels)
    assert len(second.labels) == 2
    for part in ("side", "level_hu", "width_hu", "margin"):
        assert getattr(first.preprocessing, part) != getattr(second.preprocessing, part), part
    assert {one.threshold for one in first.labels}.isdisjoint(one.threshold for one in second.labels)
    assert sum(path.stat().st_size for path in SECOND.iterdir()) < 3_000_000


async def test_one_study_is_read_by_both_bundles_and_has_two_results(
    shipped: str, facility: Facility, working: Working
) -> None:
    assert (await facility.register(folder_files(SECOND))).status_code == 201
    event = await facility.receive(await facility.store(lung(12)))
    async with working():
        found = {one.model_name: one for one in await settled(facility, event.study_id)}
    assert set(found) == {shipped, "lung-coverage-densenet"}
    assert {one.status for one in found.values()} == {"completed"}
    results = {name: await facility.ask("GET", f"/analyses/{one.id}") for name, one in found.items()}
    findings = {name: {one["label"]: one for one in answer.json()["findings"]} for name, answer in results.items()}
    assert set(findings[shipped]) == {"covid_19"}
    assert set(findings["lung-coverage-densenet"]) == set(LABELS)
    # The middle of this chest: the mask itself says that lung fills more than a third of the section.
    shares = [measure(hu)[0] for hu in read(lung(12))]
    assert np.median(shares) > LABELS["lung_third"]
    assert all(one["positive"] for one in findings["lung-coverage-densenet"].values())


def test_what_it_says_follows_what_the_mask_measures() -> None:
    """On every slice of the shipped sample, a patient that training never saw."""
    bundle, hu = open_folder(SECOND), read(SAMPLE[::-1])
    plan = plan_series(len(hu), hu.__getitem__, bundle.manifest.preprocessing.margin)
    shares = np.array([measure(hu[n])[0] for n in plan.slices])
    engine = Engine(bundle, "cpu", Way(1))
    said = engine.run(prepare_batch([hu[n] for n in plan.slices], plan.box, bundle.manifest.preprocessing))
    chances = probabilities(bundle.manifest, said.logits).astype(float)
    for column, least in enumerate(LABELS.values()):
        labels = (shares >= least).astype(np.int64)
        assert 5 < labels.sum() < len(labels) - 5
        assert auc(labels, chances[:, column]) > 0.9


def test_studies_are_evaluated_by_each_of_its_labels(tmp_path) -> None:
    write_study(tmp_path, "1", list(range(18, 26)))
    write_study(tmp_path, "2", [13, 14])
    path = tmp_path / "t.csv"
    path.write_text("study,label\n2.25.1,lung_third\n2.25.2,not_lung_third\n")
    bundle = open_folder(SECOND)
    for number, name in enumerate(LABELS):
        table = open_table(path, table_words(bundle.manifest, number))
        found = score_studies(bundle, tmp_path, table, path, number)
        if name == "lung_third":
            assert [one.label for one in found.studies] == [1, 0]
            assert found.studies[0].score > found.studies[1].score
        else:
            assert not found.studies
            assert sum(found.left_out.series.values()) == 2


def test_its_data_are_split_by_patient_and_labelled_by_the_mask(tmp_path) -> None:
    data("luna16-slices")
    dataset = open_dataset("lung-coverage", data(), tmp_path, side=256)
    parts = {split: dataset.part(split) for split in ("train", "val", "test")}
    patients = {split: {key.rpartition("6001.")[2].split("_")[0] for key in part.keys} for split, part in parts.items()}
    assert not patients["train"] & (patients["val"] | patients["test"])
    assert not patients["val"] & patients["test"]
    shown = "179049373636438705059720603192"  # LIDC-IDRI-0001, the series that is measured on alone
    assert shown in patients["test"]
    slices = from_images(dataset, "val")
    assert slices.images.shape[1:] == (1, 128, 128)
    assert (slices.shares >= SHOWN_SHARE).all()
    np.testing.assert_array_equal(slices.labels[:, 1], slices.shares >= 1 / 3)
    part = parts["test"]
    for slice_number in (46, 66):  # the images of that series against its DICOM slices
        (at,) = [n for n, key in enumerate(part.keys) if key.endswith(f"{shown}_{slice_number}.jpg")]
        image = to_hu(part.images(np.array([at]), 256)[0, 0])
        volume = dataset.description.sources["lidc-idri-0001"].units(data()).units[0].files
        assert measure(image)[0] == pytest.approx(measure(read([volume[slice_number]])[0])[0], abs=0.01)


def test_the_demo_registers_the_bundles_that_it_is_told() -> None:
    def named(names: str) -> set[str]:
        return {path.parent.parent.name for path in bundles(names)}

    default = Settings.model_fields["demo_models"].default
    assert named(default) == {"covid-ct-densenet169"}
    assert named("all") == {"covid-ct-densenet169", "lung-coverage-densenet"}
    assert named("lung-coverage-densenet, covid-ct-densenet169") == named("all")
    with pytest.raises(Trouble, match="names flu: the folder models has no such bundle"):
        bundles("flu")
