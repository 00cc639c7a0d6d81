"""What is worked out once is what pydicom says each time, and nothing of it outlasts its facility."""

from io import BytesIO

import pydicom
import pytest
from codetect_ingest.child import answer_slices
from codetect_ingest.dicom import remembering
from codetect_ingest.dicom.reading import tolerant, value
from codetect_ingest.dicom.remembering import LONGEST, PLAIN, element_of, only_of, said, tag_of
from pydicom.datadict import DicomDictionary
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from tests.ingest.samples import KEY, ct, written

ONE_OF_EACH = {entry[0]: tag for tag, entry in reversed(DicomDictionary.items()) if entry[0] in PLAIN}
TEXTS = (b"", b" ", b"1", b"007 ", b"1.50\\-2e3\\", b"20200301", b"A^B=C^D", b"\xc3\xa9", b"\x1b$B;3\x1b(B", b"1.2.3\0")
NUMBERS = (b"\1\0", b"\xff\xff\0\0", b"\0\0\x80\x7f\0\0\xc0\x7f", b"odd", bytes(range(16)))
ENCODINGS = (("iso8859", True, True), ("utf8", False, True), (["iso8859", "iso2022_jp"], False, False))

Encoding = tuple[str | list[str], bool, bool]  # character set, implicit VR, little endian


def raw(tag: int, data: bytes, vr: str | None = None, encoding: Encoding = ENCODINGS[0]) -> Dataset:
    charset, implicit, little = encoding
    tag = BaseTag(tag)
    ds = Dataset({tag: RawDataElement(tag, vr, len(data), data, 0, implicit, little)})
    ds.set_original_encoding(implicit, little, charset)
    return ds


def told(ds: Dataset, tag: int) -> str:
    try:
        element = ds[tag]
    except Exception as error:
        return repr(error)
    return f"{element.VR} {element.value!r}"


@pytest.mark.parametrize("vr", sorted(PLAIN))
@pytest.mark.parametrize("encoding", ENCODINGS, ids=str)
def test_it_is_what_pydicom_says(vr: str, encoding: Encoding) -> None:
    tag = ONE_OF_EACH[vr]
    with tolerant():
        for data in (*TEXTS, *NUMBERS):
            for given in (vr, None) if encoding[1] else (vr,):
                one = said(raw(tag, data, given, encoding), tag)
                assert one is not None
                for _ in range(2):
                    try:
                        found = element_of(one)
                        mine = f"{found.VR} {found.value!r}"
                    except Exception as error:
                        mine = repr(error)
                    assert mine == told(raw(tag, data, given, encoding), tag)


def test_what_others_decide_or_what_is_long_is_left_to_pydicom() -> None:
    assert said(raw(tag_of("PixelPaddingValue"), b"\1\0"), tag_of("PixelPaddingValue")) is None
    assert said(raw(0x00091001, b"x "), 0x00091001) is None
    assert said(raw(tag_of("PatientName"), b"x" * (LONGEST + 2)), tag_of("PatientName")) is None
    assert said(raw(tag_of("PatientName"), b"x ", "UN"), tag_of("PatientName")) is None
    assert said(Dataset(), tag_of("PatientName")) is None
    ds = raw(tag_of("Rows"), b"\1\0")
    ds.Rows = 3
    assert value(ds, "Rows") == 3


def test_looking_changes_nothing() -> None:
    ds = pydicom.dcmread(BytesIO(written(ct(ImageType=["ORIGINAL", "PRIMARY"]))))
    with tolerant():
        assert value(ds, "ImageType") == ["ORIGINAL", "PRIMARY"]
    ds.ImageType = "DERIVED"
    again = pydicom.dcmread(BytesIO(written(ct(ImageType=["ORIGINAL", "PRIMARY"]))))
    with tolerant():
        assert value(again, "ImageType") == ["ORIGINAL", "PRIMARY"]
    assert value(ds, "ImageType") == "DERIVED"


def test_another_facilitys_files_are_read_by_a_child_that_remembers_nothing() -> None:
    list(answer_slices(BytesIO(written(ct())), KEY))
    assert element_of.cache_info().currsize
    only_of(KEY)
    assert element_of.cache_info().currsize
    list(answer_slices(BytesIO(b"nothing"), b"another facility's key, 32 bytes"))
    assert not any(each.cache_info().currsize for each in remembering._kept)


def test_a_file_is_the_same_whatever_was_read_before() -> None:
    names = [
        {"PatientName": f"A^{n}", "StudyDate": f"2020030{n}", "KVP": "120.0" if n % 2 else "120"} for n in (1, 2, 3)
    ]
    files = [written(ct(**each)) for each in (*names, {"BitsStored": 12, "HighBit": 11})]
    alone = []
    for file in files:
        only_of(b"nobody")
        alone.append(list(answer_slices(BytesIO(file), KEY)))
    assert [list(answer_slices(BytesIO(file), KEY)) for file in files] == alone
