import tracemalloc
from collections.abc import Callable

import numpy as np
import pydicom
import pytest
from codetect_ingest.dicom.multiframe import frames_of, split
from codetect_ingest.dicom.pixels import hounsfield, stored_values
from codetect_ingest.dicom.reading import MAX_FRAMES, read
from codetect_ingest.dicom.refusals import Refused
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended

from tests.ingest.samples import big, ct, enhanced, images, item, streams, written


def slices(ds: Dataset) -> list[Dataset]:
    return list(frames_of(read(written(ds))))


def test_a_single_slice_is_its_own_only_frame() -> None:
    ds = read(written(ct()))
    assert [id(frame) for frame in frames_of(ds)] == [id(ds)]


def test_each_frame_becomes_a_ct_image_with_what_its_groups_say() -> None:
    found = slices(enhanced())
    assert [list(f.ImagePositionPatient) for f in found] == [[-100, -100, 2.5 * n] for n in range(3)]
    assert [f.InstanceNumber for f in found] == [1, 2, 3]
    for frame, image in zip(found, images(3), strict=True):
        assert frame.SOPClassUID == uid.CTImageStorage
        assert list(frame.PixelSpacing) == [0.7, 0.7]
        assert (frame.SliceThickness, frame.ConvolutionKernel, frame.BodyPartExamined) == (2.5, "B70f", "CHEST")
        assert (frame.ExposureTime, frame.XRayTubeCurrent, frame.AcquisitionNumber) == (500, 120, 7)
        assert (frame.AcquisitionDate, frame.AcquisitionTime[:3]) == ("20200301", "101")
        assert frame.ImageType[2] == "VOLUME"
        assert frame.PatientName == "Mustermann^Erika"
        assert "NumberOfFrames" not in frame
        assert "PerFrameFunctionalGroupsSequence" not in frame
        assert np.array_equal(stored_values(frame), image)
        assert np.array_equal(hounsfield(stored_values(frame), frame), image - 1024)


def test_what_a_frame_says_of_itself_goes_before_what_is_said_of_all() -> None:
    ds = enhanced(2)
    ds.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence = [
        item(RescaleSlope=2, RescaleIntercept=0, RescaleType="HU")
    ]
    assert [(f.RescaleSlope, f.RescaleIntercept) for f in slices(ds)] == [(1, -1024), (2, 0)]


def test_a_frames_identifier_is_valid_its_own_and_the_same_again() -> None:
    first, again = ([f.SOPInstanceUID for f in slices(enhanced(50, 4))] for _ in range(2))
    assert first == again
    assert len(set(first)) == 50
    assert all(uid.UID(u).is_valid for u in first)
    assert not set(first) & {f.SOPInstanceUID for f in slices(enhanced(50, 4, SOPInstanceUID="1.2.3.2"))}


def test_the_file_is_as_it_was_when_all_is_done() -> None:
    ds = read(written(enhanced()))
    before = ds.to_json()
    assert len({frame.SOPInstanceUID for frame in split(ds)}) == 3
    assert ds.to_json() == before


def test_parts_of_a_concatenation_number_their_frames_on() -> None:
    assert [f.InstanceNumber for f in slices(enhanced(2, ConcatenationFrameOffsetNumber=40))] == [41, 42]


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian]
)
def test_every_native_syntax_is_split(syntax: uid.UID) -> None:
    ds = enhanced()
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == uid.ExplicitVRBigEndian:
        ds.PixelData = images(3).astype(">i2").tobytes()
    assert [stored_values(f).tolist() for f in slices(ds)] == images(3).tolist()


@pytest.mark.parametrize("syntax", [uid.RLELossless, uid.JPEG2000Lossless])
@pytest.mark.parametrize("table", ["basic", "none", "extended"])
def test_every_compressed_syntax_is_split_however_its_frames_are_found(syntax: uid.UID, table: str) -> None:
    ds, made = enhanced(5, 64), streams(images(5, 64), syntax)
    if table == "extended":
        ds.PixelData, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(made)
    else:
        ds.PixelData = encapsulate(made, fragments_per_frame=1 if table == "none" else 2, has_bot=table == "basic")
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = syntax
    assert [stored_values(f).tolist() for f in slices(ds)] == images(5, 64).tolist()


def test_fewer_compressed_frames_than_promised_are_noticed() -> None:
    ds = enhanced(3)
    ds.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)] * 2)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
    assert refusal(lambda: slices(ds)) == "size_mismatch"


def legacy() -> Dataset:
    """A legacy converted image: what the single ones said lies in unassigned attributes."""
    ds = enhanced(2, SOPClassUID=uid.LegacyConvertedEnhancedCTImageStorage)
    del ds.SharedFunctionalGroupsSequence[0].CTReconstructionSequence
    ds.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence = [
        item(ConvolutionKernel="LUNG", KVP="120")
    ]
    for n, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
        groups.UnassignedPerFrameConvertedAttributesSequence = [item(InstanceNumber=70 + n, SliceLocation=5.5 * n)]
    return ds


def test_a_legacy_converted_image_is_split_into_what_it_was_made_of() -> None:
    found = slices(legacy())
    assert [(f.ConvolutionKernel, f.KVP, f.InstanceNumber, f.SliceLocation) for f in found] == [
        ("LUNG", 120, 70, 0),
        ("LUNG", 120, 71, 5.5),
    ]


@pytest.mark.parametrize("scope", ["Shared", "PerFrame"])
def test_what_was_checked_for_the_file_no_frame_says_otherwise(scope: str) -> None:
    otherwise = item(
        SOPClassUID=uid.MRImageStorage, SOPInstanceUID="1.2.3.70", StudyInstanceUID="1.2.4", SeriesInstanceUID="1.2.4",
        FrameOfReferenceUID="1.2.4.9", PatientID="MRN4711", PatientName="Other^One", SpecificCharacterSet="ISO_IR 144",
        Rows=8, Columns=32, BitsAllocated=8, BitsStored=8, HighBit=7, SamplesPerPixel=3, PixelRepresentation=0,
        NumberOfFrames=2, PlanarConfiguration=0, PhotometricInterpretation="MONOCHROME1", PixelData=b"\0\0",
        KVP="140",
    )  # fmt: skip
    ds = legacy()
    groups = [ds.SharedFunctionalGroupsSequence[0]] if scope == "Shared" else ds.PerFrameFunctionalGroupsSequence
    for group in groups:
        setattr(group, f"Unassigned{scope}ConvertedAttributesSequence", [otherwise])
    for frame, before in zip(slices(ds), slices(legacy()), strict=True):
        assert {e.keyword for e in otherwise if frame.get(e.keyword) != before.get(e.keyword)} == {"KVP"}


@pytest.mark.parametrize(
    "name", ["other/eCT_Supplemental.dcm", "transfer-syntaxes/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm"]
)
def test_the_real_worlds_enhanced_ct_is_split_but_its_perfusion_map_is_no_ct(name: str) -> None:
    path = big(f"dicom/{name}")
    source = pydicom.dcmread(path)
    found = list(split(source))
    assert [f.ImagePositionPatient[2] for f in found] == [-159, -149]
    assert [stored_values(f).tolist() for f in found] == source.pixel_array.tolist()
    assert {f.BodyPartExamined for f in found} == {"BRAIN"}
    assert refusal(lambda: list(frames_of(read(path.read_bytes())))) == "not_hu"


def refusal(do: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        do()
    return refused.value.code.value


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PerFrameFunctionalGroupsSequence": None}, "enhanced"),
        ({"PerFrameFunctionalGroupsSequence": [Dataset()] * 2}, "enhanced"),
        ({"NumberOfFrames": 2}, "size_mismatch"),
        ({"NumberOfFrames": 4}, "size_mismatch"),
        ({"NumberOfFrames": 0}, "malformed"),
        ({"NumberOfFrames": MAX_FRAMES + 1}, "too_large"),
        ({"NumberOfFrames": 2**31 - 1}, "too_large"),
        ({"NumberOfFrames": 4096, "Rows": 4096, "Columns": 4096}, "too_large"),
        ({"SOPClassUID": uid.CTImageStorage}, "enhanced"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]}, "localizer"),
        ({"BurnedInAnnotation": "YES"}, "burned_in"),
    ],
)
def test_what_cannot_be_split_has_its_code(changes: dict[str, object], code: str) -> None:
    assert refusal(lambda: slices(enhanced(3, **changes))) == code


@pytest.mark.parametrize(
    ("macro", "content", "code"),
    [
        ("CTImageFrameTypeSequence", {"FrameType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]}, "localizer"),
        ("CTImageFrameTypeSequence", {"PixelPresentation": "COLOR"}, "not_hu"),
        ("PixelValueTransformationSequence", {"RescaleType": "Z_EFF"}, "not_hu"),
        ("PixelValueTransformationSequence", {"RescaleType": "ml/100g/min"}, "not_hu"),
    ],
)
def test_a_frame_that_is_no_slice_of_tissue_has_its_code(macro: str, content: dict[str, object], code: str) -> None:
    ds = enhanced()
    setattr(ds.PerFrameFunctionalGroupsSequence[2], macro, [item(**content)])
    assert refusal(lambda: slices(ds)) == code


def test_frames_come_one_at_a_time() -> None:
    ds = read(written(enhanced(200, 128)))
    next(split(ds))
    tracemalloc.start()
    try:
        for frame in split(ds):
            stored_values(frame)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200 * 128 * 128 * 2 / 2


def test_a_value_of_a_wrong_kind_in_a_group_is_malformed() -> None:
    ds = enhanced()
    measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures[0x00280030] = pydicom.DataElement(0x00280030, "LO", "0.7.0 7")
    assert refusal(lambda: slices(ds)) == "malformed"
