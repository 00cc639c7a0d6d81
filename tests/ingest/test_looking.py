from uuid import uuid4

import asyncpg
from codetect_shared.tokens import Role
from pydicom.uid import generate_uid

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.lives import actions, asking, keep_study, problem
from tests.ingest.test_importer import bodies, slices


async def test_who_has_the_right_sees_who_it_is_and_leaves_a_trace(clinic: Clinic, hands: Hands) -> None:
    uid = generate_uid()
    study_id, _ = await keep_study(clinic, hands, StudyInstanceUID=uid, PatientID="CANARYID")
    doctor = asking(clinic, Role.MEMBER, "identity")
    answer = await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)
    assert answer.json() == {
        "study_id": study_id,
        "patient_name": "CANARY^Name",
        "patient_id": "CANARYID",
        "patient_birth_date": "19700101",
        "patient_sex": "F",
        "accession_number": "CANARYACC",
        "study_instance_uid": uid,
        "study_date": "20200301",
        "study_description": "CANARY chest",
    }
    assert await actions(clinic) == [("identity.read", study_id)]


async def test_everyone_else_sees_pseudonyms_only(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    for who in (clinic.headers, asking(clinic, Role.ADMIN), asking(clinic, Role.API_CLIENT, "read", "write")):
        assert (await clinic.ask("GET", f"/studies/{study_id}/identity", headers=who)).status_code == 403
        answer = await clinic.ask("POST", "/studies/identities", json={"ids": [study_id]}, headers=who)
        assert answer.status_code == 403
        assert "CANARY" not in answer.text
    blind = asking(clinic, Role.API_CLIENT, "identity", "write")
    assert (await clinic.ask("POST", "/studies/identities", json={"ids": [study_id]}, headers=blind)).status_code == 403
    assert (await clinic.http.post("/api/v1/studies/identities", json={"ids": [study_id]})).status_code == 401
    other = clinic.elsewhere()
    nosy = asking(other, Role.MEMBER, "identity")
    assert problem(await other.ask("GET", f"/studies/{study_id}/identity", headers=nosy))[0] == 404
    assert (await other.ask("POST", "/studies/identities", json={"ids": [study_id]}, headers=nosy)).json() == {
        "items": []
    }
    assert await actions(clinic) == []


async def test_a_list_is_audited_study_by_study(clinic: Clinic, hands: Hands) -> None:
    ids = [(await keep_study(clinic, hands, PatientID=f"CANARY{n}"))[0] for n in range(3)]
    program = asking(clinic, Role.API_CLIENT, "read", "identity")
    wanted = [ids[2], str(uuid4()), ids[0], ids[2]]
    answer = await clinic.ask("POST", "/studies/identities", json={"ids": wanted}, headers=program)
    assert [(one["study_id"], one["patient_id"]) for one in answer.json()["items"]] == [
        (ids[2], "CANARY2"),
        (ids[0], "CANARY0"),
    ]
    assert await actions(clinic) == [("identity.read", ids[2]), ("identity.read", ids[0])]
    for count, status in ((0, 422), (201, 422), (200, 200)):
        many = [str(uuid4()) for _ in range(count)]
        answer = await clinic.ask("POST", "/studies/identities", json={"ids": many}, headers=program)
        assert answer.status_code == status


async def test_a_look_that_can_not_be_audited_is_refused(
    clinic: Clinic, hands: Hands, environment: dict[str, str]
) -> None:
    study_id, _ = await keep_study(clinic, hands)
    doctor = asking(clinic, Role.MEMBER, "identity")
    owner = await asyncpg.connect(environment["CODETECT_INGEST_DATABASE_OWNER_URL"])
    await owner.execute("ALTER TABLE audit ADD CONSTRAINT full_disk CHECK (action <> 'identity.read') NOT VALID")
    try:
        one = await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)
        several = await clinic.ask("POST", "/studies/identities", json={"ids": [study_id]}, headers=doctor)
    finally:
        await owner.execute("ALTER TABLE audit DROP CONSTRAINT full_disk")
        await owner.close()
    assert (one.status_code, several.status_code) == (503, 503)
    assert "CANARY" not in one.text + several.text
    assert (await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)).is_success


async def test_names_in_several_scripts_are_shown_by_the_first(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(
        clinic, hands, SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎", AccessionNumber=""
    )
    doctor = asking(clinic, Role.MEMBER, "identity")
    shown = (await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)).json()
    assert (shown["patient_name"], shown["accession_number"]) == ("Yamada^Tarou", None)


async def test_a_reference_is_shown_to_whoever_wrote_it_and_to_those_with_the_right(clinic: Clinic) -> None:
    author = clinic.headers
    upload = (await clinic.ask("POST", "/uploads", json={"reference": "ward 7"}, headers=author)).json()
    path = f"/uploads/{upload['id']}/reference"
    assert (await clinic.ask("GET", path, headers=author)).json() == {"reference": "ward 7"}
    assert await actions(clinic) == []
    assert (await clinic.ask("GET", path)).status_code == 403
    doctor = asking(clinic, Role.MEMBER, "identity")
    assert (await clinic.ask("GET", path, headers=doctor)).json() == {"reference": "ward 7"}
    assert [action for action, _ in await actions(clinic)] == ["reference.read"]
    bare = (await clinic.ask("POST", "/uploads", json={}, headers=author)).json()
    answer = await clinic.ask("GET", f"/uploads/{bare['id']}/reference", headers=author)
    assert answer.json() == {"reference": None}
    assert (await clinic.elsewhere().ask("GET", path)).status_code == 404


async def test_the_report_of_a_file_is_shown_where_there_is_one(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(slices(2)))
    await hands.run()
    path = f"/uploads/{upload['id']}/files"
    told = (await clinic.ask("GET", f"{path}/1/report")).json()["report"]
    assert "Rows" in told["kept"]
    assert {"PatientID", "StudyInstanceUID", "StudyDate"} <= set(told["replaced"])
    assert "PatientName" in told["emptied"]
    assert "Mustermann" not in str(told)
    await clinic.sql("UPDATE upload_files SET report = NULL WHERE upload_id = :id AND number = 2", id=upload["id"])
    for number in (2, 99):
        assert problem(await clinic.ask("GET", f"{path}/{number}/report")) == (404, "report-not-found")
    assert problem(await clinic.elsewhere().ask("GET", f"{path}/1/report"))[0] == 404


async def found(clinic: Clinic, headers: dict[str, str], **called: str) -> list[str]:
    answer = await clinic.ask("POST", "/studies/find", json=called, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["study_ids"])


async def test_a_study_is_found_by_what_it_is_called_elsewhere(clinic: Clinic, hands: Hands) -> None:
    uid = generate_uid()
    first, _ = await keep_study(clinic, hands, StudyInstanceUID=uid, AccessionNumber="ACC 7")
    second, _ = await keep_study(clinic, hands, AccessionNumber="ACC 7")
    await keep_study(clinic, hands, AccessionNumber="ACC 71")
    own = (await clinic.ask("GET", f"/studies/{first}")).json()["study_instance_uid"]
    doctor = asking(clinic, Role.VIEWER, "identity")
    assert await found(clinic, doctor, accession_number=" acc 7") == [second, first]
    assert await found(clinic, doctor, study_instance_uid=uid) == [first]
    assert await found(clinic, doctor, study_instance_uid=own) == [first]
    assert await found(clinic, doctor, accession_number="ACC") == []
    assert [what for what, _ in await actions(clinic)].count("identity.search") == 4
    other = clinic.elsewhere()
    nosy = asking(other, Role.MEMBER, "identity")
    for called in ({"accession_number": "ACC 7"}, {"study_instance_uid": uid}, {"study_instance_uid": own}):
        assert await found(other, nosy, **called) == []


async def test_without_the_right_a_study_is_found_by_its_pseudonym_alone(clinic: Clinic, hands: Hands) -> None:
    uid = generate_uid()
    study_id, _ = await keep_study(clinic, hands, StudyInstanceUID=uid)
    own = (await clinic.ask("GET", f"/studies/{study_id}")).json()["study_instance_uid"]
    blind = asking(clinic, Role.MEMBER)
    assert await found(clinic, blind, study_instance_uid=own) == [study_id]
    assert await found(clinic, blind, study_instance_uid=uid) == []
    answer = await clinic.ask("POST", "/studies/find", json={"accession_number": "CANARYACC"}, headers=blind)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:codetect:problem:forbidden")
    for bad in ({}, {"accession_number": "A", "study_instance_uid": "1.2"}, {"study_instance_uid": "x"}):
        assert (await clinic.ask("POST", "/studies/find", json=bad, headers=blind)).status_code == 422
