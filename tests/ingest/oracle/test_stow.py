"""STOW-RS: what is stored, what isn't, and how that is told."""

import io
from typing import Any

import pydicom
import pytest
from httpx import Response
from pydicom import uid
from pydicom.dataset import Dataset

from tests.ingest.oracle.both import KIND, Both
from tests.ingest.oracle.differences import DIFFERENCES
from tests.ingest.oracle.studies import series
from tests.ingest.samples import ct, written
from tests.load.orthanc import multipart

OTHER_FAILURES, FAILED, STORED, REASON = "0008119A", "00081198", "00081199", "00081197"
SOP_CLASS, SOP_INSTANCE, URL = "00081150", "00081155", "00081190"


def new(letter: str, count: int = 1, **changes: object) -> list[Dataset]:
    """Slices of a study that no other test sends."""
    return series(letter, 1, count, **changes)


def items(answer: Response, sequence: str) -> list[dict[str, Any]]:
    return list(answer.json().get(sequence, {}).get("Value", []))


def told(answer: Response) -> tuple[int, list[tuple[str, str]], list[tuple[str, str, int]], int]:
    """Status; class and instance of what was stored; of what failed, with the reason; how many without a name."""
    named = [(one[SOP_CLASS]["Value"][0], one[SOP_INSTANCE]["Value"][0], one) for one in items(answer, STORED)]
    failed = [
        (one[SOP_CLASS]["Value"][0], one[SOP_INSTANCE]["Value"][0], one[REASON]["Value"][0])
        for one in items(answer, FAILED)
    ]
    return answer.status_code, [one[:2] for one in named], failed, len(items(answer, OTHER_FAILURES))


async def test_what_is_good_is_stored_and_told_with_its_address(both: Both) -> None:
    assert "empty sequences" in DIFFERENCES
    files = new("a", 3)
    answers = await both.store([written(ds) for ds in files])
    assert told(answers.ours) == told(answers.theirs)
    assert told(answers.ours)[0] == 200
    ours, theirs = (
        {one[SOP_INSTANCE]["Value"][0]: one for one in items(a, STORED)} for a in (answers.ours, answers.theirs)
    )
    for ds in files:
        mine, other = (one[ds.SOPInstanceUID][URL] for one in (ours, theirs))
        assert (mine["vr"], other["vr"]) == ("UR", "UR")
        assert mine["Value"][0].partition("/dicomweb/")[2] == other["Value"][0].partition("/dicom-web/")[2]
        assert (await both.get(mine["Value"][0].partition("/dicomweb")[2])).statuses == (200, 200)
    assert answers.ours.json()[URL]["vr"] == answers.theirs.json()[URL]["vr"]
    assert set(answers.theirs.json()) - set(answers.ours.json()) == {"00080005", FAILED}
    assert "Value" not in answers.theirs.json()[FAILED]


async def test_the_same_again_is_stored_again(both: Both) -> None:
    (ds,) = new("b")
    for changes in ({}, {}, {"SeriesDescription": "changed"}):
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
        answers = await both.store([written(ds)])
        assert told(answers.ours) == told(answers.theirs) == (200, [(ds.SOPClassUID, ds.SOPInstanceUID)], [], 0)
    found = await both.get(f"/studies/{ds.StudyInstanceUID}/instances")
    assert [len(answer.json()) for answer in (found.ours, found.theirs)] == [1, 1]


def without_uids() -> bytes:
    ds = pydicom.dcmread(io.BytesIO(written(new("m")[0])))
    del ds.SOPInstanceUID
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds)
    return buffer.getvalue()


def named_only() -> bytes:
    ds = Dataset()
    ds.file_meta = ct().file_meta
    ds.SOPClassUID, ds.SOPInstanceUID = uid.MRImageStorage, "1.2.3.9"
    return written(ds)


GOOD, NO_DICOM = written(new("c")[0]), b"no DICOM"
CT, MR = str(uid.CTImageStorage), str(uid.MRImageStorage)
NAME = (CT, new("c")[0].SOPInstanceUID)
STRANGER = new("d", StudyInstanceUID="1.2.3.5")[0]
OF_STRANGER = (CT, STRANGER.SOPInstanceUID)
OUTCOMES: list[tuple[str, list[bytes], str, tuple[Any, ...], tuple[Any, ...]]] = [
    # the difference, files, the study in the address, what ours tells, what Orthanc tells
    ("", [GOOD], new("c")[0].StudyInstanceUID, (200, [NAME], [], 0), (200, [NAME], [], 0)),
    ("twice", [GOOD, GOOD], "", (202, [NAME], [(*NAME, 0x0111)], 0), (200, [NAME, NAME], [], 0)),
    ("no DICOM", [NO_DICOM], "", (409, [], [], 1), (400, [], [], 0)),
    ("no DICOM", [b""], "", (409, [], [], 1), (400, [], [], 0)),
    ("no DICOM", [without_uids()], "", (409, [], [], 1), (400, [], [], 0)),
    ("partly", [GOOD, NO_DICOM], "", (202, [NAME], [], 1), (400, [NAME], [], 0)),
    (
        "reasons",
        [written(STRANGER)],
        "1.2.3.4",
        (409, [], [(*OF_STRANGER, 0xA901)], 0),
        (409, [], [(*OF_STRANGER, 0x0110)], 0),
    ),
    (
        "partly",
        [GOOD, written(STRANGER)],
        new("c")[0].StudyInstanceUID,
        (202, [NAME], [(*OF_STRANGER, 0xA901)], 0),
        (409, [NAME], [(*OF_STRANGER, 0x0110)], 0),
    ),
    ("reasons", [named_only()], "", (409, [], [(MR, "1.2.3.9", 0x0122)], 0), (400, [], [(MR, "1.2.3.9", 0xC000)], 0)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "files", "study", "ours", "theirs"), OUTCOMES, ids=range(len(OUTCOMES)))
async def test_each_file_has_its_outcome(
    both: Both, name: str, files: list[bytes], study: str, ours: tuple[Any, ...], theirs: tuple[Any, ...]
) -> None:
    assert name in DIFFERENCES if name else ours == theirs
    answers = await both.store(files, study)
    assert (told(answers.ours), told(answers.theirs)) == (ours, theirs)


@pytest.mark.parametrize(
    ("kind", "body", "statuses", "name"),
    [
        ("application/json", b"{}", (415, 415), ""),
        ('multipart/related; type="application/dicom+json"; boundary=codetect', multipart([b"[]"]), (415, 415), ""),
        ('multipart/related; type="application/dicom"', multipart([GOOD]), (415, 415), ""),
        ("application/dicom", GOOD, (200, 415), "single"),
        ("multipart/related; boundary=codetect", multipart([GOOD]), (200, 415), "single"),
        (KIND, multipart([GOOD])[:-10], (400, 200), "cut short"),
        (KIND, b"", (400, 200), "empty request"),
        (KIND, multipart([]), (400, 200), "empty request"),
    ],
    ids=range(8),
)
async def test_bodies_are_taken_or_refused(
    both: Both, kind: str, body: bytes, statuses: tuple[int, int], name: str
) -> None:
    answers = await both.post("/studies", body, kind)
    assert answers.statuses == statuses
    assert name in DIFFERENCES if name else statuses[0] == statuses[1]


async def test_an_address_that_is_no_study_is_refused(both: Both) -> None:
    assert "no UID" in DIFFERENCES
    answers = await both.store([GOOD], "nope")
    assert answers.statuses == (400, 409)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_other_methods_are_told_what_there_is(both: Both, method: str) -> None:
    answers = await both.ask(method, "/studies")
    if method != "PATCH":
        assert answers.statuses == (405, 405)
        assert answers.ours.headers["allow"].replace(" ", "") == answers.theirs.headers["allow"] == "GET,POST"
    else:
        assert answers.ours.status_code == 405
