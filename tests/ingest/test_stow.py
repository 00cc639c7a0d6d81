import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from queue import LifoQueue
from typing import Any
from xml.etree import ElementTree

import httpx
import numpy as np
import pydicom
import pytest
from codetect_ingest import filing
from codetect_ingest.assembly import NewStudy
from codetect_ingest.children import Source
from codetect_ingest.dicom.reading import LARGE
from codetect_ingest.filing import Outcome, StudyMoved
from codetect_ingest.identities import sealer_of
from codetect_ingest.intake import IN_HAND_PER_CHILD, Reader
from codetect_ingest.keys import facility_key
from codetect_ingest.models import ASSEMBLIES
from codetect_shared.storage import StorageUnavailable
from codetect_shared.testing import claimed
from codetect_shared.tokens import Role
from pydicom.uid import EnhancedSRStorage, LegacyConvertedEnhancedCTImageStorage, MRImageStorage, generate_uid

from tests.ingest.conftest import Clinic, Hands, new_uids
from tests.ingest.dicomweb import IDENTITY
from tests.ingest.media import KIND, multipart
from tests.ingest.samples import SAMPLE, ct, enhanced, item, written
from tests.ingest.test_importer import bodies, received, slices, volume


async def store(
    clinic: Clinic, body: bytes | AsyncIterator[bytes], study: str = "", headers: dict[str, str] | None = None
) -> httpx.Response:
    path = "/dicomweb/studies" + (f"/{study}" if study else "")
    return await clinic.http.post(
        path, content=body, headers={**clinic.headers, "Content-Type": KIND, **(headers or {})}, timeout=60
    )


def references(answer: dict[str, Any], sequence: str) -> list[str]:
    items = answer.get(sequence, {}).get("Value", [])
    return [item["00081155"]["Value"][0] for item in items]


STORED, FAILED, OTHERS = "00081199", "00081198", "0008119A"


async def test_instances_are_kept_at_once_and_told_when_it_has_been_quiet(
    clinic: Clinic, hands: Hands, tmp_path: Path
) -> None:
    series = slices(4)
    answer = await store(clinic, multipart(bodies(series[:2])))
    assert answer.status_code == 200, answer.text
    assert references(answer.json(), STORED) == [ds.SOPInstanceUID for ds in series[:2]]
    assert answer.headers["content-type"] == "application/dicom+json"
    assert (await store(clinic, multipart(bodies(series[2:])))).status_code == 200
    assert await received(clinic) == []
    ((study_id, version, due),) = await clinic.sql(
        "SELECT id, version, available_at - clock_timestamp() FROM studies WHERE facility_id = :f", f=clinic.facility_id
    )
    assert version == 0
    assert 20 < due.total_seconds() <= 30
    await hands.assemble(study_id)
    (event,) = await received(clinic)
    assert (event["version"], event["series"][0]["slices"]) == (1, 4)
    hu = await volume(clinic, event["series"][0]["volume_key"], tmp_path)
    expected = [ds.pixel_array.astype(int) - 1024 for ds in series]
    assert np.array_equal(hu, expected)
    assert not [key for key in await clinic.keys("studies") if key.endswith(".hu")]


async def test_what_comes_later_makes_a_new_version(clinic: Clinic, hands: Hands, tmp_path: Path) -> None:
    series = slices(5)
    await store(clinic, multipart(bodies(series[1:3])))
    ((study_id,),) = await clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=clinic.facility_id)
    await hands.assemble(study_id)
    await store(clinic, multipart(bodies([series[4], series[0]])))
    await hands.assemble(study_id)
    await clinic.submit(bodies([series[3]]))
    await hands.run()
    versions = await received(clinic)
    assert [(event["version"], event["series"][0]["slices"]) for event in versions] == [(1, 2), (2, 4), (3, 5)]
    hu = await volume(clinic, versions[-1]["series"][0]["volume_key"], tmp_path)
    assert np.array_equal(hu, [ds.pixel_array.astype(int) - 1024 for ds in series])


async def test_an_upload_takes_along_what_waits(clinic: Clinic, hands: Hands) -> None:
    series = slices(4)
    await store(clinic, multipart(bodies(series[:2])))
    await clinic.submit(bodies(series[2:]))
    await hands.run()
    (event,) = await received(clinic)
    assert event["series"][0]["slices"] == 4
    ((study_id,),) = await clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=clinic.facility_id)
    assert not [key for key in await clinic.keys("studies") if key.endswith(".hu")]
    await hands.assemble(study_id)
    assert len(await received(clinic)) == 1


async def test_slices_that_come_while_nothing_fits_are_not_forgotten(clinic: Clinic, hands: Hands) -> None:
    """An assembly that has found only an odd slice must notice what came since it looked."""
    series = slices(4)
    await clinic.submit(bodies(series[:3]))
    await hands.run()
    odd = ct(
        8,
        StudyInstanceUID=series[0].StudyInstanceUID,
        SeriesInstanceUID=series[0].SeriesInstanceUID,
        PatientID=series[0].PatientID,
    )
    assert (await store(clinic, multipart([written(odd)]))).status_code == 200
    await clinic.sql("UPDATE studies SET available_at = now() WHERE facility_id = :f", f=clinic.facility_id)
    job = await claimed(ASSEMBLIES, clinic.ingest.db)
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        looked = NewStudy(await filing.waiting_study(session, job))
        sealer = await sealer_of(session, clinic.facility_id, clinic.ingest.settings.master_key)
    assert (await store(clinic, multipart(bodies(series[3:])))).status_code == 200
    with pytest.raises(StudyMoved):
        async with clinic.ingest.db.facility(clinic.facility_id) as session:
            await filing.file_assembly(session, job, looked, sealer)
    await hands.importer.assemble(job)
    assert [event["series"][0]["slices"] for event in await received(clinic)] == [3, 4]


async def test_sending_again_changes_nothing(clinic: Clinic, hands: Hands) -> None:
    series = slices(2)
    assert (await store(clinic, multipart(bodies(series)))).status_code == 200
    ((study_id,),) = await clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=clinic.facility_id)
    await hands.assemble(study_id)
    kept = await clinic.keys("studies")
    again = await store(clinic, multipart(bodies(series)))
    assert (again.status_code, len(references(again.json(), STORED))) == (200, 2)
    assert await clinic.keys("studies") == kept
    assert await clinic.sql("SELECT 1 FROM studies WHERE id = :id AND available_at IS NOT NULL", id=study_id) == []
    uploads = await clinic.sql("SELECT id FROM uploads WHERE facility_id = :f ORDER BY id", f=clinic.facility_id)
    first, second = [(await clinic.show({"id": upload.id}))["files"] for upload in uploads]
    assert [(file["state"], file["study_id"]) for file in second] == [("accepted", str(study_id))] * 2
    assert second == first


async def test_what_is_sent_again_while_its_study_is_erased_is_kept_anew(
    clinic: Clinic, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = slices(2)
    await store(clinic, multipart(bodies(series)))
    ((study_id,),) = await clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=clinic.facility_id)
    reserve, asked = filing.reserve_studies, 0

    async def slowly(*args: Any, **rest: Any) -> Any:
        nonlocal asked
        known = await reserve(*args, **rest)
        asked += 1
        if asked == 1:
            assert (await clinic.ask("DELETE", f"/studies/{study_id}")).status_code == 202
        return known

    monkeypatch.setattr(filing, "reserve_studies", slowly)
    again = await store(clinic, multipart(bodies(series)))
    assert (again.status_code, asked) == (200, 2)
    ((anew, instances),) = await clinic.sql(
        "SELECT id, instances FROM studies WHERE facility_id = :f", f=clinic.facility_id
    )
    assert (anew != study_id, instances) == (True, 2)


async def test_each_part_has_its_outcome(clinic: Clinic) -> None:
    good, scout = slices(2)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    answer = await store(clinic, multipart([written(good), b"no DICOM", written(scout), b""]))
    assert answer.status_code == 202
    assert references(answer.json(), STORED) == [good.SOPInstanceUID]
    failures = [item["00081197"]["Value"][0] for kind in (FAILED, OTHERS) for item in _items(answer, kind)]
    assert len(failures) == 3
    upload = answer.headers["link"].split(">")[0].removeprefix("</api/v1/uploads/")
    shown = await clinic.show({"id": upload})
    assert [file["code"] for file in shown["files"]] == [None, "not_dicom", "localizer", "empty"]


def _items(answer: httpx.Response, sequence: str) -> list[dict[str, Any]]:
    return list(answer.json().get(sequence, {}).get("Value", []))


NATIVE = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"


async def test_a_machine_that_starts_no_child_in_time_stores_nothing_and_says_so(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    none_yet: LifoQueue[None] = LifoQueue()
    none_yet.put(None)
    with monkeypatch.context() as patch:
        patch.setattr("codetect_ingest.children.START_S", 0)
        patch.setattr(clinic.ingest.children, "_idle", none_yet)
        answer = await store(clinic, multipart(bodies(slices(1))))
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await store(clinic, multipart(bodies(slices(1))))).status_code == 200


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scratch folders lie on a disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        yield
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("large", [False, True])
async def test_a_full_disk_stores_nothing_and_says_that_later_helps(
    clinic: Clinic, small_disk: None, large: bool
) -> None:
    noise = np.random.default_rng(7).integers(-1000, 3000, (512, 512), "<i2").tobytes()
    several = [written(ct(512, PixelData=noise, SOPInstanceUID=generate_uid(), **new_uids())) for _ in range(4)]
    answer = await store(clinic, multipart([bytes(LARGE + 1)] if large else several))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3"), answer.text
    assert "no room" in answer.json()["detail"]
    assert await clinic.sql("SELECT 1 FROM upload_files WHERE facility_id = :f", f=clinic.facility_id) == []


async def test_however_many_requests_come_few_files_are_held(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    most = IN_HAND_PER_CHILD * clinic.ingest.children.size
    held, read = list[int](), Reader.read

    async def look(reader: Reader, number: int, source: Source) -> Outcome:
        held.append(held[-1] + 1 if held else 1)
        try:
            return await read(reader, number, source)
        finally:
            held.append(held[-1] - 1)

    monkeypatch.setattr(Reader, "read", look)
    answers = await asyncio.gather(*(store(clinic, multipart(bodies(slices(2 * most)))) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    assert max(held) == most
    broken = multipart(bodies(slices(most)))[:-20]
    assert (await store(clinic, broken)).status_code == 400
    assert (await store(clinic, multipart(bodies(slices(2 * most))))).status_code == 200


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/dicom+xml", "application/dicom+xml"),
        ("application/dicom+json;q=0.5, application/dicom+xml", "application/dicom+xml"),
        ("application/dicom+xml;q=0.5, application/dicom+json", "application/dicom+json"),
        ("application/json", "application/dicom+json"),
        ("*/*", "application/dicom+json"),
        ("application/*", "application/dicom+json"),
    ],
)
async def test_the_outcome_comes_in_the_form_that_is_accepted(clinic: Clinic, accept: str, kind: str) -> None:
    (good,), (bad,) = slices(1), slices(1, PixelSpacing=None)
    answer = await store(clinic, multipart(bodies([good], [bad])), headers={"Accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (202, kind)
    if kind == "application/dicom+json":
        assert references(answer.json(), STORED) == [good.SOPInstanceUID]
        return
    root = ElementTree.fromstring(answer.content)
    assert root.tag == f"{NATIVE}NativeDicomModel"
    told = {
        (sequence.get("keyword"), item.get("keyword"), value.text)
        for sequence in root
        for item in sequence.iterfind(f"{NATIVE}Item/{NATIVE}DicomAttribute")
        for value in item
    }
    assert ("ReferencedSOPSequence", "ReferencedSOPInstanceUID", good.SOPInstanceUID) in told
    assert ("FailureReason", str(0xA900)) in {(keyword, value) for _, keyword, value in told}


@pytest.mark.parametrize("accept", ["text/html", 'multipart/related; type="application/dicom+xml"', "image/png"])
async def test_nothing_is_stored_whose_outcome_cannot_be_told(clinic: Clinic, accept: str) -> None:
    answer = await store(clinic, multipart(bodies(slices(1))), headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json()["available"] == ["application/dicom+json", "application/dicom+xml"]
    assert not await clinic.sql("SELECT 1 FROM uploads WHERE facility_id = :f", f=clinic.facility_id)


async def test_a_request_of_which_nothing_can_be_kept_answers_409(clinic: Clinic) -> None:
    answer = await store(clinic, multipart([b"MZ" + b"\0" * 300, b"DICM"]))
    assert answer.status_code == 409
    assert len(_items(answer, OTHERS)) == 2
    assert await clinic.keys("studies") == []


async def test_instances_of_another_study_are_refused(clinic: Clinic) -> None:
    (mine,), (other,) = slices(1), slices(1)
    answer = await store(clinic, multipart(bodies([mine], [other])), study=mine.StudyInstanceUID)
    assert answer.status_code == 202
    assert references(answer.json(), STORED) == [mine.SOPInstanceUID]
    assert references(answer.json(), FAILED) == [other.SOPInstanceUID]
    assert _items(answer, FAILED)[0]["00081197"]["Value"] == [0xA901]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ('multipart/related; type="application/dicom+json"; boundary=x', b"--x--", 415),
        ('multipart/related; type="application/dicom"', b"", 415),
        (KIND, b"", 400),
        (KIND, b"--codetect--\r\n", 400),
        (KIND, multipart([b"x"])[:-10], 400),
        (KIND, b"--other\r\n\r\nx\r\n--other--", 400),
        ("application/dicom", b"", 400),
    ],
)
async def test_bodies_that_are_none_are_refused_with_what_to_do(
    clinic: Clinic, kind: str, body: bytes, status: int
) -> None:
    answer = await store(clinic, body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"]


@pytest.mark.parametrize(("modality", "kind"), [("MR", MRImageStorage), ("SR", EnhancedSRStorage)])
async def test_what_is_no_ct_is_told_as_a_class_that_is_not_supported(clinic: Clinic, modality: str, kind: str) -> None:
    (ds,) = slices(1, Modality=modality, SOPClassUID=kind)
    ds.file_meta.MediaStorageSOPClassUID = kind
    answer = await store(clinic, multipart([written(ds)]))
    (item,) = _items(answer, FAILED)
    assert (item["00081155"]["Value"], item["00081197"]["Value"]) == ([ds.SOPInstanceUID], [0x0122])


async def test_whatever_is_wrong_with_a_file_it_is_named_where_it_says_its_name(clinic: Clinic) -> None:
    """PS3.18 Table I.1-1: OtherFailuresSequence is for those alone that don't."""
    flat, cut, lost = slices(3)
    flat.ImagePositionPatient = None
    del lost.StudyInstanceUID
    sent = [written(flat), written(cut)[:-200], written(lost), b"no DICOM"]
    answer = await store(clinic, multipart(sent))
    assert answer.status_code == 409
    assert references(answer.json(), FAILED) == [ds.SOPInstanceUID for ds in (flat, cut, lost)]
    assert {item["00081150"]["Value"][0] for item in _items(answer, FAILED)} == {flat.SOPClassUID}
    assert [item["00081197"]["Value"] for item in _items(answer, FAILED)] == [[0xA900], [0xC000], [0xC000]]
    assert len(_items(answer, OTHERS)) == 1


async def test_an_address_that_is_no_uid_is_refused(clinic: Clinic) -> None:
    answer = await store(clinic, multipart(bodies(slices(1))), study="nope")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:codetect:problem:query-invalid")


async def test_a_single_instance_needs_no_multipart(clinic: Clinic) -> None:
    (ds,) = slices(1)
    answer = await store(clinic, written(ds), headers={"Content-Type": "application/dicom"})
    assert references(answer.json(), STORED) == [ds.SOPInstanceUID]


async def test_a_preamble_and_an_epilogue_are_passed_over(clinic: Clinic) -> None:
    answer = await store(clinic, b"\r\n" + multipart(bodies(slices(1))) + b"\r\nbye")
    assert answer.status_code == 200, answer.text


async def test_two_patients_in_one_study_are_told_apart_also_later(clinic: Clinic) -> None:
    first, second = slices(2)
    await store(clinic, multipart(bodies([first])))
    second.PatientID = "SOMEBODY ELSE"
    answer = await store(clinic, multipart(bodies([second])))
    assert answer.status_code == 409
    assert references(answer.json(), FAILED) == [second.SOPInstanceUID]


async def test_frames_that_name_themselves_and_other_patients_stay_slices_of_their_file(clinic: Clinic) -> None:
    ds = enhanced(3, SOPClassUID=LegacyConvertedEnhancedCTImageStorage, **new_uids())
    for n, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
        named = item(SOPInstanceUID="1.2.3.70", StudyInstanceUID=generate_uid(), PatientID=f"MRN{n}")
        groups.UnassignedPerFrameConvertedAttributesSequence = [named]
    assert (await store(clinic, multipart([written(ds)]))).status_code == 200
    found = await clinic.sql(
        "SELECT count(DISTINCT sop_instance_uid), count(DISTINCT study_id), count(DISTINCT facts->>'patient_id')"
        " FROM instances WHERE facility_id = :f",
        f=clinic.facility_id,
    )
    assert [tuple(row) for row in found] == [(3, 1, 1)]


async def test_a_viewer_and_a_client_that_may_only_read_store_nothing(clinic: Clinic) -> None:
    for role, scopes in ((Role.VIEWER, ()), (Role.API_CLIENT, ("read",))):
        headers = clinic.tokens.headers(clinic.facility_id, role, scopes=frozenset(scopes))
        assert (await store(clinic, multipart(bodies(slices(1))), headers=headers)).status_code == 403


async def test_the_sample_as_one_stream_is_stored_whole(clinic: Clinic) -> None:
    files = [path.read_bytes() for path in sorted(SAMPLE.glob("*.dcm"))]
    body = multipart(files)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 65_521):
            yield body[at : at + 65_521]

    answer = await store(clinic, pieces())
    assert answer.status_code == 200
    rows = await clinic.sql(
        'SELECT key, "offset", length, header_offset, header_length, sop_instance_uid FROM instances'
        " WHERE facility_id = :f",
        f=clinic.facility_id,
    )
    assert len(rows) == len(files)
    for key, offset, length, header_offset, header_length, uid in rows[:5]:
        clean = await clinic.ingest.storage.get("studies", key, part=(offset, length))
        whole = pydicom.dcmread(BytesIO(clean))
        assert whole.SOPInstanceUID == uid
        header = await clinic.ingest.storage.get("studies", key, part=(header_offset, header_length))
        alone = pydicom.dcmread(BytesIO(header), force=True)
        del whole.PixelData
        assert pydicom.Dataset(alone) == pydicom.Dataset(whole)


async def test_identities_are_sealed_and_open_with_the_facilitys_key_alone(clinic: Clinic) -> None:
    ds = ct(**new_uids(), AccessionNumber="ACC4711", StudyDescription="Thorax nativ")
    await store(clinic, multipart([written(ds)]))
    ((study_id, sealed),) = await clinic.sql(
        "SELECT id, sealed_identity FROM studies WHERE facility_id = :f", f=clinic.facility_id
    )
    for secret in (b"Mustermann", b"ACC4711", ds.StudyInstanceUID.encode()):
        assert secret not in sealed
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        key = await facility_key(session, clinic.facility_id, clinic.ingest.settings.master_key)
    opened = key.unseal_identity(sealed, study_id)
    assert opened["00100010"]["Value"] == [{"Alphabetic": "Mustermann^Erika"}]
    assert opened["00080050"]["Value"] == ["ACC4711"]
    found = await clinic.sql(
        "SELECT study_id FROM study_terms WHERE facility_id = :f AND term = :t",
        f=clinic.facility_id,
        t=key.term("PatientName~must"),
    )
    assert found == [(study_id,)]


async def test_under_forget_nothing_is_sealed(clinic: Clinic) -> None:
    await clinic.sql(
        "INSERT INTO facility_settings (facility_id, profile, others, quiet_s) VALUES (:f, 'forget', 'refuse', 30)",
        f=clinic.facility_id,
    )
    series = slices(1)
    seeing = clinic.tokens.headers(clinic.facility_id, Role.API_CLIENT, scopes=IDENTITY)
    answer = await store(clinic, multipart(bodies(series)), headers=seeing)
    (stored,) = answer.json()[STORED]["Value"]
    (url,) = stored["00081190"]["Value"]
    assert series[0].StudyInstanceUID not in url
    assert (await clinic.http.get(url, headers=seeing)).status_code == 200, "where it is told to be"
    for table in ("studies", "series", "instances"):
        rows = await clinic.sql(f"SELECT sealed_identity FROM {table} WHERE facility_id = :f", f=clinic.facility_id)  # noqa: S608
        assert rows == [(None,)]
    assert await clinic.sql("SELECT 1 FROM study_terms WHERE facility_id = :f", f=clinic.facility_id) == []


async def test_while_the_store_is_away_nothing_counts_as_stored(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise StorageUnavailable("away")

    monkeypatch.setattr(clinic.ingest.storage, "put_file", away)
    series = slices(2)
    answer = await store(clinic, multipart(bodies(series)))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert await clinic.sql("SELECT 1 FROM instances WHERE facility_id = :f", f=clinic.facility_id) == []
    monkeypatch.undo()
    assert (await store(clinic, multipart(bodies(series)))).status_code == 200
