import contextlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from codetect_ingest.dicom.reading import MAX_ROWS, identify, parse, read
from codetect_ingest.dicom.refusals import Refusal, Refused
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.ingest.samples import SAMPLE, big, ct, item, written

TINY = written(ct())


def refusal(data: bytes) -> str:
    with pytest.raises(Refused) as refused:
        read(data)
    assert refused.value.detail.startswith(refused.value.code.sentence)
    return refused.value.code.value


def kind_of(data: bytes) -> tuple[str, str]:
    """The code and the note with it."""
    with pytest.raises(Refused) as refused:
        read(data)
    return refused.value.code.value, refused.value.note


def test_a_sound_slice_is_read() -> None:
    assert read(TINY).Rows == 16
    assert read(next(SAMPLE.glob("*.dcm")).read_bytes()).Rows == 512


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"hello, I am a text file" * 20, "not_dicom"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not_dicom"),
        (b"PK\x03\x04" + bytes(500), "not_dicom"),
        (bytes(4000), "not_dicom"),
        (TINY[:100], "not_dicom"),
        (TINY[:132], "truncated"),
        (TINY[:300], "truncated"),
        (TINY[:-1], "truncated"),
        (TINY[: len(TINY) - 300], "truncated"),
    ],
)
def test_bytes_that_are_no_whole_dicom_file_are_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_a_compressed_file_that_was_cut_is_truncated() -> None:
    whole = next(SAMPLE.glob("*.dcm")).read_bytes()
    assert refusal(whole[: len(whole) // 2]) == "truncated"


@pytest.mark.parametrize("at", range(133, len(TINY), 37))
def test_a_file_cut_anywhere_is_refused_and_never_taken(at: int) -> None:
    assert refusal(TINY[:at]) in {"truncated", "no_pixel_data", "bad_uid", "not_ct", "malformed"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PixelData": None}, "no_pixel_data"),
        ({"PixelData": b""}, "no_pixel_data"),
        ({"SOPClassUID": uid.MRImageStorage}, "not_ct"),
        ({"SOPClassUID": uid.MediaStorageDirectoryStorage}, "dicomdir"),
        ({"Modality": "MR"}, "not_ct"),
        ({"SamplesPerPixel": 3, "PlanarConfiguration": 0}, "not_ct"),
        ({"SOPClassUID": uid.SecondaryCaptureImageStorage}, "secondary_capture"),
        ({"SOPClassUID": uid.VLEndoscopicImageStorage}, "not_ct"),
        ({"NumberOfFrames": 4}, "enhanced"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "burned_in"),
        ({"BurnedInAnnotation": "YES"}, "burned_in"),
        ({"StudyInstanceUID": None}, "bad_uid"),
        ({"SOPInstanceUID": "1.02.3"}, "bad_uid"),
        ({"SeriesInstanceUID": "../../../etc/passwd"}, "bad_uid"),
        ({"SOPInstanceUID": "1." + "2" * 63}, "bad_uid"),
        ({"Rows": 15}, "size_mismatch"),
        ({"Rows": 17}, "size_mismatch"),
        ({"Rows": 0}, "size_mismatch"),
        ({"Rows": None}, "malformed"),
        ({"Rows": MAX_ROWS + 1}, "too_large"),
        ({"Columns": 65535, "Rows": 65535}, "too_large"),
        ({"BitsAllocated": 12}, "malformed"),
        ({"BitsAllocated": 8}, "malformed"),
        ({"BitsStored": 17}, "malformed"),
        ({"HighBit": 3}, "malformed"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.filterwarnings("ignore:The value length")
def test_what_is_no_sound_ct_slice_is_refused_by_its_own_code(changes: dict[str, object], code: str) -> None:
    assert refusal(written_as_is(ct(**changes))) == code


@pytest.mark.parametrize("burned", ["NO", None])
def test_a_slice_that_says_nothing_of_burned_in_text_is_taken(burned: str | None) -> None:
    assert read(written(ct(**({"BurnedInAnnotation": burned} if burned else {}))))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55", uid.MPEG2MPML])
def test_a_syntax_that_cannot_be_decoded_is_refused(syntax: str) -> None:
    ds = ct(PixelData=encapsulate([b"\xff\xd8" + bytes(98)]))
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = uid.UID(syntax)
    assert refusal(written(ds)) == "unsupported_transfer_syntax"


def test_a_file_without_preamble_and_header_is_read() -> None:
    headless = TINY[TINY.index(b"\x08\x00\x08\x00") :]
    assert read(headless).Rows == 16


def test_trailing_zero_byte_of_an_odd_image_is_no_lie() -> None:
    ds = ct(BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0, Rows=3, Columns=5)
    ds.PixelData = bytes(16)
    ds["PixelData"].VR = "OB"
    assert read(written(ds)).Columns == 5


def test_a_deflated_file_that_was_cut_is_refused() -> None:
    ds = ct(64)
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    data = written(ds)
    assert read(data).Rows == 64
    assert refusal(data[:-40]) == "truncated"


@pytest.mark.parametrize(
    ("name", "code", "note"),
    [
        ("MR_Implicit_Little", "not_ct", "MR Image Storage"),
        ("US_Explicit_Big_RGB", "not_ct", "Ultrasound Image Storage"),
        ("rtstruct", "radiotherapy", "RT Structure Set Storage"),
    ],
)
def test_other_kinds_of_dicom_are_told_by_name(name: str, code: str, note: str) -> None:
    assert kind_of(big(f"dicom/other/{name}.dcm").read_bytes()) == (code, note)


@pytest.mark.parametrize(
    ("name", "code", "note"),
    [
        ("rtplan.dcm", "radiotherapy", "RT Plan Storage"),
        ("rtdose.dcm", "radiotherapy", "RT Dose Storage"),
        ("reportsi.dcm", "structured_report", "Basic Text SR Storage"),
        ("test-SR.dcm", "structured_report", "Comprehensive SR Storage"),
        ("liver_1frame.dcm", "annotation", "Segmentation Storage"),
        ("waveform_ecg.dcm", "not_ct", "12-lead ECG Waveform Storage"),
        ("chrX1.dcm", "secondary_capture", "Secondary Capture Image Storage"),
        ("dicomdirtests/DICOMDIR", "dicomdir", "Media Storage Directory Storage"),
        ("dicomdirtests/DICOMDIR-bigEnd", "dicomdir", "Media Storage Directory Storage"),
        ("dicomdirtests/DICOMDIR-implicit", "dicomdir", "Media Storage Directory Storage"),
        ("dicomdirtests/DICOMDIR-empty.dcm", "dicomdir", "Media Storage Directory Storage"),
    ],
)
def test_pydicoms_other_kinds_are_told_by_name(name: str, code: str, note: str) -> None:
    folder = Path(pydicom.data.DATA_ROOT)
    path = folder / ("charset_files" if name.startswith("chr") else "test_files") / name
    assert kind_of(path.read_bytes()) == (code, note)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (uid.XRayRadiationDoseSRStorage, "structured_report"),
        (uid.ChestCADSRStorage, "structured_report"),
        (uid.KeyObjectSelectionDocumentStorage, "structured_report"),
        (uid.GrayscaleSoftcopyPresentationStateStorage, "annotation"),
        (uid.EncapsulatedPDFStorage, "document"),
        (uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage, "secondary_capture"),
        (uid.RawDataStorage, "not_ct"),
        (uid.PositronEmissionTomographyImageStorage, "not_ct"),
    ],
)
def test_every_kind_that_comes_along_with_a_ct_has_its_sentence_and_may_be_kept(kind: uid.UID, code: str) -> None:
    ds = ct(SOPClassUID=kind, Modality="OT", SeriesNumber=7)
    assert kind_of(written(ds)) == (code, kind.name)
    assert Refusal(code).keepable
    found = identify(parse(written(ds)))
    assert found == (kind, "1.2.3.1", "1.2.3", "1.2.3.0", "OT", 7)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"SOPClassUID": None}, "bad_uid"),
        ({"SOPClassUID": "1..2"}, "bad_uid"),
        ({"SOPInstanceUID": "../../1.2"}, "bad_uid"),
        ({"StudyInstanceUID": None}, "bad_uid"),
        ({"SeriesInstanceUID": ""}, "bad_uid"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_what_cannot_be_identified_is_not_kept(changes: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refused:
        identify(ct(**changes))
    assert (refused.value.code, refused.value.keepable) == (code, False)


def test_a_series_number_that_is_none_is_malformed() -> None:
    with pytest.raises(Refused) as refused:
        identify(parse(written(ct(SeriesNumber=77)).replace(b"77", b"no")))
    assert refused.value.code == "malformed"


@pytest.mark.filterwarnings("ignore:Invalid value")
def test_an_odd_modality_and_no_number_are_no_reason_not_to_keep() -> None:
    found = identify(parse(written_as_is(ct(Modality="john doe"))))
    assert (found.modality, found.series_number) == ("OT", None)


def test_what_is_broken_hostile_or_without_a_place_is_never_kept() -> None:
    sound = {Refusal.NOT_CT, Refusal.STRUCTURED_REPORT, Refusal.RADIOTHERAPY, Refusal.ANNOTATION, Refusal.DOCUMENT}
    sound |= {Refusal.NOT_HU, Refusal.SECONDARY_CAPTURE, Refusal.LOCALIZER, Refusal.BURNED_IN}
    assert {code for code in Refusal if code.keepable} == sound
    assert refusal(written(ct(SOPClassUID=uid.MRImageStorage))[:-1]) == "truncated"


@pytest.mark.parametrize("rescale_type", ["Z_EFF", "MGML", "ED", "OD", "ml/100g/min", "HU/s", ["HU", "OD"], "MHU"])
def test_values_in_another_unit_are_not_hu(rescale_type: str | list[str]) -> None:
    assert refusal(written(ct(RescaleType=rescale_type))) == "not_hu"


@pytest.mark.parametrize("rescale_type", ["HU", " hu ", "HU_MOD", "US", "", "Hounsfield", "Houndsfield Unit"])
def test_hu_may_be_spelt_as_makers_spell_it(rescale_type: str) -> None:
    assert read(written(ct(RescaleType=rescale_type)))


@pytest.mark.parametrize("meaning", ["PALETTE COLOR", "RGB", "YBR_FULL", "ODD", ["MONOCHROME2", "ODD"]])
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_values_that_stand_for_colours_are_not_hu(meaning: str | list[str]) -> None:
    assert refusal(written(ct(PhotometricInterpretation=meaning))) == "not_hu"
    assert read(written(ct(PhotometricInterpretation="monochrome1 ")))


def test_values_that_a_table_maps_are_not_hu() -> None:
    table = item(LUTDescriptor=[256, 0, 16], ModalityLUTType="HU", LUTData=bytes(512))
    assert refusal(written(ct(RescaleSlope=None, RescaleIntercept=None, ModalityLUTSequence=[table]))) == "not_hu"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ct_head_localizer.dcm", "localizer"),
        ("CT_JPEG70.dcm", "localizer"),
        ("eCT_Supplemental.dcm", "not_hu"),
        ("HTJ2KLossless_08_RGB.dcm", "secondary_capture"),
        ("CT_Implicit_Little_Headless_Retired.dcm", "bad_uid"),
    ],
)
def test_odd_files_of_the_real_world_have_their_code(name: str, code: str) -> None:
    assert refusal(big(f"dicom/other/{name}").read_bytes()) == code


def test_pydicoms_own_files_are_read_or_refused_and_nothing_else() -> None:
    folder = [p for p in (Path(pydicom.data.DATA_ROOT) / "test_files").rglob("*") if p.is_file()]
    assert len(folder) > 80
    for path in folder:
        with contextlib.suppress(Refused):
            read(path.read_bytes())


def written_as_is(ds: Dataset) -> bytes:
    """Write also what a strict writer wouldn't."""
    with pydicom.config.disable_value_validation():
        return written(ds)


def test_noise_in_place_of_a_file_is_refused() -> None:
    noise = np.random.default_rng(7)
    for _ in range(200):
        spoiled = bytearray(TINY)
        for at in noise.integers(132, len(TINY), 8):
            spoiled[at] = noise.integers(256)
        with contextlib.suppress(Refused):
            read(bytes(spoiled))
