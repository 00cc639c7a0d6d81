"""Enhanced CT to plain CT: a file of many frames as one single-frame data set after the other (PS3.3 A.38, A.70)."""

import copy
import re
import uuid
from collections.abc import Collection, Iterator
from io import BytesIO
from typing import Any, BinaryIO, cast

from pydicom import uid
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import BaseTag

from codetect_ingest.dicom.reading import (
    ENHANCED,
    NATIVE,
    check_image,
    frame_count,
    integer,
    transfer_syntax,
    unread_image,
    value,
)
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicom.remembering import usual_vr


def _same(*keywords: str) -> dict[str, str]:
    return {keyword: keyword for keyword in keywords}


# fmt: off
GROUPS = {
    "PixelMeasuresSequence": _same("PixelSpacing", "SliceThickness"),
    "PlanePositionSequence": _same("ImagePositionPatient"),
    "PlaneOrientationSequence": _same("ImageOrientationPatient"),
    "PixelValueTransformationSequence": _same("RescaleIntercept", "RescaleSlope", "RescaleType"),
    "FrameVOILUTSequence": _same("WindowCenter", "WindowWidth"),
    "CTImageFrameTypeSequence": {"FrameType": "ImageType", "PixelPresentation": "PixelPresentation"},
    "CTReconstructionSequence": _same("ConvolutionKernel", "ReconstructionDiameter"),
    "CTExposureSequence": {
        "ExposureTimeInms": "ExposureTime", "XRayTubeCurrentInmA": "XRayTubeCurrent", "ExposureInmAs": "Exposure",
    },
    "CTXRayDetailsSequence": _same("KVP", "FocalSpots", "FilterType"),
    "CTGeometrySequence": _same("DistanceSourceToDetector"),
    "CTAcquisitionDetailsSequence": _same(
        "RotationDirection", "RevolutionTime", "SingleCollimationWidth", "TotalCollimationWidth", "TableHeight",
        "GantryDetectorTilt", "DataCollectionDiameter",
    ),
    "CTTableDynamicsSequence": _same("TableSpeed", "TableFeedPerRotation", "SpiralPitchFactor"),
    "FrameContentSequence": {"FrameAcquisitionNumber": "AcquisitionNumber"},
}  # their names to ours
LEFT_OUT = (
    "NumberOfFrames", "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence",
    "DimensionIndexSequence",
)
OF_THE_FILE = (
    *LEFT_OUT, "SpecificCharacterSet", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows",
    "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
)
# fmt: on
LONGEST_CS = 16
GROUPS_OF_THE_FILE = {0x0002, 0x0010, 0x7FE0}  # how it is written, whose it is, the image
UNASSIGNED = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)  # what a legacy converted image has kept of the single ones that it was made of


def frames_of(ds: Dataset) -> Iterator[Dataset]:
    """Yield a file's slices, each a plain CT data set: the file itself unless it holds several. Raises `Refused`."""
    if value(ds, "SOPClassUID") not in ENHANCED:
        yield ds
        return
    for frame in split(ds):
        check_image(frame)
        yield frame


def split(ds: Dataset) -> Iterator[Dataset]:
    """Yield each frame of an Enhanced CT as a CT image, one at a time; `ds` isn't changed.

    `ENHANCED` where the frames aren't described one by one. A frame's SOPInstanceUID is made of the file's and the
    frame's number, so it is the same each time the file is read.
    """
    count = frame_count(ds)
    each, shared = _items(ds, "PerFrameFunctionalGroupsSequence"), _items(ds, "SharedFunctionalGroupsSequence")
    if len(each) != count or len(shared) > 1:
        raise Refused(Refusal.ENHANCED)
    common = _unread(ds, LEFT_OUT)
    first = integer(ds, "ConcatenationFrameOffsetNumber", 0) + 1
    for index, (own, pixels) in enumerate(zip(each, _pixels(ds, count), strict=True)):
        frame = _fresh(common, ds)
        frame.SOPClassUID = uid.CTImageStorage
        frame.SOPInstanceUID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{ds.SOPInstanceUID}.{index + 1}').int}"
        frame.InstanceNumber = first + index
        for groups in (*shared, own):
            _describe(frame, groups)
        frame.PixelData = pixels
        yield frame


def _items(ds: Dataset, keyword: str) -> list[Dataset]:
    found = value(ds, keyword)
    return [item for item in found or () if isinstance(item, Dataset)]


def _unread(ds: Dataset, but: Collection[str] = ()) -> dict[BaseTag, Any]:
    """Return the elements as they are, those that haven't been looked at as raw bytes."""
    tags = ds.keys()  # the data set itself yields what it has read
    return {tag: ds.get_item(tag) for tag in tags if keyword_for_tag(tag) not in but}


def _fresh(common: dict[BaseTag, Any], ds: Dataset) -> Dataset:
    """Return a data set of its own that is read as `ds` is."""
    frame = Dataset({tag: copy.copy(element) for tag, element in common.items()})  # assigning changes elements in place
    implicit, little = ds.original_encoding
    frame.set_original_encoding(implicit, little, ds.original_character_set)
    frame.file_meta = FileMetaDataset()
    frame.file_meta.TransferSyntaxUID = transfer_syntax(ds)
    return frame


def _describe(frame: Dataset, groups: Dataset) -> None:
    """Say of a frame what its functional groups say, where a CT image says it."""
    for sequence in GROUPS:
        for item in _items(groups, sequence)[:1]:
            for theirs, ours in GROUPS[sequence].items():
                _say(frame, ours, value(item, theirs))
    for sequence in UNASSIGNED:
        for item in _items(groups, sequence)[:1]:
            frame.update({tag: found for tag, found in _unread(item).items() if _may_differ(tag)})
    for item in _items(groups, "FrameContentSequence")[:1]:
        acquired = str(value(item, "FrameAcquisitionDateTime") or "")
        _say(frame, "AcquisitionDate", acquired[:8])
        _say(frame, "AcquisitionTime", re.split(r"[+-]", acquired[8:])[0])
    for item in _items(groups, "FrameAnatomySequence")[:1]:
        for region in _items(item, "AnatomicRegionSequence")[:1]:
            _say(frame, "BodyPartExamined", str(value(region, "CodeMeaning") or "").upper()[:LONGEST_CS].strip())


def _may_differ(tag: BaseTag) -> bool:
    """Whether a frame may say it for itself: UIDs, the patient and how pixels are encoded were checked for the file."""
    of_the_file = tag.group in GROUPS_OF_THE_FILE or keyword_for_tag(tag) in OF_THE_FILE
    return not of_the_file and usual_vr(tag) != "UI"


def _say(frame: Dataset, keyword: str, found: Any) -> None:
    if found in (None, ""):
        return
    try:
        setattr(frame, keyword, found)
    except Exception:  # written with a VR that isn't its own, it may be anything
        raise Refused(Refusal.MALFORMED, keyword) from None


def _pixels(ds: Dataset, count: int) -> Iterator[bytes]:
    """Yield each frame's pixel data, by itself, still as it is encoded."""
    file = _image_file(ds)
    if transfer_syntax(ds) in NATIVE:
        size = ds.Rows * ds.Columns * ds.BitsAllocated // 8
        for _ in range(count):
            yield file.read(size)
        return
    offsets, lengths = value(ds, "ExtendedOffsetTable"), value(ds, "ExtendedOffsetTableLengths")
    extended = (offsets, lengths) if offsets and lengths else None
    frames = generate_frames(file, number_of_frames=count, extended_offsets=extended)
    for number in range(count + 1):
        try:
            frame = next(frames, None)
        except MemoryError:
            raise
        except Exception:
            raise Refused(Refusal.SIZE_MISMATCH) from None
        if (frame is None) != (number == count):  # fewer than promised, or more
            raise Refused(Refusal.SIZE_MISMATCH)
        if frame is not None:
            yield encapsulate([frame])


def _image_file(ds: Dataset) -> BinaryIO:
    """Return where the image can be read from its beginning; of a large one nothing is in memory."""
    element = unread_image(ds)
    if element is None:
        return BytesIO(ds.PixelData)
    file = cast(BinaryIO, ds.buffer)
    file.seek(element.value_tell)
    return file
