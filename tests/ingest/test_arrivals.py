"""What scanners, archives and people really send: each is taken with its meaning, or refused by its own code."""

import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.identity import identity_of
from codetect_ingest.dicom.instance import SLICE_CODEC, PreparedSlice, prepare
from codetect_ingest.dicom.reading import parse, read, transfer_syntax
from codetect_ingest.dicom.refusals import Refused
from pydicom import uid
from pydicom.dataset import Dataset

from tests.ingest.samples import KEY, big, ct, written

NAME_TAG, ID_TAG = "00100010", "00100020"
NAMES = {
    "": "Mustermann^Erika",
    "ISO_IR 100": "Äneas^Rüdiger",
    "ISO_IR 101": "Wałęsa^Lech",
    "ISO_IR 109": "Ħaż-Żebbuġ^Ġorġ",
    "ISO_IR 110": "Bērziņš^Jānis",
    "ISO_IR 144": "Люксембург",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 148": "Çavuşoğlu^Işık",
    "ISO_IR 166": "สมชาย^ใจดี",
    "ISO_IR 203": "Bœuf^Zoé",
    "ISO_IR 13": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "ISO_IR 192": "Wang^XiaoDong=王^小東=",
    "GB18030": "Wang^XiaoDong=王^小东",
    "GBK": "Wang^XiaoDong=王^小东",
    "\\ISO 2022 IR 100": "Buc^Jérôme",
    "\\ISO 2022 IR 144": "Люксембург",
    "\\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "ISO 2022 IR 13\\ISO 2022 IR 87": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "\\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    "\\ISO 2022 IR 58": "Zhang^XiaoDong=张^小东",
}
OF_PYDICOM = {
    "chrArab": "قباني^لنزار",
    "chrFren": "Buc^Jérôme",
    "chrFrenMulti": "Buc^Jérôme",
    "chrGerm": "Äneas^Rüdiger",
    "chrGreek": "Διονυσιος",
    "chrH31": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "chrH32": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "chrHbrw": "שרון^דבורה",
    "chrI2": "Hong^Gildong=洪^吉洞=홍^길동",
    "chrJapMulti": "やまだ^たろう",
    "chrJapMultiExplicitIR6": "やまだ^たろう",
    "chrKoreanMulti": "김희중",
    "chrRuss": "Люкceмбypг",
    "chrX1": "Wang^XiaoDong=王^小東",
    "chrX2": "Wang^XiaoDong=王^小东",
}


def taken(data: bytes) -> PreparedSlice:
    (one,) = prepare(data, Pseudonyms(KEY))
    return one


def hu(data: bytes) -> np.ndarray:
    return np.frombuffer(SLICE_CODEC.decode(taken(data).hu), "<i2")


def name_in(ds: Dataset) -> str:
    """The patient's name as it is sealed, its three groups joined again."""
    (groups,) = identity_of(ds).study[NAME_TAG]["Value"]
    return "=".join(groups.get(k, "") for k in ("Alphabetic", "Ideographic", "Phonetic")).rstrip("=")


@pytest.mark.parametrize(("charset", "name"), NAMES.items())
def test_a_name_in_any_character_set_is_sealed_as_it_reads(charset: str, name: str) -> None:
    data = written(ct(SpecificCharacterSet=charset.split("\\"), PatientName=name))
    assert name_in(read(data)) == name.rstrip("=")
    assert taken(data).identity.study[ID_TAG]["Value"] == ["MRN0815"]


@pytest.mark.parametrize(("file", "name"), OF_PYDICOM.items())
def test_names_in_pydicoms_own_files_read_as_they_should(file: str, name: str) -> None:
    data = (Path(pydicom.data.DATA_ROOT) / "charset_files" / f"{file}.dcm").read_bytes()
    assert name_in(parse(data)) == name


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 999", "\\ISO 2022 IR 87", "utf8"])
def test_a_name_that_its_character_set_cannot_hold_is_no_reason_to_refuse(charset: str) -> None:
    latin = written(ct(SpecificCharacterSet="ISO_IR 100", PatientName="Äneas^Rüdiger"))
    plain = charset.ljust(len(charset) + len(charset) % 2).encode()
    at = latin.index(b"\x08\x00\x05\x00CS")
    data = latin[: at + 6] + struct.pack("<H", len(plain)) + plain + latin[at + 18 :]
    assert parse(data).SpecificCharacterSet is not None
    assert "Rüdiger".encode("latin-1") not in taken(data).clean


def test_monochrome1_is_a_way_to_show_the_same_hu() -> None:
    usual, inverted = (written(ct(PhotometricInterpretation=f"MONOCHROME{n}")) for n in (2, 1))
    assert np.array_equal(hu(usual), hu(inverted))
    clean = pydicom.dcmread(pydicom.filebase.DicomBytesIO(taken(inverted).clean))
    assert clean.PhotometricInterpretation == "MONOCHROME1"


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_a_file_without_a_header_is_read_as_what_it_is(syntax: uid.UID) -> None:
    ds = ct()
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == uid.ExplicitVRBigEndian:
        ds.PixelData = np.arange(256, dtype=">i2").tobytes()
    data = written(ds)
    start = 144 + struct.unpack_from("<I", data, 140)[0]
    if syntax == uid.ExplicitVRBigEndian:
        with pytest.raises(Refused) as refused:
            read(data[start:])
        assert refused.value.code == "not_dicom"
    else:
        assert transfer_syntax(read(data[start:])) == syntax
        assert np.array_equal(hu(data[start:]), hu(data))


def with_vr(ds: Dataset, keyword: str, vr: str, value: object) -> bytes:
    """A file whose attribute is written as another kind of value than it is."""
    tag = pydicom.datadict.tag_for_keyword(keyword)
    ds[tag] = pydicom.DataElement(tag, vr, value)
    return written(ds)


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [
        ("PixelSpacing", "LO", "0.7\\0.7"),
        ("PixelSpacing", "UN", b"0.7\\0.7 "),
        ("ImagePositionPatient", "ST", "-100\\-100\\0"),
        ("ImageOrientationPatient", "UT", "1\\0\\0\\0\\1\\0"),
        ("RescaleIntercept", "SH", "-1024"),
        ("RescaleSlope", "IS", 1),
        ("Rows", "US", 16),
        ("Rows", "UL", 16),
        ("BitsStored", "SS", 16),
        ("InstanceNumber", "US", 1),
        ("KVP", "LO", "much"),
        ("PixelPaddingValue", "LO", "none"),
        ("StudyDate", "LO", "last year"),
        ("ConvolutionKernel", "DS", "1.5"),
        ("PatientName", "LO", "Mustermann^Erika"),
    ],
)
def test_a_value_written_as_another_kind_is_understood_or_has_its_code(keyword: str, vr: str, value: object) -> None:
    data = with_vr(ct(), keyword, vr, value)
    try:
        clean = taken(data).clean
    except Refused as refused:
        assert refused.code in {"malformed", "no_geometry"}  # noqa: PT017
        return
    assert np.array_equal(hu(data), hu(written(ct())))
    assert b"Mustermann" not in clean


def test_a_transfer_syntax_written_as_another_kind_is_understood() -> None:
    data = written(ct())
    assert data.count(b"\x02\x00\x10\x00UI") == 1
    assert np.array_equal(hu(data.replace(b"\x02\x00\x10\x00UI", b"\x02\x00\x10\x00DS")), hu(data))


def test_a_head_is_taken_as_a_head() -> None:
    assert taken(written(ct(BodyPartExamined="HEAD"))).instance.body_part == "HEAD"
    assert taken(big("dicom/transfer-syntaxes/CT2_J2KR").read_bytes()).instance.modality == "CT"


def test_every_real_file_is_taken_whole_or_told_by_its_code() -> None:
    codes = {}
    for path in sorted(big("dicom/other").glob("*.dcm")):
        with pytest.raises(Refused) as refused:
            taken(path.read_bytes())
        codes[path.stem] = refused.value.code.value
    assert codes == {
        "CT_Implicit_Little_Headless_Retired": "bad_uid",
        "CT_JPEG70": "localizer",
        "HTJ2KLossless_08_RGB": "secondary_capture",
        "MR_Implicit_Little": "not_ct",
        "US_Explicit_Big_RGB": "not_ct",
        "ct_head_localizer": "localizer",
        "eCT_Supplemental": "not_hu",
        "rtstruct": "radiotherapy",
    }
