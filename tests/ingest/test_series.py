import math
import random
from collections.abc import Iterable

import pytest
from codetect_ingest.dicom.instance import Instance
from codetect_ingest.dicom.reading import read
from codetect_ingest.dicom.series import Irregularity, arrange, duplicates, mixed_studies

from tests.ingest.samples import big

AXIAL = (1, 0, 0, 0, 1, 0)
CORONAL = (1, 0, 0, 0, 0, -1)
SAGITTAL = (0, 1, 0, 0, 0, -1)


def slice_at(x: float = 0, y: float = 0, z: float = 0, /, **changes: object) -> Instance:
    facts = {
        "patient_id": "P",
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.3",
        "sop_instance_uid": f"1.2.3.{x}{y}{z}",
        "frame_of_reference_uid": "1.9",
        "study_date": None,
        "instance_number": None,
        "rows": 512,
        "columns": 512,
        "pixel_spacing_mm": (0.7, 0.7),
        "position_mm": (x, y, z),
        "orientation": AXIAL,
        "slice_thickness_mm": None,
        "modality": "CT",
        "manufacturer": None,
        "convolution_kernel": None,
        "body_part": None,
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "sha256": "",
        "bytes": 0,
    }
    return Instance.model_validate(facts | changes)


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [
        (AXIAL, "axial"),
        ((-1, 0, 0, 0, -1, 0), "axial"),
        ((1, 0, 0, 0, -1, 0), "axial"),
        ((1, 0, 0, 0, 0.9397, 0.342), "axial"),
        (CORONAL, "coronal"),
        (SAGITTAL, "sagittal"),
        ((0.999918, -0.012787, 0, 0, 0, -1), "coronal"),
        ((0.7071, 0.7071, 0, 0, 0, -1), "oblique"),
    ],
)
def test_the_plane_is_told_from_the_orientation(orientation: tuple[float, ...], plane: str) -> None:
    assert arrange([slice_at(orientation=orientation)]).plane == plane


@pytest.mark.parametrize("orientation", [AXIAL, (-1, 0, 0, 0, -1, 0), (1, 0, 0, 0, -1, 0)])
def test_axial_slices_run_from_feet_to_head_however_the_patient_lay(orientation: tuple[float, ...]) -> None:
    slices = [slice_at(0, 0, z, orientation=orientation, instance_number=100 - z) for z in range(20)]
    random.Random(1).shuffle(slices)
    order = arrange(slices).order
    assert [slices[i].position_mm[2] for i in order] == list(range(20))


def test_order_comes_from_positions_not_from_numbers() -> None:
    slices = [slice_at(0, 0, z, instance_number=n) for z, n in ((3, 1), (1, 2), (2, 3))]
    assert arrange(slices).order == [1, 2, 0]


def test_spacing_is_the_usual_step() -> None:
    assert arrange([slice_at(0, 0, z) for z in (0, 2.5, 5, 7.5, 50)]).slice_spacing_mm == 2.5
    assert arrange([slice_at()]).slice_spacing_mm is None
    twice_at_one_place = [slice_at(0, 0, z, sop_instance_uid=f"1.{n}.{z}") for z in (0, 2, 4) for n in (1, 2)]
    assert arrange(twice_at_one_place).slice_spacing_mm == 2


def test_spacing_of_tilted_slices_is_measured_across_them() -> None:
    tilted = (1, 0, 0, 0, 0.9396926, 0.3420201)
    assert arrange([slice_at(0, 0, z, orientation=tilted) for z in (0, 1, 2)]).slice_spacing_mm == pytest.approx(0.9397)


def test_slices_that_fit_no_others_are_told_apart() -> None:
    many = [slice_at(0, 0, z) for z in range(5)]
    odd = [
        slice_at(0, 0, 9, rows=256),
        slice_at(0, 0, 9, orientation=CORONAL),
        slice_at(0, 0, 9, pixel_spacing_mm=(1, 1)),
    ]
    found = arrange([*odd, *many])
    assert sorted(found.odd) == [0, 1, 2]
    assert found.order == [3, 4, 5, 6, 7]


def test_what_comes_later_does_not_push_out_what_is_known() -> None:
    later = [slice_at(0, 0, z, rows=256) for z in range(9)]
    known = [slice_at(0, 0, z) for z in range(2)]
    found = arrange([*later, *known], {9, 10})
    assert found.order == [9, 10]
    assert sorted(found.odd) == list(range(9))


def test_rounding_in_the_header_is_no_difference() -> None:
    slices = [
        slice_at(0, 0, 0),
        slice_at(0, 0, 1, orientation=(0.99999, 0.001, 0, 0, 1, 0), pixel_spacing_mm=(0.70001, 0.7)),
    ]
    assert arrange(slices).odd == []


def test_the_first_of_two_copies_is_kept() -> None:
    found = {7: [slice_at()], 3: [slice_at()], 5: [slice_at(0, 0, 1)], 9: [slice_at()]}
    assert duplicates(found) == {7, 9}


def test_of_files_that_share_a_slice_those_of_more_slices_are_kept() -> None:
    one, two, three = ([slice_at(0, 0, z)] for z in range(3))
    assert duplicates({1: one, 2: one + two, 3: three}) == {1}
    assert duplicates({1: one + two, 2: two + three, 3: three}) == {2}


def test_a_study_that_names_two_patients_is_noticed() -> None:
    found = [slice_at(), slice_at(patient_id="Q"), slice_at(study_instance_uid="1.5", patient_id="Q")]
    assert mixed_studies(found) == {"1.2"}


def warned(depths: Iterable[float]) -> dict[Irregularity, float]:
    return arrange([slice_at(0, 0, z, sop_instance_uid=f"1.{n}") for n, z in enumerate(depths)]).warnings


def test_a_regular_series_gives_no_warning() -> None:
    assert warned([0, 2.5, 5, 7.5]) == {}
    assert warned([0, 2.49, 5.01, 7.5]) == {}
    assert warned([0]) == warned([0, 3]) == {}
    tilted = (1, 0, 0, 0, 0.9396926, 0.3420201)
    along_the_normal = [slice_at(0, -0.3420201 * n, 0.9396926 * n, orientation=tilted) for n in range(9)]
    assert arrange(along_the_normal).warnings == {}


def test_slices_that_are_missing_are_counted() -> None:
    assert warned([0, 1, 2, 5, 6, 7, 9]) == {"missing_slices": 3}
    assert warned(z for z in range(133) if z not in {17, 60, 61, 100}) == {"missing_slices": 4}


def test_steps_that_are_no_multiple_of_the_usual_one_are_uneven() -> None:
    assert warned([0, 1, 2, 3.4, 4.4, 5.4]) == {"uneven_spacing": 1.4}
    assert warned([0, 1, 2, 3, 3.4, 4.4, 5.4, 7.4]) == {"uneven_spacing": 0.4, "missing_slices": 1}


@pytest.mark.parametrize("degrees", [-30, -5, 10, 24])
def test_a_tilted_gantry_makes_a_leaning_stack_and_is_noticed(degrees: float) -> None:
    lean = math.radians(degrees)
    orientation = (1, 0, 0, 0, math.cos(lean), math.sin(lean))
    slices = [slice_at(0, 3, 2.0 * z, orientation=orientation) for z in range(40)]
    random.Random(2).shuffle(slices)
    found = arrange(slices)
    assert found.warnings == {"gantry_tilt": pytest.approx(abs(degrees), abs=0.01)}
    assert found.slice_spacing_mm == pytest.approx(2 * math.cos(lean), abs=1e-4)


def test_one_slice_that_lies_aside_is_no_tilt() -> None:
    assert arrange([slice_at(40 if z == 3 else 0, 0, z) for z in range(9)]).warnings == {}


def test_phases_at_the_same_places_are_counted_and_stay_ordered() -> None:
    slices = [
        slice_at(0, 0, z, instance_number=100 * p + z, sop_instance_uid=f"1.{p}.{z}")
        for p in (1, 2, 3)
        for z in range(5)
    ]
    random.Random(3).shuffle(slices)
    found = arrange(slices)
    assert found.warnings == {"overlapping_phases": 3}
    assert found.slice_spacing_mm == 1
    assert [slices[i].instance_number for i in found.order][:4] == [100, 200, 300, 101]


def test_a_real_series_is_regular_and_is_not_with_slices_taken_out() -> None:
    paths = sorted(big("dicom/lidc-idri-0001").glob("*.dcm"))
    slices = []
    for path in paths:
        ds = read(path.read_bytes())
        slices.append(slice_at(*map(float, ds.ImagePositionPatient), sop_instance_uid=ds.SOPInstanceUID))
    assert arrange(slices).warnings == {}
    random.Random(5).shuffle(slices)
    by_height = sorted(slices, key=lambda one: one.position_mm[2])
    left = [one for one in slices if one not in (by_height[3], by_height[77], by_height[78])]
    assert arrange(left).warnings == {"missing_slices": 3}
