"""A label's heatmaps as a Parametric Map (PS3.3 A.75): floats in patient space, for fusing (docs/adr/0092).

highdicom makes a map of one frame, with all that frames share; the others are added here, in a tenth of its time.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from highdicom import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence, VOILUTTransformation
from highdicom.pm import DerivedPixelContrastValues, ParametricMap, RealWorldValueMapping
from highdicom.spatial import get_volume_positions
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from codetect_inference.drawing import CLEAR_EVIDENCE
from codetect_inference.explain import Vector, shares
from codetect_inference.manifest import ManifestInstance
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
    return len(np.unique(_depths(result))) == len(result.maps.slices)


def _depths(result: Result) -> NDArray[np.float64]:
    """Where each slice that was read lies along the series' normal, in mm."""
    manifest = result.manifest
    normal = np.cross(manifest.orientation[3:], manifest.orientation[:3])
    positions = np.array([manifest.instances[n].position_mm for n in result.maps.slices.tolist()])
    return np.asarray(np.round(positions @ normal, 2))


def _map(result: Result, column: int) -> Dataset:
    label, manifest, rows = result.bundle.labels[column], result.manifest, np.argsort(_depths(result))
    numbers, pixels = result.maps.slices[rows].tolist(), _pixels(result, column)[rows]
    places = [_place(result, n, pixels.shape[1:]) for n in numbers]
    spacing_mm, _ = get_volume_positions(places, manifest.orientation)  # None: not evenly spaced
    low, high = min(0.0, float(pixels.min())), max(CLEAR_EVIDENCE, float(pixels.max()))
    ds = ParametricMap(
        source_images=[_source(result, numbers[0])],
        pixel_array=pixels[:1],
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
        pixel_measures=_measures(result, pixels.shape[1:], spacing_mm),
        plane_orientation=PlaneOrientationSequence("PATIENT", manifest.orientation),
        plane_positions=[PlanePositionSequence("PATIENT", places[0])],
    )
    instances = [manifest.instances[n] for n in numbers]
    ds.NumberOfFrames, ds.FloatPixelData = len(numbers), pixels.tobytes()
    ds.PerFrameFunctionalGroupsSequence = _frames(instances, places)
    references = [_reference(one) for _, one in sorted(zip(numbers, instances, strict=True))]
    ds.SourceImageSequence = ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence = references
    if spacing_mm is None and manifest.slice_spacing_mm is None:
        del ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices
    if spacing_mm is not None and len(numbers) > 1:
        ds.DimensionOrganizationType = "3D"
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


def _measures(result: Result, shape: tuple[int, ...], spacing_mm: float | None) -> PixelMeasuresSequence:
    manifest, (high, wide) = result.manifest, _cells(result, shape)
    down, across = manifest.pixel_spacing_mm or (1.0, 1.0)
    spacing_mm = manifest.slice_spacing_mm or spacing_mm
    thickness = manifest.slice_thickness_mm or manifest.slice_spacing_mm or 1.0
    return PixelMeasuresSequence((round(down * high, 6), round(across * wide, 6)), thickness, spacing_mm)


def _place(result: Result, n: int, shape: tuple[int, ...]) -> Vector:
    """Where the centre of a frame's first pixel lies."""
    box, (high, wide) = result.maps.box, _cells(result, shape)
    place = result.manifest.place(n, box.left + wide / 2 - 0.5, box.top + high / 2 - 0.5)
    assert place
    return place


def _source(result: Result, n: int) -> Dataset:
    """A slice that was read, as the source of a frame."""
    manifest = result.manifest
    (ds,) = sources(result, [manifest.instances[n]])
    ds.Rows, ds.Columns = next(iter(result.hu.values())).shape
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = manifest.frame_of_reference_uid, ""
    ds.ImageOrientationPatient = list(manifest.orientation)
    ds.ImagePositionPatient = list(manifest.instances[n].position_mm)
    ds.PixelSpacing = list(manifest.pixel_spacing_mm or ())
    ds.SliceThickness = manifest.slice_thickness_mm
    return ds


def _frames(instances: Sequence[ManifestInstance], places: Sequence[Vector]) -> list[Dataset]:
    """Of each frame what is its own: its slice, and where it lies (PS3.3 C.7.6.16.2)."""
    how = _element("DerivationCodeSequence", [CodedConcept.from_code(codes.DCM.ClassActivation)])
    purpose = CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)
    of_source = (
        _element("SpatialLocationsPreserved", "NO"),
        _element("PurposeOfReferenceCodeSequence", [purpose]),
    )
    return [
        _item(
            _element(
                "DerivationImageSequence",
                [_item(how, _element("SourceImageSequence", [_reference(instance, *of_source)]))],
            ),
            _element("FrameContentSequence", [_item(_element("DimensionIndexValues", number))]),
            _element("PlanePositionSequence", [_item(_element("ImagePositionPatient", list(place)))]),
        )
        for number, (instance, place) in enumerate(zip(instances, places, strict=True), 1)
    ]


def _reference(instance: ManifestInstance, *more: DataElement) -> Dataset:
    return _item(
        _element("ReferencedSOPClassUID", instance.sop_class_uid),
        _element("ReferencedSOPInstanceUID", instance.sop_instance_uid),
        *more,
    )


def _element(keyword: str, value: object) -> DataElement:
    """Elements that frames share are made once: making them takes longest."""
    return DataElement(keyword, dictionary_VR(keyword), value)


def _item(*elements: DataElement) -> Dataset:
    return Dataset({one.tag: one for one in elements})
