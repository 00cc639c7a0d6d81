"""The real data sets: covid-ct as before, sars-cov-2-ct split by clusters, the service's look of a real series."""

import numpy as np
import pytest
from codetect_inference.bundle import Preprocessing
from codetect_inference.preprocess import plan_series, prepare_slice
from codetect_training.data import open_folder
from codetect_training.datasets.dataset import open_dataset
from codetect_training.datasets.volumes import read_dicom

from tests.inference.samples import COVID, data


def root():
    """The research data, or a skip with the reason."""
    for part in ("covid-ct/train", "sars-cov-2-ct", "dicom/lidc-idri-0001"):
        data(part)
    return data()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_covid_ct_has_the_images_labels_and_order_that_training_had(cache) -> None:
    dataset = open_dataset("covid-ct", root(), cache, side=112)
    for split in ("train", "val"):
        before, now = open_folder(root() / "covid-ct" / split, COVID), dataset.part(split)
        assert [root() / key for key in now.keys] == before.paths
        np.testing.assert_array_equal(now.labels, before.labels)
        np.testing.assert_array_equal(now.load(112), before.load(112))
    assert dataset.sides.kept_leaks == {("covid-ct", "train", "val"): 3}


def test_sars_cov_2_ct_is_split_by_clusters(cache) -> None:
    dataset = open_dataset("sars-cov-2-ct", root(), cache, side=32)
    train, val = dataset.part("train"), dataset.part("val")
    assert not set(train.groups) & set(val.groups)
    assert len(train.keys) + len(val.keys) == 2481
    for label in (0, 1):
        assert (val.labels == label).mean() == pytest.approx((train.labels == label).mean(), abs=0.02)
    assert len(val.keys) / 2481 == pytest.approx(0.2, abs=0.02)
    assert 400 < len(set(dataset.sides.groups.tolist())) < 600
    assert np.bincount(dataset.sides.groups).max() < 200  # chains would join hundreds of strangers


def test_a_real_series_looks_as_the_service_shows_it(cache) -> None:
    dataset = open_dataset("lidc-idri-0001", root(), cache, side=112)
    part = dataset.part("train")
    unit = dataset.description.sources["lidc-idri-0001"].units(root()).units[0]
    hu = [read_dicom(path) for path in unit.files]
    plan = plan_series(len(hu), hu.__getitem__, 0.02)
    how = Preprocessing(side=112, level_hu=-600, width_hu=1500, margin=0.02)
    assert len(part.keys) == len(plan.slices) > 50
    for at in (0, 30, len(plan.slices) - 1):
        shown = prepare_slice(hu[plan.slices[at]], plan.box, how)
        np.testing.assert_allclose(part.images(np.array([at]), 112)[0], shown, atol=0.5 / 1500 + 1e-6)
