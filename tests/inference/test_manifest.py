"""Where a pixel lies in the patient, by the manifest; manifests of earlier releases are still read."""

import numpy as np
import pydicom
import pytest
from codetect_inference.manifest import Manifest

from tests.inference.conftest import SAMPLE

FIRST = {
    "study_instance_uid": "2.25.7",
    "series_instance_uid": "2.25.1",
    "volume": {"bytes": 1},
    "instances": [{"index": 0, "sop_instance_uid": "2.25.2", "position_mm": [1, 2, 3]}],
}


def test_a_manifest_of_the_first_release_is_read_and_places_nothing() -> None:
    assert Manifest.model_validate(FIRST).place(0, 1, 1) is None


@pytest.mark.parametrize(
    ("orientation", "place"),
    [
        ((1, 0, 0, 0, 1, 0), (1 + 10 * 0.8, 2 + 20 * 0.7, 3)),
        ((0, 1, 0, 0, 0, -1), (1, 2 + 10 * 0.8, 3 - 20 * 0.7)),
        ((-1, 0, 0, 0, -1, 0), (1 - 10 * 0.8, 2 - 20 * 0.7, 3)),
    ],
    ids=["axial", "sagittal", "turned by half"],
)
def test_rows_are_spaced_by_the_first_number_columns_by_the_second(
    orientation: tuple[float, ...], place: tuple[float, ...]
) -> None:
    manifest = Manifest.model_validate(FIRST | {"orientation": orientation, "pixel_spacing_mm": (0.7, 0.8)})
    assert manifest.place(0, 10, 20) == pytest.approx(place, abs=0.01)


def test_a_real_slice_is_placed_as_the_standard_has_it() -> None:
    """By the matrix of PS3.3 equation C.7.6.2.1-1."""
    ds = pydicom.dcmread(SAMPLE[3], stop_before_pixels=True)
    names = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    ipp, iop, spacing = (np.array(ds[name].value, float) for name in names)
    matrix = np.zeros((4, 4))
    matrix[:3, 0], matrix[:3, 1], matrix[:3, 3] = iop[:3] * spacing[1], iop[3:] * spacing[0], ipp
    matrix[3, 3] = 1
    instances = [{"index": 0, "sop_instance_uid": "2.25.2", "position_mm": ipp.tolist()}]
    facts = {"orientation": iop.tolist(), "pixel_spacing_mm": spacing.tolist(), "instances": instances}
    manifest = Manifest.model_validate(FIRST | facts)
    assert manifest.place(0, 300, 100) == pytest.approx((matrix @ [300, 100, 0, 1])[:3], abs=0.01)
