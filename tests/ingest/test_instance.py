from io import BytesIO

import numpy as np
import pydicom
import pytest
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import SLICE_CODEC, prepare
from codetect_ingest.dicom.refusals import Refusal, Refused
from pydicom.uid import ImplicitVRLittleEndian

from tests.ingest.samples import BIG, KEY, SAMPLE, big, ct, item, written

PSEUDONYMS = Pseudonyms(KEY)


def outcome(data: bytes) -> str:
    try:
        return "accepted" if list(prepare(data, PSEUDONYMS)) else ""
    except Refused as refused:
        return refused.code.value


def test_a_slice_becomes_facts_a_clean_file_and_compressed_hu() -> None:
    (found,) = prepare(written(ct()), PSEUDONYMS)
    assert found.instance.pixel_spacing_mm == (0.7, 0.7)
    assert found.instance.position_mm == (-100, -100, 0)
    assert found.instance.bytes == len(found.clean)
    hu = np.frombuffer(SLICE_CODEC.decode(found.hu), "<i2").reshape(16, 16)
    assert hu[0, :3].tolist() == [-1024, -1023, -1022]


def test_preparing_again_makes_the_same_bytes() -> None:
    data = next(SAMPLE.glob("*.dcm")).read_bytes()
    assert list(prepare(data, PSEUDONYMS)) == list(prepare(data, Pseudonyms(KEY)))


@pytest.mark.parametrize("changes", [{}, {"ImageType": ["ORIGINAL", "PRIMARY", *["AXIAL"] * 20_000]}, {"KVP": 120}])
def test_a_clean_file_is_written_as_pydicom_writes_it(changes: dict[str, object]) -> None:
    source = ct(**changes)
    source.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # where a value may be longer than 64 KiB
    (found,) = prepare(written(source), PSEUDONYMS)
    again = pydicom.dcmread(BytesIO(found.clean))
    assert written(again) == found.clean


def test_a_sequence_that_cannot_be_read_is_replaced_like_any() -> None:
    source = ct(DeidentificationMethodCodeSequence=[item(CodeValue="113100", CodingSchemeDesignator="DCM")])
    data = written(source).replace(b"\x08\0\0\x01SH", b"\x08\0\0\x01SM")
    (found,) = prepare(data, PSEUDONYMS)
    assert "DeidentificationMethodCodeSequence" in found.report["replaced"]


def test_facts_name_nobody() -> None:
    facts = next(prepare(written(ct()), PSEUDONYMS)).instance.model_dump_json()
    for known in ("MRN0815", "Mustermann", "1.2.3", "20200301"):
        assert known not in facts


@pytest.mark.parametrize(
    "changes",
    [
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": None},
        {"PixelSpacing": None},
        {"PixelSpacing": [0, 0.7]},
        {"PixelSpacing": [0.7, -0.7]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [2, 0, 0, 0, 1, 0]},
        {"ImagePositionPatient": [0, 0]},
        {"ImagePositionPatient": [1e9, 0, 0]},
    ],
)
def test_a_slice_that_lies_nowhere_is_refused(changes: dict[str, object]) -> None:
    assert outcome(written(ct(**changes))) == "no_geometry"


@pytest.mark.parametrize("path", sorted((BIG / "dicom/transfer-syntaxes").glob("CT*")) or [None], ids=str)
def test_a_chest_slice_is_taken_in_every_syntax_but_those_that_nobody_decodes(path) -> None:
    path = path or big("dicom/transfer-syntaxes")
    expected = "accepted"
    if path.name.startswith("CT0012"):
        expected = "not_hu"
    elif ".4.53." in path.name or ".4.55." in path.name:
        expected = "unsupported_transfer_syntax"
    assert outcome(path.read_bytes()) == expected


def test_every_slice_of_real_covid_patients_is_taken() -> None:
    for path in big("dicom/covid-19-ny-sbu").rglob("*.dcm"):
        assert outcome(path.read_bytes()) == "accepted"


def test_every_outcome_has_a_code() -> None:
    assert outcome(b"") in {code.value for code in Refusal}
