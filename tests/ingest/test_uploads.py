import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from codetect_ingest.keys import facility_key
from codetect_shared.tokens import Role

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.samples import ct, written

TINY = written(ct())


def problem(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["type"]).removeprefix("urn:codetect:problem:")


async def test_one_policy_posts_a_whole_folder_and_is_told_with_its_limits(clinic: Clinic) -> None:
    upload = await clinic.open()
    assert upload["state"] == "open"
    assert upload["key_prefix"] == f"{clinic.facility_id}/{upload['id']}/"
    assert upload["max_files"] >= 2000
    assert (
        timedelta(minutes=9) < datetime.fromisoformat(upload["expires_at"]) - datetime.now(UTC) <= timedelta(minutes=10)
    )
    await clinic.post(upload, {1: TINY, 17: TINY, 999999: TINY})
    assert sorted(await clinic.keys("raw")) == [f"{upload['key_prefix']}{n:06}" for n in (1, 17, 999999)]


async def test_a_policy_is_no_key_to_other_places(clinic: Clinic) -> None:
    upload, other = await clinic.open(), await clinic.open()
    fields = {**upload["post"]["fields"], "key": f"{other['key_prefix']}000001"}
    async with httpx.AsyncClient() as store:
        answer = await store.post(upload["post"]["url"], data=fields, files={"file": ("x", TINY)})
    assert answer.status_code == 403


async def test_an_upload_is_shown_with_every_file(clinic: Clinic) -> None:
    shown = await clinic.submit([TINY, TINY], priority="urgent", models=["covid-ct"])
    assert shown["state"] == "importing"
    assert (shown["priority"], shown["models"]) == ("urgent", ["covid-ct"])
    assert (shown["files_total"], shown["files_done"], shown["studies"], shown["error"]) == (2, 0, [], None)
    pending = {"state": "pending", "code": None, "detail": None, "study_id": None}
    assert shown["files"] == [{"number": n} | pending for n in (1, 2)]
    assert await clinic.show(shown) == shown


async def test_complete_asked_again_answers_the_same_and_queues_one_job(clinic: Clinic) -> None:
    upload = await clinic.open()
    await clinic.post(upload, {1: TINY})
    answers = await asyncio.gather(*(clinic.complete(upload, {1: TINY}) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert (await clinic.complete(upload, {})).json() == answers[0].json()
    assert [event.type for event in await clinic.events()] == [
        "codetect.upload.opened.v1",
        "codetect.upload.completed.v1",
    ]
    looks = await clinic.sql("SELECT 1 FROM outbox WHERE queue = 'ingest.uploads' AND subject = :id", id=upload["id"])
    assert len(looks) == 1


async def test_a_claim_that_does_not_match_says_what_is_missing(clinic: Clinic) -> None:
    upload = await clinic.open()
    await clinic.post(upload, {1: TINY, 2: TINY, 5: TINY})
    answer = await clinic.complete(upload, dict.fromkeys(range(1, 6), TINY))
    assert (answer.status_code, problem(answer)) == (409, "claim-mismatch")
    assert answer.json()["numbers_missing"] == [3, 4]
    assert (answer.json()["files_found"], answer.json()["bytes_found"]) == (3, 3 * len(TINY))
    assert (await clinic.complete(upload, {1: TINY, 2: TINY + b"x", 5: TINY})).status_code == 409
    await clinic.post(upload, {3: TINY, 4: TINY})
    assert (await clinic.complete(upload, dict.fromkeys(range(1, 6), TINY))).status_code == 202


async def test_nothing_posted_is_no_upload(clinic: Clinic) -> None:
    upload = await clinic.open()
    answer = await clinic.complete(upload, {})
    assert (answer.status_code, problem(answer)) == (422, "upload-empty")
    assert problem(await clinic.complete(upload, {1: TINY})) == "claim-mismatch"


@pytest.mark.parametrize("claim", [{"file_count": 10**6, "total_bytes": 1}, {"file_count": 1, "total_bytes": 2**60}])
async def test_over_the_limit_is_a_clear_problem(clinic: Clinic, claim: dict[str, int]) -> None:
    upload = await clinic.open()
    answer = await clinic.ask("POST", f"/uploads/{upload['id']}/complete", json=claim)
    assert (answer.status_code, problem(answer)) == (413, "upload-too-large")
    assert answer.json()["max_files"] == upload["max_files"]


@pytest.mark.parametrize("body", [{"file_count": -1, "total_bytes": 1}, {}, {"file_count": "many", "total_bytes": 1}])
async def test_a_claim_that_is_none_is_bad_input(clinic: Clinic, body: dict[str, object]) -> None:
    upload = await clinic.open()
    answer = await clinic.ask("POST", f"/uploads/{upload['id']}/complete", json=body)
    assert (answer.status_code, problem(answer)) == (422, "bad-input")


async def test_an_upload_whose_time_ran_out_can_be_renewed_and_then_completed(clinic: Clinic) -> None:
    upload = await clinic.open()
    await clinic.post(upload, {1: TINY})
    await clinic.sql("UPDATE uploads SET expires_at = now() - interval '1 second' WHERE id = :id", id=upload["id"])
    answer = await clinic.complete(upload, {1: TINY})
    assert (answer.status_code, problem(answer)) == (410, "upload-expired")
    renewed = (await clinic.ask("POST", f"/uploads/{upload['id']}/renew")).json()
    assert renewed["key_prefix"] == upload["key_prefix"]
    assert renewed["expires_at"] > upload["expires_at"]
    await clinic.post(renewed, {2: TINY})
    assert (await clinic.complete(upload, {1: TINY, 2: TINY})).status_code == 202


async def test_an_expired_or_completed_upload_cannot_be_renewed(clinic: Clinic) -> None:
    completed, expired = await clinic.submit([TINY]), await clinic.open()
    await clinic.sql("UPDATE uploads SET state = 'expired' WHERE id = :id", id=expired["id"])
    assert problem(await clinic.ask("POST", f"/uploads/{completed['id']}/renew")) == "wrong-state"
    assert problem(await clinic.ask("POST", f"/uploads/{expired['id']}/renew")) == "upload-expired"
    assert problem(await clinic.complete(expired, {1: TINY})) == "upload-expired"


async def test_another_facilitys_upload_does_not_exist(clinic: Clinic) -> None:
    upload = await clinic.open()
    other = clinic.elsewhere()
    for method, path in (("GET", ""), ("POST", "/renew"), ("POST", "/complete")):
        answer = await other.ask(method, f"/uploads/{upload['id']}{path}", json={"file_count": 1, "total_bytes": 1})
        assert (answer.status_code, problem(answer)) == (404, "upload-not-found")
    assert (await clinic.ask("GET", "/uploads/not-an-id")).status_code == 422


async def test_an_idempotency_key_opens_one_upload(clinic: Clinic) -> None:
    async def opened(key: str, **body: str) -> httpx.Response:
        headers = {**clinic.tokens.headers(clinic.facility_id), "Idempotency-Key": key}
        return await clinic.http.post("/api/v1/uploads", json=body, headers=headers)

    mine = clinic.headers
    answers = await asyncio.gather(
        *(clinic.http.post("/api/v1/uploads", json={}, headers=mine | {"Idempotency-Key": "again"}) for _ in range(6))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    urgent = await clinic.http.post(
        "/api/v1/uploads", json={"priority": "urgent"}, headers=mine | {"Idempotency-Key": "again"}
    )
    assert problem(urgent) == "key-reused"
    somebody_else = await opened("again")
    assert somebody_else.json()["id"] != answers[0].json()["id"]


async def test_a_viewer_looks_and_does_not_submit(clinic: Clinic) -> None:
    headers = clinic.tokens.headers(clinic.facility_id, Role.VIEWER)
    upload = await clinic.open()
    assert (await clinic.http.get(f"/api/v1/uploads/{upload['id']}", headers=headers)).status_code == 200
    assert (await clinic.http.post("/api/v1/uploads", json={}, headers=headers)).status_code == 403
    assert (await clinic.http.post("/api/v1/uploads", json={})).status_code == 401


async def test_a_reference_is_sealed_and_told_nowhere(clinic: Clinic) -> None:
    upload = await clinic.open(reference="ward 7, bed 3")
    ((sealed,),) = await clinic.sql("SELECT sealed_reference FROM uploads WHERE id = :id", id=upload["id"])
    assert b"ward" not in sealed
    assert "ward" not in str(await clinic.events())
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        key = await facility_key(session, clinic.facility_id, clinic.ingest.settings.master_key)
    assert key.unseal(sealed, UUID(upload["id"])) == "ward 7, bed 3"


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("DOE^JANE", "a name as DICOM writes it"),
        ("Frau Müller, ward 7", "a person's name"),
        ("born 1950-03-12", "a date"),
        ("MRN 4711", "a patient's number"),
        ("00471108", "a long number"),
        ("jane.doe@clinic.example", "an e-mail address"),
        ("prior 1.2.840.113619.2.55.3", "a DICOM UID"),
        ("call +49 30 1234567", "a telephone number"),
    ],
)
async def test_a_reference_that_plainly_holds_an_identifier_is_refused_in_words_that_do_not_repeat_it(
    clinic: Clinic, reference: str, what: str
) -> None:
    answer = await clinic.ask("POST", "/uploads", json={"reference": reference}, headers={"Idempotency-Key": "mine"})
    assert (answer.status_code, problem(answer)) == (422, "holds-identifier")
    assert answer.json()["detail"] == f"The reference holds what looks like {what}; say it without, nothing was kept."
    assert await clinic.sql("SELECT 1 FROM uploads WHERE facility_id = :f", f=clinic.facility_id) == []
    assert await clinic.events() == []
    again = await clinic.ask("POST", "/uploads", json={"reference": "ward 7"}, headers={"Idempotency-Key": "mine"})
    assert again.status_code == 201


@pytest.mark.parametrize(
    "reference",
    ["trial 12, visit 3", "A-2041/7", "01234567-8901-7234-8567-890123456789", "baseline 2024", "ward 7, bed 3"],
)
async def test_a_reference_of_ones_own_is_taken(clinic: Clinic, reference: str) -> None:
    assert (await clinic.open(reference=reference))["state"] == "open"


@pytest.mark.parametrize(
    "body",
    [{"priority": "now"}, {"models": [""]}, {"models": ["x"] * 17}, {"reference": "x" * 201}, {"reference": "\0"}],
)
async def test_a_request_that_makes_no_sense_is_bad_input(clinic: Clinic, body: dict[str, object]) -> None:
    answer = await clinic.ask("POST", "/uploads", json=body)
    assert (answer.status_code, problem(answer)) == (422, "bad-input")


async def test_files_under_other_names_are_not_counted(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.open()
    await clinic.post(upload, {1: TINY})
    async with httpx.AsyncClient() as store:
        fields = {**upload["post"]["fields"], "key": f"{upload['key_prefix']}../../escape"}
        await store.post(upload["post"]["url"], data=fields, files={"file": ("x", TINY)})
        fields = {**upload["post"]["fields"], "key": f"{upload['key_prefix']}name.dcm"}
        assert (await store.post(upload["post"]["url"], data=fields, files={"file": ("x", TINY)})).is_success
    assert (await clinic.complete(upload, {1: TINY})).status_code == 202
    await hands.run()
    assert (await clinic.show(upload))["state"] == "done"
