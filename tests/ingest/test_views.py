from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import asyncpg
import numpy as np
import pydicom
import pytest
from codetect_ingest.dicom.identity import STUDY_LEVEL, as_json, identity_of
from codetect_ingest.filing import count
from codetect_ingest.identities import instance_owner
from codetect_ingest.models import InstanceRow, Kind, Series, Study
from codetect_shared.db import uuid7
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian, generate_uid
from sqlalchemy import select

from tests.ingest.conftest import Hands
from tests.ingest.dicomweb import Web, bring, parsed, parts, values
from tests.ingest.lives import change_settings
from tests.ingest.samples import big, written
from tests.ingest.test_importer import slices

STUDY, SERIES, SOP, NAME = "0020000D", "0020000E", "00080018", "00100010"
ERIKA = {
    "PatientName": "Mustermann^Erika", "PatientID": "MRN-0815", "PatientBirthDate": "19640812", "PatientSex": "F",
    "AccessionNumber": "ACC-77", "StudyID": "S42", "StudyDate": "20200229", "StudyTime": "101530.5",
    "ReferringPhysicianName": "Haus^Gregory", "StudyDescription": "Thorax low dose", "InstitutionName": "Klinik am See",
    "SeriesDescription": "Lunge 1mm", "SeriesNumber": 3, "ProtocolName": "CAP", "ContentTime": "101600",
}  # fmt: skip
YAMADA = {
    "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう", "PatientID": "JP1", "StudyDate": "20201231",
    "AccessionNumber": "ACC-78", "StudyTime": "235959", "SpecificCharacterSet": "ISO_IR 192",
    "PatientBirthDate": "19700101",
}  # fmt: skip
JOERG = {
    "PatientName": "Müller-Lüdenscheidt^Jörg",
    "PatientID": "DE9",
    "StudyDate": "20210101",
    "StudyTime": "0800",
    "PatientBirthDate": "",
}
UTF8 = {"SpecificCharacterSet": "ISO_IR 192"}


async def three_patients(web: Web, hands: Hands) -> list[list[Dataset]]:
    brought = [slices(2, **ERIKA), slices(1, **YAMADA), slices(1, **JOERG, **UTF8)]
    for series in brought:
        await bring(web, hands, series)
    return brought


async def trail(web: Web) -> list[tuple[str, Any, dict[str, Any]]]:
    rows = await web.clinic.sql(
        "SELECT action, study_id, detail FROM audit WHERE facility_id = :f ORDER BY sequence", f=web.clinic.facility_id
    )
    return [tuple(row) for row in rows if row.action.startswith("identity.")]


async def test_who_has_the_right_sees_originals_and_everyone_else_pseudonyms(web: Web, hands: Hands) -> None:
    (erika, *_) = await three_patients(web, hands)
    (found,) = await web.seeing_identities().found("/studies", PatientID="MRN-0815", includefield="all")
    expected = as_json(erika[0], STUDY_LEVEL)
    assert {tag: found[tag] for tag in expected} == expected
    assert found["00081190"]["Value"] == [f"{web.url}/dicomweb/studies/{erika[0].StudyInstanceUID}"]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    everybody = await web.found("/studies", includefield="all")
    shown = str(everybody) + str(await web.found("/instances", includefield="all"))
    for ds in erika:
        for original in (*ERIKA.values(), ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID):
            assert len(str(original)) < 4 or str(original) not in shown, original
    pseudonyms = await web.pseudonyms()
    assert pseudonyms.uid(erika[0].StudyInstanceUID) in values(everybody, STUDY)
    assert await web.found("/studies", StudyInstanceUID=erika[0].StudyInstanceUID) == []
    assert (await web.get(f"/studies/{erika[0].StudyInstanceUID}")).status_code == 404


async def test_a_series_that_was_just_read_is_given_again_the_same_and_with_its_length(web: Web, hands: Hands) -> None:
    brought = slices(3, **ERIKA)
    await bring(web, hands, brought)
    seeing, url = web.seeing_identities(), f"/studies/{brought[0].StudyInstanceUID}"
    first, again = [await seeing.get(url, 'multipart/related; type="application/dicom"') for _ in range(2)]
    assert "content-length" not in first.headers  # nothing was in memory yet
    assert int(again.headers["content-length"]) == len(again.content)
    assert parts(again) == parts(first)
    assert [str(parsed(data).PatientName) for _, data in parts(again)] == [ERIKA["PatientName"]] * 3
    assert [what["instances"] for _, _, what in await trail(web)] == [3, 3]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"PatientID": "MRN-0815"}, "E"),
        ({"PatientID": "mrn-0815"}, ""),
        ({"PatientID": "MRN*"}, "E"),
        ({"PatientID": "??1"}, "Y"),
        ({"AccessionNumber": "ACC-77"}, "E"),
        ({"AccessionNumber": "ACC*"}, "EY"),
        ({"StudyID": "S42"}, "E"),
        ({"PatientBirthDate": "19640812"}, "E"),
        ({"PatientBirthDate": "19640101-19641231"}, "E"),
        ({"PatientSex": "F"}, "E"),
        ({"StudyDescription": "*low*"}, "E"),
        ({"InstitutionName": "Klinik*"}, "E"),
        ({"ReferringPhysicianName": "haus^*"}, "E"),
        ({"PatientName": "Mustermann^Erika"}, "E"),
        ({"PatientName": "MUSTERMANN^ERIKA"}, "E"),
        ({"PatientName": "Mustermann"}, ""),
        ({"PatientName": "Muster*"}, "E"),
        ({"PatientName": "*mann*"}, "E"),
        ({"PatientName": "Mu*"}, "EJ"),
        ({"PatientName": "Mustermannsfrau*"}, ""),
        ({"PatientName": "Er*"}, ""),
        ({"PatientName": "*^Er?ka"}, "E"),
        ({"PatientName": "muller*"}, "J"),
        ({"PatientName": "*Lüdenscheidt^*"}, "J"),
        ({"PatientName": "山田*"}, "Y"),
        ({"PatientName": "やまだ^たろう"}, "Y"),
        ({"PatientName": "Erika Muster", "fuzzymatching": "true"}, "E"),
        ({"PatientName": "jorg", "fuzzymatching": "true"}, "J"),
        ({"PatientName": "Mu*", "fuzzymatching": "true"}, "EJ"),
        ({"PatientName": "Erika Müller", "fuzzymatching": "true"}, ""),
        ({"StudyDate": "20200229"}, "E"),
        ({"StudyDate": "20200228"}, ""),
        ({"StudyDate": "20200101-20201231"}, "EY"),
        ({"StudyDate": "20200301-20210101"}, "YJ"),
        ({"StudyDate": "-20200301"}, "E"),
        ({"StudyDate": "20201231-"}, "YJ"),
        ({"StudyDate": "20200201-20200231"}, "E"),
        ({"StudyTime": "10-12"}, "E"),
        ({"StudyTime": "101530.5"}, "E"),
        ({"StudyTime": "101530"}, "E"),
        ({"StudyTime": "101530-101531"}, "E"),
        ({"StudyTime": "101530.4-101530.6"}, "E"),
        ({"StudyTime": "101531-101532"}, ""),
        ({"StudyTime": "2359-"}, "Y"),
        ({"StudyTime": "-0800"}, "J"),
        ({"PatientName": "*", "StudyDate": "20200101-", "ModalitiesInStudy": "CT"}, "EYJ"),
        ({"PatientName": "Mu*", "StudyDate": "2021"}, None),
    ],
    ids=str,
)
async def test_originals_are_found_by_original_values(
    web: Web, hands: Hands, brought: Web, query: dict[str, str], expected: str | None
) -> None:
    answer = await brought.get("/studies", params=query)
    assert answer.status_code == (200 if expected is not None else 400), answer.text
    if expected is not None:
        initials = {"MRN-0815": "E", "JP1": "Y", "DE9": "J"}
        assert sorted(initials[one] for one in values(answer.json(), "00100020")) == sorted(expected)
        assert ("warning" in answer.headers) is False


@pytest.fixture(scope="module")
async def facility() -> dict[str, Web]:
    """What stands for all searches of this module."""
    return {}


@pytest.fixture
async def brought(web: Web, hands: Hands, facility: dict[str, Web]) -> Web:
    """Somebody with the right, of a facility with three patients."""
    if not facility:
        await three_patients(web, hands)
        facility["web"] = web.seeing_identities()
    return facility["web"]


async def test_addresses_and_lists_of_originals_lead_to_them(web: Web, hands: Hands) -> None:
    erika, yamada, _ = await three_patients(web, hands)
    seeing = web.seeing_identities()
    first, second = erika[0].StudyInstanceUID, yamada[0].StudyInstanceUID
    listed = await seeing.found("/studies", StudyInstanceUID=f"{first},{second}")
    assert values(listed, STUDY) == [second, first]
    pseudonym = (await web.pseudonyms()).uid(first)
    assert await seeing.found("/studies", StudyInstanceUID=pseudonym) == [], "whoever sees originals asks for them"
    instances = await seeing.found(f"/studies/{first}/series/{erika[0].SeriesInstanceUID}/instances")
    assert values(instances, SOP) == [ds.SOPInstanceUID for ds in erika]
    assert values(await seeing.found("/instances", SOPInstanceUID=erika[1].SOPInstanceUID), "00200013") == [2]
    (series,) = await seeing.found("/series", SeriesDescription="Lunge*")
    assert series["0008103E"]["Value"] == ["Lunge 1mm"]
    assert series["00081190"]["Value"][0].endswith(f"/studies/{first}/series/{erika[0].SeriesInstanceUID}")
    assert values(await seeing.found("/series", PatientName="Yamada*"), STUDY) == [second]
    assert len(await seeing.found(f"/studies/{pseudonym}/instances")) == 2, "a link out of the app"


async def test_files_come_back_as_they_were_sent_but_for_what_was_never_kept(web: Web, hands: Hands) -> None:
    erika = slices(3, **ERIKA)
    await bring(web, hands, erika)
    study = erika[0].StudyInstanceUID
    seeing = web.seeing_identities()
    found = await seeing.call(lambda client: client.retrieve_study(study))
    assert [ds.SOPInstanceUID for ds in found] == [ds.SOPInstanceUID for ds in erika]
    for ds, original in zip(found, erika, strict=True):
        assert identity_of(ds) == identity_of(original)
        assert ds.file_meta.MediaStorageSOPInstanceUID == original.SOPInstanceUID
        assert ds.PixelData == original.PixelData
        assert "PatientIdentityRemoved" not in ds
        assert "DeidentificationMethod" not in ds
        assert BytesIO(written(ds)).getvalue()
    told = await seeing.call(lambda client: client.retrieve_study_metadata(study))
    for one, ds in zip(told, found, strict=True):
        bulk = one.pop("7FE00010")["BulkDataURI"]
        assert f"/studies/{study}/" in bulk
        one.pop("00083002")
        del ds.PixelData
        assert pydicom.Dataset.from_json(one) == ds
        assert (await seeing.get(bulk)).status_code == 200


async def test_compressed_files_get_their_identity_back_too_and_can_be_decoded(web: Web, hands: Hands) -> None:
    data = next(big("dicom/transfer-syntaxes").glob("CTImage.dcm_JPEGLSLossless*")).read_bytes()
    original = parsed(data)
    await bring(web, hands, [data])
    here = f"/studies/{original.StudyInstanceUID}"
    ((_, stored),) = parts(await web.seeing_identities().get(here))
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={ExplicitVRLittleEndian}'
    ((_, decoded),) = parts(await web.seeing_identities().get(here, accept))
    for ds in (parsed(stored), parsed(decoded)):
        assert (ds.SOPInstanceUID, ds.PatientID) == (original.SOPInstanceUID, original.PatientID)
        assert np.array_equal(ds.pixel_array, original.pixel_array)
    frames = (get_frame(ds.PixelData, 0, number_of_frames=1) for ds in (parsed(stored), original))
    assert len(set(frames)) == 1


async def test_every_look_is_written_down_and_what_was_sought_is_not(web: Web, hands: Hands) -> None:
    erika = slices(2, **ERIKA)
    await bring(web, hands, erika)
    seeing = web.seeing_identities()
    study = f"/studies/{erika[0].StudyInstanceUID}"
    series = f"{study}/series/{erika[0].SeriesInstanceUID}"
    instance = f"{series}/instances/{erika[0].SOPInstanceUID}"
    reads = {study: "instances", f"{series}/metadata": "metadata", f"{instance}/frames/1": "frames"}
    reads |= {f"{instance}/rendered": "rendered", f"{series}/thumbnail": "thumbnail"}
    reads |= {f"{instance}/bulkdata/7FE00010": "bulkdata"}
    await web.found("/studies")
    assert (await web.get(f"/studies/{(await web.pseudonyms()).uid(erika[0].StudyInstanceUID)}")).status_code == 200
    assert await trail(web) == [], "pseudonyms are no secret"
    for path in reads:
        assert (await seeing.get(path)).status_code == 200
    await seeing.found("/studies", PatientName="Muster*")
    await seeing.found("/instances", PatientName="Nobody")
    ((study_id,),) = await web.clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=web.clinic.facility_id)
    rows = await trail(web)
    assert [(action, where, detail.get("what")) for action, where, detail in rows[:-2]] == [
        ("identity.read", study_id, what) for what in reads.values()
    ]
    assert rows[-2:] == [
        ("identity.search", None, {"level": "study", "found": 1}),
        ("identity.search", None, {"level": "instance", "found": 0}),
    ]
    assert "Muster" not in str(rows)


@asynccontextmanager
async def without_audit(environment: Mapping[str, str]) -> AsyncIterator[None]:
    owner = await asyncpg.connect(environment["CODETECT_INGEST_DATABASE_OWNER_URL"])
    await owner.execute("ALTER TABLE audit RENAME TO audit_away")
    try:
        yield
    finally:
        await owner.execute("ALTER TABLE audit_away RENAME TO audit")
        await owner.close()


async def test_what_cannot_be_written_down_is_not_shown(
    web: Web, hands: Hands, environment: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    (ds,) = slices(1, **ERIKA)
    await bring(web, hands, [ds])
    seeing = web.seeing_identities()
    async with without_audit(environment):
        for path in ("/studies", f"/studies/{ds.StudyInstanceUID}", f"/studies/{ds.StudyInstanceUID}/metadata"):
            refused = await seeing.get(path)
            assert (refused.status_code, refused.json()["type"]) == (503, "urn:codetect:problem:audit-unavailable")
            assert b"Muster" not in refused.content
            assert (await web.get(path)).status_code in (404, 503)
        assert (await web.get("/studies")).status_code == 503
    assert (await seeing.get(f"/studies/{ds.StudyInstanceUID}")).status_code == 200
    assert ds.StudyInstanceUID not in capsys.readouterr().out


async def test_nothing_that_was_asked_for_reaches_logs(
    web: Web, hands: Hands, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (ds,) = slices(1, **ERIKA)
    await bring(web, hands, [ds])
    capsys.readouterr()
    seeing = web.seeing_identities()
    for query in ("PatientName=Muster*", "PatientID=MRN-0815", "StudyDate=20200229", "PatientName=*mann&limit=x"):
        await seeing.get(f"/studies?{query}")
    for end in ("", "/metadata", "/thumbnail", "/series", "/rendered?window=x"):
        await seeing.get(f"/studies/{ds.StudyInstanceUID}{end}")
    said = "".join(capsys.readouterr()) + caplog.text.replace(web.url, "")
    # httpx, which asks here, logs addresses of its own accord; the service's words are on stdout.
    said = "\n".join(line for line in said.splitlines() if "HTTP Request" not in line)
    assert '"route": "/dicomweb/studies"' in said
    for secret in ("Muster", "MRN-0815", "20200229", ds.StudyInstanceUID, ds.SOPInstanceUID):
        assert secret not in said


async def test_a_facility_that_forgets_shows_pseudonyms_even_to_who_has_the_right(web: Web, hands: Hands) -> None:
    sealed, forgotten = slices(1, **ERIKA), slices(1, **ERIKA)
    await bring(web, hands, sealed)
    mr = pydicom.dcmread(big("dicom/other/MR_Implicit_Little.dcm"))
    mr.StudyInstanceUID, mr.PatientID = sealed[0].StudyInstanceUID, sealed[0].PatientID
    await keep(web, Kind.SEALED, written(mr), mr, sealed=True)
    await change_settings(web.clinic, profile="forget")
    await bring(web, hands, forgotten)
    seeing, uid = web.seeing_identities(), (await web.pseudonyms()).uid
    hidden, closed = (uid(ds.StudyInstanceUID) for (ds,) in (forgotten, sealed))
    for level in ("/studies", "/series", "/instances"):
        everything = await seeing.found(level, includefield="all")
        assert everything == await web.found(level, includefield="all")
        assert set(values(everything, STUDY)) == {hidden, closed}
    queries = {"PatientName": "Muster*", "PatientID": "MRN-0815", "AccessionNumber": "ACC-77"}
    for keyword, asked in (queries | {"StudyInstanceUID": sealed[0].StudyInstanceUID}).items():
        assert await seeing.found("/studies", **{keyword: asked}) == []
    for end in ("", "/metadata", "/rendered"):
        assert (await seeing.get(f"/studies/{sealed[0].StudyInstanceUID}{end}")).status_code == 404
    ((_, data),) = parts(await seeing.get(f"/studies/{closed}"))
    assert (parsed(data).PatientIdentityRemoved, parsed(data).PatientName) == ("YES", "")
    told = (await seeing.get(f"/studies/{closed}/metadata")).json()
    assert [one["00120062"]["Value"] for one in told] == [["YES"]]
    assert "Muster" not in str(told)
    assert await trail(web) == [], "nobody saw anybody"


async def test_what_came_under_forget_has_pseudonyms_later_too(web: Web, hands: Hands) -> None:
    sealed, forgotten = slices(1, **ERIKA), slices(1, **ERIKA)
    await bring(web, hands, sealed)
    await change_settings(web.clinic, profile="forget")
    await bring(web, hands, forgotten)
    await change_settings(web.clinic, profile="seal")
    seeing = web.seeing_identities()
    found = await seeing.found("/studies")
    hidden = (await web.pseudonyms()).uid(forgotten[0].StudyInstanceUID)
    assert values(found, STUDY) == [hidden, sealed[0].StudyInstanceUID]
    assert found[0][NAME] == {"vr": "PN"}
    patient, date = found[0]["00100020"]["Value"][0], found[0]["00080020"]["Value"][0]
    assert values(await seeing.found("/studies", PatientID=patient), STUDY) == [hidden]
    assert values(await seeing.found("/studies", StudyDate=date), STUDY) == [hidden]
    assert values(await seeing.found("/studies", PatientID="MRN-0815"), STUDY) == [sealed[0].StudyInstanceUID]
    assert values(await seeing.found("/studies", StudyInstanceUID=hidden), STUDY) == [hidden]
    for uid in (hidden, forgotten[0].StudyInstanceUID):
        ((_, data),) = parts(await seeing.get(f"/studies/{uid}"))
        assert parsed(data).PatientIdentityRemoved == "YES"
        (told,) = (await seeing.get(f"/studies/{uid}/metadata")).json()
        assert told["00120062"]["Value"] == ["YES"]


async def keep(web: Web, kind: Kind, file: bytes, ds: Dataset, *, sealed: bool) -> None:
    """Add a series that isn't slices, as those parts of ingest do that keep files or results."""
    ingest, facility_id, key = web.clinic.ingest, web.clinic.facility_id, await web.key()
    pseudonyms = await web.pseudonyms()
    async with ingest.db.facility(facility_id) as session:
        study = (await session.scalars(select(Study).where(Study.facility_id == facility_id))).one()
        upload_id = (await session.scalars(select(InstanceRow.upload_id).limit(1))).one()
        identity, series_id = identity_of(ds), uuid7()
        series_uid, sop_uid = ds.SeriesInstanceUID, ds.SOPInstanceUID
        if sealed:
            series_uid, sop_uid = pseudonyms.uid(series_uid), pseudonyms.uid(sop_uid)
            data = key.seal_bytes(file, instance_owner(series_id, sop_uid))
        else:
            data = file
        object_key = f"{facility_id}/{study.id}/{uuid7()}.0/{series_id}/instances.pack"
        bucket = "studies" if sealed else "results"
        await ingest.storage.put(bucket, object_key, b"before" + data)
        session.add(
            Series(
                id=series_id,
                facility_id=facility_id,
                study_id=study.id,
                series_instance_uid=series_uid,
                kind=kind,
                modality=ds.Modality,
                attributes={},
                sealed_identity=key.seal_identity(identity.series, series_id) if sealed else None,
            )
        )
        await session.flush()
        header = write_header(ds) if not sealed else (0, 0)
        session.add(
            InstanceRow(
                series_id=series_id,
                sop_instance_uid=sop_uid,
                facility_id=facility_id,
                study_id=study.id,
                upload_id=upload_id,
                sop_class_uid=ds.SOPClassUID,
                transfer_syntax_uid=ds.file_meta.TransferSyntaxUID,
                instance_number=1,
                bucket=bucket,
                key=object_key,
                offset=6,
                length=len(data),
                header_offset=6 + header[0],
                header_length=header[1],
                source=1,
                facts={},
                sealed_identity=(
                    key.seal_identity(identity.instance, instance_owner(series_id, sop_uid)) if sealed else None
                ),
            )
        )
        await session.flush()
        await count(session, study.id)


def write_header(ds: Dataset) -> tuple[int, int]:
    """Where a document's data set lies in its file; it has no image."""
    data = written(ds)
    start = 144 + int.from_bytes(data[140:144], "little")
    return start, len(data) - start


async def test_files_that_were_kept_whole_are_there_for_who_has_the_right_alone(web: Web, hands: Hands) -> None:
    (ds,) = slices(1, **ERIKA)
    await bring(web, hands, [ds])
    mr = pydicom.dcmread(big("dicom/other/MR_Implicit_Little.dcm"))
    mr.StudyInstanceUID, mr.PatientID, mr.PatientName = ds.StudyInstanceUID, ds.PatientID, ds.PatientName
    file = written(mr)
    await keep(web, Kind.SEALED, file, parsed(file), sealed=True)
    seeing = web.seeing_identities()
    (study,) = await seeing.found("/studies", ModalitiesInStudy="MR")
    assert study["00080061"]["Value"] == ["CT", "MR"]
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([2], [2])
    series = f"/studies/{ds.StudyInstanceUID}/series/{mr.SeriesInstanceUID}"
    ((kind, data),) = parts(await seeing.get(series))
    assert (kind, data) == (f"application/dicom; transfer-syntax={mr.file_meta.TransferSyntaxUID}", file)
    (told,) = (await seeing.get(f"{series}/metadata")).json()
    assert told[NAME]["Value"] == [{"Alphabetic": "Mustermann^Erika"}]
    assert not [tag for tag in told if tag.startswith("0002")]
    bulk = await seeing.get(told["7FE00010"]["BulkDataURI"])
    assert parts(bulk)[0][1] == mr.PixelData
    shown = await seeing.get(f"{series}/rendered", "image/png")
    with Image.open(BytesIO(shown.content)) as image:
        assert image.size == (mr.Columns, mr.Rows)

    (study,) = await web.found("/studies")
    assert (study["00080061"]["Value"], study["00201206"]["Value"], study["00201208"]["Value"]) == (["CT"], [1], [1])
    assert await web.found("/studies", ModalitiesInStudy="MR") == []
    pseudonyms = await web.pseudonyms()
    hidden = f"/studies/{study[STUDY]['Value'][0]}/series/{pseudonyms.uid(mr.SeriesInstanceUID)}"
    assert await web.found("/series", Modality="MR") == []
    assert await web.found(f"{hidden}/instances") == []
    for end in ("", "/metadata", "/rendered", "/thumbnail"):
        assert (await web.get(hidden + end)).status_code == 404
    assert len(parts(await web.get(f"/studies/{study[STUDY]['Value'][0]}"))) == 1


async def test_results_speak_of_the_images_by_the_names_that_who_asks_knows(web: Web, hands: Hands) -> None:
    series = slices(2, **ERIKA)
    await bring(web, hands, series)
    pseudonyms = await web.pseudonyms()
    report = document(series, pseudonyms.uid)
    await keep(web, Kind.RESULT, written(report), report, sealed=False)
    seeing = web.seeing_identities()
    here = f"/studies/{series[0].StudyInstanceUID}/series/{report.SeriesInstanceUID}"
    ((_, data),) = parts(await seeing.get(here))
    found = parsed(data)
    assert found == pydicom.dcmread(BytesIO(data), force=True)
    assert (str(found.PatientName), found.AccessionNumber) == ("Mustermann^Erika", "ACC-77")
    assert found.StudyInstanceUID == series[0].StudyInstanceUID
    assert (found.SOPInstanceUID, found.SeriesInstanceUID) == (report.SOPInstanceUID, report.SeriesInstanceUID)
    (evidence,) = found.CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == series[0].StudyInstanceUID
    referenced = evidence.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == series[0].SeriesInstanceUID
    named = [one.ReferencedSOPInstanceUID for one in referenced.ReferencedSOPSequence]
    assert named == [ds.SOPInstanceUID for ds in series]
    (told,) = (await seeing.get(f"{here}/metadata")).json()
    told.pop("00083002")
    assert Dataset.from_json(told) == found
    assert (await seeing.get(f"{here}/rendered")).status_code == 406
    assert (await seeing.get(f"{here}/instances/{report.SOPInstanceUID}/frames/1")).status_code == 404

    plain = f"/studies/{pseudonyms.uid(series[0].StudyInstanceUID)}/series/{report.SeriesInstanceUID}"
    ((_, data),) = parts(await web.get(plain))
    assert data == written(report)
    assert values(await web.found("/series", Modality="SR"), SERIES) == [report.SeriesInstanceUID]
    whole = parts(await seeing.get(f"/studies/{series[0].StudyInstanceUID}"))
    assert {parsed(data).StudyInstanceUID for _, data in whole} == {series[0].StudyInstanceUID}
    assert len(whole) == 3


def document(series: list[Dataset], pseudonym: Any) -> Dataset:
    """A report of ours about these slices, as it is kept."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = BasicTextSRStorage, generate_uid(), "SR"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = pseudonym(series[0].StudyInstanceUID), generate_uid()
    ds.PatientID, ds.PatientName, ds.AccessionNumber = "0123", "", ""
    reference = Dataset()
    reference.SeriesInstanceUID = pseudonym(series[0].SeriesInstanceUID)
    reference.ReferencedSOPSequence = [Dataset() for _ in series]
    for item, one in zip(reference.ReferencedSOPSequence, series, strict=True):
        item.ReferencedSOPClassUID = one.SOPClassUID
        item.ReferencedSOPInstanceUID = pseudonym(one.SOPInstanceUID)
    evidence = Dataset()
    evidence.StudyInstanceUID, evidence.ReferencedSeriesSequence = ds.StudyInstanceUID, [reference]
    ds.CurrentRequestedProcedureEvidenceSequence = [evidence]
    return ds
