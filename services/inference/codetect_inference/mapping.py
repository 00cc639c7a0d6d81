"""A label's heatmaps as a Parametric Map (PS3.3 A.75): floats in patient space, for fusing (docs/adr/0092)."""

from collections.abc import Iterator

import numpy as np
from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence, VOILUTTransformation
from highdicom.pm import DerivedPixelContrastValues, ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from codetect_inference.drawing import CLEAR_EVIDENCE
from codetect_inference.explain import shares
from codetect_inference.report import SCHEME, meaning, sources
from codetect_inference.result import MANUFACTURER, Result

SERIES_NUMBER = 90003
EVIDENCE = CodedConcept("evidence", SCHEME, "Share in the calibrated logit")


def mapping(result: Result) -> Iterator[Dataset]:
    """One Parametric Map a label, a frame for each slice that was read.

    None of series without geometry, or of several phases: a place has one value.
    """
    manifest = result.manifest
    if manifest.pixel_spacing_mm and manifest.frame_of_reference_uid and _has_a_place_each(result):
        for column in range(len(result.bundle.labels)):
            yield _map(result, column)


def _has_a_place_each(result: Result) -> bool:
    manifest, read = result.manifest, result.maps.slices
    normal = np.cross(manifest.orientation[:3], manifest.orientation[3:])
    positions = np.array([manifest.instances[n].position_mm for n in read.tolist()])
    return len(np.unique(np.round(positions @ normal, 2))) == len(read)


def _map(result: Result, column: int) -> Dataset:
    label, manifest, numbers = result.bundle.labels[column], result.manifest, result.maps.slices.tolist()
    pixels = _pixels(result, column)
    low, high = min(0.0, float(pixels.min())), max(CLEAR_EVIDENCE, float(pixels.max()))
    ds = ParametricMap(
        source_images=_sources(result),
        pixel_array=pixels,
        series_instance_uid=result.uid("pm/series"),
        series_number=SERIES_NUMBER,
        series_description="CoDetect heatmaps - not for clinical use",
        sop_instance_uid=result.uid(f"pm/{label.name}"),
        instance_number=column + 1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=result.bundle.name,
        software_versions=result.bundle.version,
        device_serial_number=result.bundle_sha256,
        contains_recognizable_visual_features=False,
        derived_pixel_contrast=DerivedPixelContrastValues.QUANTITY,
        derivation=codes.DCM.ClassActivation,
        content_label="HEATMAP",
        content_description=meaning(label.title),
        content_date=result.date,
        content_time="000000",
        real_world_value_mappings=[
            RealWorldValueMapping(
                lut_label=label.name[:16],
                lut_explanation=meaning(f"{label.title}: share in the calibrated logit"),
                unit=codes.UCUM.NoUnits,
                value_range=(low, high),
                slope=1.0,
                intercept=0.0,
                quantity_definition=EVIDENCE,
            )
        ],
        voi_lut_transformations=[VOILUTTransformation(window_center=CLEAR_EVIDENCE / 2, window_width=CLEAR_EVIDENCE)],
        pixel_measures=_measures(result, pixels.shape[1:]),
        plane_orientation=PlaneOrientationSequence("PATIENT", manifest.orientation),
        plane_positions=[_position(result, n, pixels.shape[1:]) for n in numbers],
    )
    ds.BodyPartExamined = "CHEST"
    for of in (*ds.DimensionOrganizationSequence, *ds.DimensionIndexSequence):
        of.DimensionOrganizationUID = result.uid(f"pm/{label.name}/dimensions")  # highdicom's is another each time
    return ds


def _pixels(result: Result, column: int) -> NDArray[np.float32]:
    """A label's maps in calibrated logits, (n, rows, columns): the mean of each is its slice's calibrated one."""
    cells = np.stack([shares(result.maps, row, column) for row in range(len(result.maps.slices))])
    return np.asarray(cells / np.float32(result.bundle.labels[column].temperature), np.float32)


def _cells(result: Result, shape: tuple[int, ...]) -> tuple[float, float]:
    """How many of the slice's pixels one of the map's is high and wide."""
    box = result.maps.box
    return (box.bottom - box.top) / shape[0], (box.right - box.left) / shape[1]


def _measures(result: Result, shape: tuple[int, ...]) -> PixelMeasuresSequence:
    manifest, (high, wide) = result.manifest, _cells(result, shape)
    down, across = manifest.pixel_spacing_mm or (1.0, 1.0)
    thickness = manifest.slice_thickness_mm or manifest.slice_spacing_mm or 1.0
    return PixelMeasuresSequence((round(down * high, 6), round(across * wide, 6)), thickness, manifest.slice_spacing_mm)


def _position(result: Result, n: int, shape: tuple[int, ...]) -> PlanePositionSequence:
    """Where the centre of a frame's first pixel lies."""
    box, (high, wide) = result.maps.box, _cells(result, shape)
    place = result.manifest.place(n, box.left + wide / 2 - 0.5, box.top + high / 2 - 0.5)
    assert place
    return PlanePositionSequence("PATIENT", place)


def _sources(result: Result) -> list[Dataset]:
    """The slices that were read, as the sources of frames."""
    manifest, those = result.manifest, sources(result)
    series = Dataset()
    series.Rows, series.Columns = next(iter(result.hu.values())).shape
    series.FrameOfReferenceUID, series.PositionReferenceIndicator = manifest.frame_of_reference_uid, ""
    series.ImageOrientationPatient = list(manifest.orientation)
    series.PixelSpacing = list(manifest.pixel_spacing_mm or ())
    series.SliceThickness = manifest.slice_thickness_mm
    read = result.maps.slices.tolist()
    for n in read:
        those[n].update(series)
        those[n].ImagePositionPatient = list(manifest.instances[n].position_mm)
    return [those[n] for n in read]
