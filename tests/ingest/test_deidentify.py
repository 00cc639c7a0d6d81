import re
import subprocess
from pathlib import Path

import pydicom
import pytest
from codetect_ingest.dicom import deidentify as module
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import prepare
from codetect_ingest.dicom.reading import read
from codetect_ingest.dicom.report import report
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import DicomDictionary, dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from tests.ingest.samples import KEY, ROOT, SAMPLE, big, ct, written

PSEUDONYMS = Pseudonyms(KEY)
TEXT_VRS = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "CS", "UR"}
DECIDING = {"Modality", "ImageType", "BurnedInAnnotation", "PhotometricInterpretation", "RescaleType"}  # is it taken?
KEPT = {*module.CODES, *module.TEXTS, *module.NUMBERS, *module.DATES}
SYNTAXES = "dicom/transfer-syntaxes"


def cleaned(ds: Dataset, key: bytes = KEY) -> Dataset:
    return pydicom.dcmread(pydicom.filebase.BytesIO(clean_bytes(ds, key)))


def clean_bytes(ds: Dataset, key: bytes = KEY) -> bytes:
    return next(prepare(written(ds), Pseudonyms(key))).clean


def valid_for_dciodvfy(path: Path) -> list[str]:
    """Errors that David Clunie's checker of IODs finds."""
    run = subprocess.run([ROOT / ".venv/bin/dciodvfy", path], capture_output=True, text=True, check=False)
    return [line for line in (run.stdout + run.stderr).splitlines() if line.startswith("Error")]


def canary(number: int) -> str:
    return f"CANARY{number:06}"


def text_keywords() -> dict[str, str]:
    """Every attribute of the standard that can hold text, with its VR; not file meta, not commands."""
    return {
        entry[4]: entry[0]
        for tag, entry in DicomDictionary.items()
        if entry[0] in TEXT_VRS and entry[4] and tag >> 16 > 4 and entry[4] != "SpecificCharacterSet"
    }


def test_nothing_identifying_survives_in_any_text_attribute_nested_or_private() -> None:
    ds, planted = ct(), {}
    for number, keyword in enumerate(text_keywords()):
        if keyword in {*DECIDING, "PatientName"}:
            continue
        planted[canary(number)] = keyword
        with pydicom.config.disable_value_validation():
            setattr(ds, keyword, canary(number))
    ds.PatientName = "NAMECANARY^ERIKA"
    item = Dataset()
    item.PatientName, item.TextValue = "NESTEDCANARY", "NESTEDCANARY"
    ds.ReferencedStudySequence = ds.RequestAttributesSequence = ds.ContentSequence = [item]
    block = ds.private_block(0x0009, "CANARYCREATOR", create=True)
    block.add_new(1, "LO", "PRIVATECANARY")
    block.add_new(2, "SQ", [item])
    ds.add_new((0x6000, 0x3000), "OW", b"OVERLAYCANARY ")
    ds.add_new((0x6000, 0x0022), "LO", "OVERLAYCANARY")
    ds.add_new((0xFFFC, 0xFFFC), "OB", b"TRAILINGCANARY")
    ds.file_meta.SourceApplicationEntityTitle = "METACANARY"
    data = bytearray(written(ds))
    data[:6] = b"CANARY"
    clean = next(prepare(bytes(data), PSEUDONYMS)).clean
    survivors = {keyword for text, keyword in planted.items() if text.encode() in clean}
    assert survivors <= {*module.CODES, *module.TEXTS} & KEPT
    for text in survivors and planted:
        if planted[text] in survivors:
            clean = clean.replace(text.encode(), b"")
    assert b"CANARY" not in clean


def test_a_name_typed_where_it_does_not_belong_is_removed_there_too() -> None:
    ds = ct(PatientName="Mustermann^Erika", PatientID="MRN0815", AccessionNumber="ACC4711")
    for keyword, value in {
        "Manufacturer": "ACME MUSTERMANN",
        "ManufacturerModelName": "for Mrs Mustermann",
        "ConvolutionKernel": "MRN0815",
        "FilterType": "erika",
        "BodyPartExamined": "MUSTERMANN",
        "ScanOptions": "ACC4711",
        "PatientPosition": "ERIKA",
    }.items():
        setattr(ds, keyword, value)
    clean = clean_bytes(ds).upper()
    for word in (b"MUSTERMANN", b"ERIKA", b"MRN0815", b"ACC4711"):
        assert word not in clean


def test_numbers_that_are_the_patients_own_are_removed() -> None:
    ds = ct(PatientID="4711", SeriesNumber=4711, AcquisitionNumber=20200301, InstanceNumber=19640812)
    kept = cleaned(ds)
    assert [kept.get(k) for k in ("SeriesNumber", "AcquisitionNumber", "InstanceNumber")] == [None] * 3
    assert cleaned(ct(SeriesNumber=4711)).SeriesNumber == 4711
    assert cleaned(ct(PatientID="1024", Rows=1, Columns=1024, PixelData=bytes(2048))).Columns == 1024


def test_short_names_are_found_as_words() -> None:
    ds = ct(
        PatientName="Li^Eva", Manufacturer="for Eva Li", ManufacturerModelName="ROOM LI 3", ConvolutionKernel="LIVER"
    )
    kept = cleaned(ds)
    assert (kept.Manufacturer or None, kept.get("ManufacturerModelName"), kept.ConvolutionKernel) == (
        None,
        None,
        "LIVER",
    )


@pytest.mark.parametrize("edition", ["dicomfields_2023", "dicomfields_2024b", "dicomfields_2026c"])
def test_every_attribute_the_standard_lists_is_removed_or_replaced(edition: str) -> None:
    """PS3.15 table E.1-1 as dicom-anonymizer carries it, against ours: nothing it names is kept as it was."""
    listed = dicom_anonymization_database_selector(edition)["ALL_TAGS"]
    keywords = {keyword_for_tag(Tag(t[0], t[1])) for t in listed if len(t) == 2 and dictionary_has_tag(Tag(t[0], t[1]))}
    assert len(keywords) > 300
    assert keywords & KEPT <= set(module.DATES)


def test_pseudonyms_are_legal_stable_and_the_facilitys_own() -> None:
    one, again, other = PSEUDONYMS.uid("1.2.3"), Pseudonyms(KEY).uid("1.2.3"), Pseudonyms(b"other").uid("1.2.3")
    assert one == again != other
    for value in (PSEUDONYMS.uid(f"1.2.{n}") for n in range(500)):
        assert UID(value).is_valid
        assert value.startswith("2.25.")
    assert PSEUDONYMS.patient("a") != PSEUDONYMS.patient("b") != Pseudonyms(b"other").patient("b")


def test_slices_of_one_series_stay_together_and_their_order() -> None:
    first = cleaned(ct(SOPInstanceUID="1.2.3.1", InstanceNumber=1))
    second = cleaned(ct(SOPInstanceUID="1.2.3.2", InstanceNumber=2))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert first[keyword].value == second[keyword].value != ct().get(keyword)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID


def test_dates_of_a_patient_move_together_and_stay_apart() -> None:
    before, after = cleaned(ct(StudyDate="20200301")), cleaned(ct(StudyDate="20200311"))
    assert before.StudyDate != "20200301"
    assert int(after.StudyDate[-2:]) - int(before.StudyDate[-2:]) in {10, 10 - 28, 10 - 29, 10 - 30, 10 - 31}
    elsewhere = cleaned(ct(PatientID="another"))
    assert elsewhere.StudyDate != before.StudyDate
    data = written(ct(StudyDate="20200301"))
    assert b"20200301" not in next(prepare(data, PSEUDONYMS)).clean
    old_style = next(prepare(data.replace(b"20200301", b"2020.3.1"), PSEUDONYMS)).clean
    assert pydicom.dcmread(pydicom.filebase.BytesIO(old_style)).StudyDate != ""
    nonsense = next(prepare(data.replace(b"20200301", b"JOHN DOE"), PSEUDONYMS)).clean
    assert pydicom.dcmread(pydicom.filebase.BytesIO(nonsense)).StudyDate == ""


def test_patients_are_told_apart_by_id_and_issuer_else_by_name_and_birth() -> None:
    whole = cleaned(ct())
    assert cleaned(ct(PatientName="Other^Spelling")).PatientID == whole.PatientID
    assert cleaned(ct(IssuerOfPatientID="elsewhere")).PatientID == whole.PatientID  # some writers name it, some don't
    nameless = [
        cleaned(ct(PatientID="", PatientBirthDate=born)).PatientID for born in ("19640812", "19640812", "19700101")
    ]
    assert nameless[0] == nameless[1] != nameless[2]
    unknown = {cleaned(ct(PatientID="", PatientName="", StudyInstanceUID=u)).PatientID for u in ("1.2.3", "1.2.4")}
    assert len(unknown) == 2


def test_what_was_done_is_written_down() -> None:
    clean = cleaned(ct())
    assert clean.PatientIdentityRemoved == "YES"
    assert [item.CodeValue for item in clean.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert clean.LongitudinalTemporalInformationModified == "MODIFIED"


def test_numbers_that_are_none_are_dropped() -> None:
    data = written(ct(KVP="120.0000", InstanceNumber="12345678", TableSpeed=float("nan")))
    spoiled = data.replace(b"120.0000", b"JOHN DOE").replace(b"12345678", b"JANE DOE")
    clean = next(prepare(spoiled, PSEUDONYMS)).clean
    assert b"DOE" not in clean
    again = pydicom.dcmread(pydicom.filebase.BytesIO(clean))
    assert again.KVP is None
    assert again.InstanceNumber is None


def test_the_preamble_is_zeroed_and_the_header_is_ours() -> None:
    data = bytearray(written(ct()))
    data[:2] = b"MZ"
    clean = next(prepare(bytes(data), PSEUDONYMS)).clean
    assert clean[:128] == bytes(128)
    assert pydicom.dcmread(pydicom.filebase.BytesIO(clean)).file_meta.ImplementationVersionName == "CODETECT"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "dicom/covid-19-ny-sbu/A002304/axial/19001231-076.dcm",
        "dicom/covid-19-ny-sbu/A046441/axial/19010101-23.dcm",
        "dicom/lidc-idri-0001/0007.dcm",
        f"{SYNTAXES}/CTImage.dcm",
        f"{SYNTAXES}/CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
        f"{SYNTAXES}/CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm",
        f"{SYNTAXES}/CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
        f"{SYNTAXES}/CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm",
    ],
)
def test_the_clean_file_is_a_valid_ct_image(path: str, tmp_path: Path) -> None:
    source = big(path) if path else next(SAMPLE.glob("*.dcm"))
    target = tmp_path / "clean.dcm"
    target.write_bytes(next(prepare(source.read_bytes(), PSEUDONYMS)).clean)
    assert valid_for_dciodvfy(target) == []


def test_a_slice_that_says_too_little_becomes_a_valid_one(tmp_path: Path) -> None:
    ds = ct(ImageType=None, FrameOfReferenceUID=None, RescaleSlope=None, RescaleIntercept=None, HighBit=None)
    target = tmp_path / "clean.dcm"
    target.write_bytes(clean_bytes(ds))
    assert valid_for_dciodvfy(target) == []


VALUES: dict[str, object] = {
    "DA": "19570413",
    "TM": "235713.571",
    "DT": "19570413235713.571",
    "AS": "077Y",
    "IS": "7654321",
    "DS": "7654.321",
    "FD": 7654.321,
    "FL": 7654.25,
    "UL": 0x43414E41,
    "US": 0x4341,
    "SL": 0x43414E41,
    "SS": 0x4341,
    "UI": "1.2.3.765.4321",
    "OB": b"CANARYBYTES ",
    "OW": b"CANARYBYTES ",
    "UN": b"CANARYBYTES ",
    "PN": "CANARY^ANNEX",
}
WORDS = {"removed": {"removed"}, "emptied": {"emptied"}, "replaced": {"replaced", "moved", "written"}}
TRACES = (b"CANARY", b"19570413", b"235713", b"077Y", b"7654321", b"7654.321", b"1.2.3.765.4321")


def annex_e() -> list[Tag]:
    """Every attribute that any edition lists, groups that repeat at both of their ends."""
    tags: set[int] = {0x60003000, 0x601E3000, 0x60004000, 0x60000022, 0x50003000, 0x501E0010}
    for edition in ("2023", "2024b", "2026c"):
        listed = dicom_anonymization_database_selector(f"dicomfields_{edition}")["ALL_TAGS"]
        tags |= {t[0] << 16 | t[1] for t in listed if len(t) == 2}
    return [Tag(tag) for tag in sorted(tags) if tag >> 16 not in (0, 2, 4)]  # commands, header, directories


def planted(tags: list[Tag]) -> Dataset:
    """A slice that says something of its own in each of these attributes."""
    ds, item = ct(), Dataset()
    item.PatientName, item.TextValue, item.StudyDate = "CANARY^NESTED", "CANARY", "19570413"
    for tag in tags:
        vr = dictionary_VR(tag).split(" or ")[0] if keyword_for_tag(tag) else "UN"
        with pydicom.config.disable_value_validation():
            ds.add_new(tag, vr, [item] if vr == "SQ" else VALUES.get(vr, "CANARY"))
    return ds


@pytest.mark.parametrize("tags", [annex_e()[at : at + 50] for at in range(0, len(annex_e()), 50)])
def test_nothing_survives_that_stood_in_an_attribute_the_standard_lists(tags: list[Tag]) -> None:
    data = written(planted(tags))
    (one,) = prepare(data, PSEUDONYMS)
    assert not [trace for trace in TRACES if trace in one.clean]
    told = report(read(data), pydicom.dcmread(pydicom.filebase.BytesIO(one.clean)))
    outcomes = {name: outcome for outcome, names in told.items() for name in names}
    page = (ROOT / "docs/deidentification.md").read_text()
    for tag in tags:
        (row,) = re.findall(rf"^\| \({tag.group:04X},{tag.element:04X}\) .* \| (.*) \|$", page, re.M) or ["removed"]
        assert row.split()[0] in WORDS[outcomes[keyword_for_tag(tag) or str(tag)]], tag


def test_nothing_survives_that_stood_around_the_data_set() -> None:
    ds = ct()
    ds.file_meta.PrivateInformationCreatorUID = "1.2.3.765.4321"
    ds.file_meta.PrivateInformation = b"CANARYINFORMATION "
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
        setattr(ds.file_meta, keyword, "CANARY_AE")
    ds.file_meta.ImplementationVersionName = "CANARY_1"
    ds.add_new((0xFFFC, 0xFFFC), "OB", b"CANARYPADDING ")
    for group in range(0x6000, 0x6020, 2):
        ds.add_new((group, 0x3000), "OW", b"CANARYOVERLAY ")
        ds.add_new((group - 0x1000, 0x3000), "OW", b"CANARYCURVE ")
        ds.add_new((group, 0x1500), "LO", "CANARYLABEL")
    for group in range(0x0009, 0x0100, 0x10):
        block = ds.private_block(group, f"CANARY {group:X}", create=True)
        block.add_new(1, "UN", b"CANARYPRIVATE ")
        block.add_new(2, "SQ", [ct()])
    data = b"CANARY".ljust(128, b"C") + written(ds)[128:]
    clean = next(prepare(data, PSEUDONYMS)).clean
    assert data.count(b"CANARY") > 80
    assert not [trace for trace in TRACES if trace in clean]
    assert b"Mustermann" not in clean


def test_the_report_names_attributes_and_no_values() -> None:
    ds = ct(StudyDate="20200301", KVP="120.000", AccessionNumber="ACC4711", InstitutionName="St. Nowhere")
    ds.file_meta.SourceApplicationEntityTitle = "SOMEWHERE"
    ds.PatientComments, ds.StudyDescription = "called ERIKA", ""
    ds.add_new(0x00081198, "SQ", [ct()])
    ds.add_new(0x00080FFE, "LO", "unknown")
    ds.private_block(0x0009, "ERIKA'S OWN", create=True).add_new(1, "LO", "secret")
    data = written(ds)
    told = report(read(data), cleaned(ds))
    assert told["private"] == ["0009: 2"]
    assert {"KVP", "Rows", "PixelData", "RescaleSlope", "ImagePositionPatient", "Manufacturer"} <= set(told["kept"])
    assert {"PatientID", "StudyDate", "SOPInstanceUID", "MediaStorageSOPInstanceUID"} <= set(told["replaced"])
    assert {"PatientName", "PatientBirthDate", "AccessionNumber"} <= set(told["emptied"])
    gone = {"InstitutionName", "PatientComments", "StudyDescription", "FailedSOPSequence", "(0008,0FFE)"}
    assert gone | {"SourceApplicationEntityTitle"} <= set(told["removed"])
    everything = str(told)
    for value in ("ERIKA", "Mustermann", "MRN0815", "4711", "Nowhere", "SOMEWHERE", "2020", "secret", "1.2.3"):
        assert value not in everything
    assert sorted(map(len, told.values())) != [0] * 5


def test_what_cannot_be_read_is_told_as_well() -> None:
    data = written(ct(KVP="120.0000")).replace(b"120.0000", b"JOHN DOE")
    told = report(read(data), pydicom.dcmread(pydicom.filebase.BytesIO(next(prepare(data, PSEUDONYMS)).clean)))
    assert "KVP" in told["emptied"]
