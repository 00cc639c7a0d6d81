"""QIDO-RS: what is found, and what is told of it."""

from typing import Any

import pytest

from tests.ingest.oracle.both import SERIES, SOP, STUDY, Both, found
from tests.ingest.oracle.differences import DIFFERENCES
from tests.ingest.oracle.studies import ROOT, sent

E, X = (f"{ROOT}.{ord(letter)}" for letter in "EX")
ALL = "EFGJKNORTUWXY"
CT = ALL.replace("X", "")
BELOW_E = f"/studies/{E}/series", f"/studies/{E}/instances", f"/studies/{E}/series/{E}.1/instances"
EVERYWHERE = ("/studies", "/series", "/instances", *BELOW_E)

STUDY_KEYS = (
    *(f"PatientID={v}" for v in ("e-0815", "?-0815", "*0815", "nobody", "")),
    *(
        f"PatientName={v}"
        for v in ("Mustermann^Erika", "mustermann^erika", "MUSTER*", "Mustermann", "*Erika", "Muller*")
    ),
    *(
        f"PatientName={v}"
        for v in ("Müller*", "山田*", "Yamada*", "Hong^Gildong", "Wang*", "Old^Very^^Dr.^PhD", "", "*")
    ),
    *(f"StudyDate={v}" for v in ("20200101-20201231", "20210101-", "-20200229", "-19001231", "20200229-20200229")),
    *(f"StudyDate={v}" for v in ("20200231", "20200229-20190101", "2020", "noon", "")),
    *(
        f"StudyTime={v}"
        for v in ("101530.5", "101530", "10-12", "1000-1200", "0800", "080000", "235959.999999", "2359-")
    ),
    *(f"StudyTime={v}" for v in ("-0800", "23-", "101530-101531", "101531-101532", "101530.4-101530.6")),
    *(f"PatientBirthDate={v}" for v in ("18991231", "19640812", "19640101-19641231", "-19000101")),
    *(f"StudyInstanceUID={v}" for v in (E, f"{E},{X}", f"{E}\\{X}", "1.2.3.4", "abc", f"{E}*")),
    *(f"0020000D={v}" for v in (E, f"{E},1.2.3")),
    f"0020000d={E}",
    *(f"AccessionNumber={v}" for v in ("ACC-77", "ACC*", "ACC-7?", "acc-77", "A_C%", "A?C%", "*_*", "%", "")),
    *(f"StudyDescription={v}" for v in ("Thorax*", "*low*", "thorax low dose", "Größe", "a*b?c", "*b*")),
    *(f"ReferringPhysicianName={v}" for v in ("Haus^Gregory", "haus*", "*Greg*")),
    *(f"StudyID={v}" for v in ("S42", "007", "7", "*")),
    *(f"PatientSex={v}" for v in ("F", "M", "?", "f")),
    *("InstitutionName=Klinik*", "PatientAge=055Y"),
    *(f"ModalitiesInStudy={v}" for v in ("CT", "MR", "MR,CT", "MR\\CT", "PT", "C*", "ct", "")),
    *("limit=-1", "limit=x", "limit=0", "offset=x", "limit=100&offset=100"),
    *("includefield=all", "includefield=nope", "includefield=00081030", "fuzzymatching=true", "nope=1"),
    *("PatientName=erika&fuzzymatching=true", "PatientID=E*&PatientID=J*", "PatientName=Mustermann%5EErika"),
    *("PatientComments=x", "EchoTrainLength=10", "00091001=1", "PatientName=a%00b"),
)
SERIES_KEYS = (
    *(f"Modality={v}" for v in ("CT", "MR", "C?", "MR\\SR")),
    *("SeriesNumber=2", "SeriesNumber=x", "SeriesDescription=Lunge*", "ProtocolName=CAP", "BodyPartExamined=CHEST"),
    *("Manufacturer=MAKER", "ConvolutionKernel=SOFT", "KVP=120"),
    *(f"SeriesInstanceUID={E}.1", f"SeriesInstanceUID={E}.1,{E}.2"),
)
INSTANCE_KEYS = (
    *("InstanceNumber=2", "InstanceNumber=02", "Rows=16", "Rows=64", "AcquisitionDate=20200229", "ContentTime=101600"),
    *("SOPClassUID=1.2.840.10008.5.1.4.1.1.2", "SOPClassUID=1.2.840.10008.5.1.4.1.1.4"),
    *(f"SOPInstanceUID={E}.1.1", f"SOPInstanceUID={E}.1.1,{E}.2.1"),
)
HERE_AND_THERE = (
    *("PatientID=E-0815", "PatientID=E*", "StudyDate=20200229", "PatientName=muster*", "ModalitiesInStudy=CT"),
    *("PatientID=E*&StudyDate=20200229&ModalitiesInStudy=CT", "nope=1", "limit=0", "StudyInstanceUID=1.2.3.4"),
    *("StudyTime=101530-101531", "fuzzymatching=x"),
)
CASES = (
    *(("/studies", query) for query in (*STUDY_KEYS, *SERIES_KEYS, *INSTANCE_KEYS)),
    *(("/series", query) for query in (*SERIES_KEYS, "Rows=64", "EchoTrainLength=10")),
    *(("/instances", query) for query in (*SERIES_KEYS, *INSTANCE_KEYS, "EchoTrainLength=10")),
    *((path, query) for path in EVERYWHERE for query in HERE_AND_THERE),
    *((path, "") for path in (*EVERYWHERE, "/studies/1.2.3/series", "/studies/1.2.3/instances")),
    *((path, query) for path in BELOW_E for query in ("InstanceNumber=2", "Modality=CT", "SeriesNumber=2")),
)
# Which studies, or which status: of ours, and of Orthanc's. Where there is no path, wherever it is asked.
DIFFERENT: dict[tuple[str, str], tuple[str, str | int, str | int]] = {
    ("", "PatientID=e-0815"): ("letter case", "", "E"),
    ("", "AccessionNumber=acc-77"): ("letter case", "", "E"),
    ("", "PatientSex=f"): ("letter case", "", "E"),
    ("", "ModalitiesInStudy=ct"): ("letter case", "", CT),
    ("", "PatientName=Muller*"): ("accents", "J", ""),
    ("", "PatientName=Hong^Gildong"): ("writings", "K", ""),
    ("", "PatientName=Müller*"): ("percent-encoding", "J", ""),
    ("", "PatientName=山田*"): ("percent-encoding", "Y", ""),
    ("", "StudyDescription=Größe"): ("percent-encoding", "J", ""),
    ("", "PatientName=Mustermann%5EErika"): ("percent-encoding", "EFT", ""),
    ("", "StudyDate=2020"): ("nonsense", 400, ""),
    ("", "StudyDate=noon"): ("nonsense", 400, ""),
    ("", "StudyInstanceUID=abc"): ("nonsense", 400, ""),
    ("", "limit=-1"): ("nonsense", 400, 500),
    ("", "includefield=nope"): ("nonsense", 400, ALL),
    ("", "nope=1"): ("nonsense", 400, ALL),
    ("", "PatientID=E*&PatientID=J*"): ("nonsense", 400, "J"),
    ("", "PatientName=a%00b"): ("nonsense", 400, ""),
    ("", "SeriesNumber=x"): ("nonsense", 400, ""),
    ("", "StudyTime=101530"): ("times", "E", ""),
    ("", "StudyTime=080000"): ("times", "J", ""),
    ("", "PatientBirthDate=-19000101"): ("ranges", "O", "JO"),
    ("", "StudyID=*"): ("star", ALL, "EO"),
    ("", f"StudyInstanceUID={E}\\{X}"): ("lists", "EX", ""),
    ("", "ModalitiesInStudy=MR\\CT"): ("lists", ALL, ""),
    ("", "Modality=MR\\SR"): ("lists", "X", ""),
    ("", "PatientComments=x"): ("not kept", ALL, ""),
    ("", "EchoTrainLength=10"): ("not kept", ALL, "X"),
    ("", "limit=0"): ("limit=0", "", ALL),
    ("", "PatientName=erika&fuzzymatching=true"): ("fuzzymatching", "EFT", ""),
    ("", "InstanceNumber=02"): ("numbers", "EFJTX", ""),
    ("", "BodyPartExamined=CHEST"): ("Enhanced CT", "EF", "E"),
    ("/instances", "InstanceNumber=2"): ("Enhanced CT", "EFJTX", "EJTX"),
    ("/instances", "SOPClassUID=1.2.840.10008.5.1.4.1.1.2"): ("Enhanced CT", CT, CT.replace("F", "")),
    **{("/studies", query): ("lower levels", ALL, "") for query in (*SERIES_KEYS, *INSTANCE_KEYS)},
    ("/studies", "SeriesNumber=x"): ("nonsense", 400, ""),
    ("/studies", "SOPClassUID=1.2.840.10008.5.1.4.1.1.2"): ("lower levels", ALL, CT.replace("F", "")),
    ("/studies", "SOPClassUID=1.2.840.10008.5.1.4.1.1.4"): ("lower levels", ALL, "X"),
    ("/studies", "Rows=16"): ("lower levels", ALL, ALL.replace("T", "")),
    ("/studies", "Rows=64"): ("lower levels", ALL, "T"),
    ("/studies", "AcquisitionDate=20200229"): ("lower levels", ALL, "E"),
    ("/studies", "ContentTime=101600"): ("lower levels", ALL, "E"),
    ("/series", "Rows=64"): ("lower levels", ALL, "T"),
    **{(path, "ModalitiesInStudy=CT"): ("ModalitiesInStudy", CT, "") for path in ("/series", "/instances")},
    **{
        (path, "PatientID=E*&StudyDate=20200229&ModalitiesInStudy=CT"): ("ModalitiesInStudy", "E", "")
        for path in EVERYWHERE[1:]
    },
    **{(path, "ModalitiesInStudy=CT"): ("ModalitiesInStudy", "E", "") for path in BELOW_E},
    **{(path, "StudyInstanceUID=1.2.3.4"): ("address", "", "E") for path in BELOW_E},
    **{(path, "nope=1"): ("nonsense", 400, "E") for path in BELOW_E},
    **{(path, "limit=0"): ("limit=0", "", "E") for path in BELOW_E},
    (BELOW_E[0], "InstanceNumber=2"): ("lower levels", "E", ""),
}
KEY = {"studies": STUDY, "series": SERIES, "instances": SOP}
FRAMES = f"{ROOT}.{ord('F')}"


def letter(study_uid: str) -> str:
    return chr(int(study_uid.removeprefix(f"{ROOT}.").partition(".")[0]))


def letters(answer: Any) -> str | int:
    """The studies of what was found, or the status."""
    return "".join(sorted(set(map(letter, found(answer, STUDY))))) if answer.status_code == 200 else answer.status_code


def uids(path: str, answer: Any) -> list[str]:
    """What was found, but the frames of the Enhanced CT, which are one file there."""
    if answer.status_code != 200:
        return [str(answer.status_code)]
    key = KEY[path.rpartition("/")[2]]
    named = zip(found(answer, STUDY), found(answer, key), strict=True)
    return sorted({FRAMES if study == FRAMES and key == SOP else uid for study, uid in named})


@pytest.mark.parametrize(("path", "query"), CASES, ids=lambda text: text.replace(ROOT, "ROOT") or "everything")
async def test_the_same_is_found(both: Both, path: str, query: str) -> None:
    answers = await both.get(path, query=query)
    case = (path, query) if (path, query) in DIFFERENT else ("", query)
    if case in DIFFERENT:
        name, ours, theirs = DIFFERENT[case]
        assert name in DIFFERENCES
        assert (letters(answers.ours), letters(answers.theirs)) == (ours, theirs), name
    else:
        assert uids(path, answers.ours) == uids(path, answers.theirs)
        assert answers.ours.headers["content-type"].startswith(
            "application/dicom+json" if answers.ours.status_code == 200 else "application/problem+json"
        )
    ignored = case in DIFFERENT and DIFFERENT[case][0] in ("lower levels", "not kept")
    assert ("ignored" in answers.ours.headers.get("warning", "")) == (ignored or query == "00091001=1")


def test_no_named_difference_is_left_over() -> None:
    asked = {*CASES, *(("", query) for _, query in CASES)}
    assert set(DIFFERENT) <= asked


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("Müller*", "J"), ("müller-lüdenscheidt^jörg", "J"), ("Διονυσιος", "G"), ("διονυσιος", "G"), ("Люк*", "R")),
        *(("ЛЮКceмбypг", "R"), ("*山田*", "Y"), ("*やまだ^たろう", "Y"), ("*洪^吉洞*", "K"), ("*王^小*", "UW")),
    ],
)
async def test_names_in_any_alphabet_match_as_in_orthancs_own_search(both: Both, name: str, expected: str) -> None:
    """Its REST API finds what its QIDO-RS can't be asked for."""
    body = {"Level": "Study", "Expand": True, "Query": {"PatientName": name}}
    theirs = await both.orthancs_own(body)
    answers = await both.get("/studies", query=f"PatientName={name}")
    assert letters(answers.ours) == expected
    assert "".join(sorted(letter(one["MainDicomTags"]["StudyInstanceUID"]) for one in theirs)) == expected


@pytest.mark.parametrize("path", ["/studies", "/series", "/instances"])
async def test_pages_are_as_long_and_lead_to_all_there_is(both: Both, path: str) -> None:
    whole = await both.get(path)
    pages: list[list[str]] = [[], []]
    for offset in range(0, 40, 4):
        answers = await both.get(path, query=f"limit=4&offset={offset}")
        for page, answer in zip(pages, (answers.ours, answers.theirs), strict=True):
            page += found(answer, KEY[path[1:]])
        more = len(found(whole.ours, STUDY)) > offset + 4
        assert ("additional results" in answers.ours.headers.get("warning", "")) == more
    for page, answer in zip(pages, (whole.ours, whole.theirs), strict=True):
        assert sorted(page) == sorted(found(answer, KEY[path[1:]]))


COUNTED = {"00201206", "00201208", "00201209"}
WRITTEN_HERE = {"00080005", "00080056", "00080061", "00081190", *COUNTED}
OF_STUDY = {
    *("00080020", "00080030", "00080050", "00080090", "00100010", "00100020", "00100030", "00100040", "00200010"),
    *("00080061", "00201206", "00201208", "00081030"),
}
OF_SERIES = {"00080060", "0008103E", "00200011", "00201209"}


@pytest.mark.parametrize("included", ["", "includefield=all", "includefield=StudyDescription,Rows,00101010"])
@pytest.mark.parametrize("path", EVERYWHERE, ids=lambda path: path.replace(ROOT, "ROOT"))
async def test_the_same_is_told_of_it(both: Both, path: str, included: str) -> None:
    answers = await both.get(path, query=included)
    key = KEY[path.rpartition("/")[2]]
    items = ({item[key]["Value"][0]: item for item in answer.json()} for answer in (answers.ours, answers.theirs))
    ours, theirs = items
    files = {ds.SOPInstanceUID: ds for one in sent().values() for ds in one.files}
    differences = set()
    for uid in ours.keys() & theirs.keys():
        assert list(ours[uid]) == sorted(ours[uid])
        for tag in ours[uid].keys() | theirs[uid].keys():
            mine, other = ours[uid].get(tag), theirs[uid].get(tag)
            if tag == "00081190":
                assert mine["Value"][0].partition("/dicomweb/")[2] == other["Value"][0].partition("/dicom-web/")[2]
            elif other is None:
                differences.add("returned")
                study = ours[uid][STUDY]["Value"][0]
                assert (
                    tag in WRITTEN_HERE
                    or "Value" not in mine
                    or study == FRAMES
                    or any(says(ds, tag) == mine["Value"] for ds in files.values() if ds.StudyInstanceUID == study)
                ), (tag, mine)
            elif mine is None and path in BELOW_E and tag in OF_STUDY | (OF_SERIES if path == BELOW_E[2] else set()):
                differences.add("parents")
            elif mine is None:
                differences.add("lower levels")
                assert (tag, path) in {("00280010", "/studies"), ("00280010", "/series"), ("00280010", BELOW_E[0])}
            elif ours[uid][STUDY]["Value"][0] == FRAMES and tag in COUNTED and mine != other:
                differences.add("Enhanced CT")
                assert (mine["Value"], other["Value"]) == ([3], [1])
            else:
                assert mine == other, tag
    named = {"returned"}
    named |= {"parents"} if path in BELOW_E and included != "includefield=all" else set()
    named |= {"lower levels"} if "Rows" in included and path in ("/studies", "/series", BELOW_E[0]) else set()
    named |= {"Enhanced CT"} if path in ("/studies", "/series") else set()
    assert differences == named


def says(ds: Any, tag: str) -> list[Any] | None:
    """What a file says of an attribute, as DICOM JSON has it."""
    return ds[int(tag, 16)].to_json_dict(None, 0).get("Value") if int(tag, 16) in ds else None
