import asyncio
import time
from typing import Any

import httpx
import pytest
from codetect_ingest.quota import check_quota
from codetect_ingest.retention import retain
from codetect_shared.tokens import Role

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.lives import actions, asking, change_settings, keep_study, problem
from tests.ingest.samples import ct, written
from tests.ingest.test_importer import bodies, slices

TINY = written(ct())
DEFAULTS = {
    "profile": "seal",
    "others": "refuse",
    "quiet_s": 30,
    "retention_days": None,
    "quota_bytes": None,
    "quota_studies": None,
    "quota_jobs": None,
    "forgetting": False,
}


async def usage(clinic: Clinic) -> dict[str, Any]:
    return dict((await clinic.ask("GET", "/ingest/usage")).json())


async def test_members_read_the_settings_and_admins_change_them(clinic: Clinic) -> None:
    assert (await clinic.ask("GET", "/ingest/settings")).json() == DEFAULTS
    assert (await clinic.ask("PATCH", "/ingest/settings", json={"quiet_s": 5})).status_code == 403
    changed = await change_settings(clinic, quiet_s=5, retention_days=90)
    assert changed.json() == DEFAULTS | {"quiet_s": 5, "retention_days": 90}
    changed = await change_settings(clinic, retention_days=None)
    assert changed.json() == DEFAULTS | {"quiet_s": 5}
    assert (await clinic.ask("GET", "/ingest/settings")).json() == changed.json()
    assert (await clinic.elsewhere().ask("GET", "/ingest/settings")).json() == DEFAULTS
    assert [action for action, _ in await actions(clinic)] == ["settings.change"] * 2
    details = await clinic.sql(
        "SELECT detail FROM audit WHERE facility_id = :f AND action = 'settings.change' ORDER BY sequence",
        f=clinic.facility_id,
    )
    assert [row.detail for row in details] == [
        {"quiet_s": [30, 5], "retention_days": [None, 90]},
        {"retention_days": [90, None]},
    ]


async def test_nothing_changed_is_nothing_audited(clinic: Clinic) -> None:
    await change_settings(clinic, profile="seal")
    assert await actions(clinic) == []


async def test_changes_at_once_lose_nothing(clinic: Clinic) -> None:
    await asyncio.gather(change_settings(clinic, quiet_s=7), change_settings(clinic, retention_days=7))
    shown = (await clinic.ask("GET", "/ingest/settings")).json()
    assert (shown["quiet_s"], shown["retention_days"]) == (7, 7)


@pytest.mark.parametrize(
    "body",
    [
        {"profile": "hide"},
        {"profile": None},
        {"quiet_s": 0},
        {"retention_days": 0},
        {"quota_bytes": -1},
        {"quota_studies": 2**31},
        {"unknown": 1},
    ],
)
async def test_a_setting_that_makes_no_sense_is_bad_input(clinic: Clinic, body: dict[str, Any]) -> None:
    assert problem(await change_settings(clinic, **body)) == (422, "bad-input")


async def test_forgetting_takes_every_identity_and_leaves_the_images(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    doctor = asking(clinic, Role.MEMBER, "identity")
    assert problem(await clinic.ask("POST", "/ingest/forget", headers=asking(clinic))) == (409, "not-forgetful")
    await change_settings(clinic, profile="forget")
    assert problem(await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)) == (
        410,
        "identity-forgotten",
    )
    await change_settings(clinic, profile="seal")
    assert (await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)).is_success
    await change_settings(clinic, profile="forget")
    await retain(clinic.ingest)
    assert await sealed(clinic) == [2, 1, 1, 0 + len(await terms(clinic))]
    assert (await clinic.ask("POST", "/ingest/forget")).status_code == 403
    asked = await clinic.ask("POST", "/ingest/forget", headers=asking(clinic))
    assert (asked.status_code, asked.json()["forgetting"]) == (202, True)
    await retain(clinic.ingest)
    assert await sealed(clinic) == [0, 0, 0, 0]
    assert (await clinic.ask("GET", "/ingest/settings")).json()["forgetting"] is False
    assert (await clinic.ask("GET", f"/studies/{study_id}")).json()["instances"] == 2
    await change_settings(clinic, profile="seal")
    assert problem(await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor))[0] == 410
    assert "identities.forget" in {action for action, _ in await actions(clinic)}


async def test_a_held_study_is_forgotten_when_the_hold_is_lifted(clinic: Clinic, hands: Hands) -> None:
    held, _ = await keep_study(clinic, hands)
    await keep_study(clinic, hands)
    put = await clinic.ask("PUT", f"/studies/{held}/legal-hold", headers=asking(clinic))
    assert put.is_success, put.text
    await change_settings(clinic, profile="forget")
    await clinic.ask("POST", "/ingest/forget", headers=asking(clinic))
    await retain(clinic.ingest)
    assert (await sealed(clinic))[:3] == [2, 1, 1]
    assert await clinic.sql(
        "SELECT DISTINCT study_id::text FROM study_terms WHERE facility_id = :f", f=clinic.facility_id
    ) == [(held,)]
    assert (await clinic.ask("GET", "/ingest/settings")).json()["forgetting"] is True
    await clinic.ask("DELETE", f"/studies/{held}/legal-hold", headers=asking(clinic))
    await retain(clinic.ingest)
    assert await sealed(clinic) == [0, 0, 0, 0]
    assert (await clinic.ask("GET", "/ingest/settings")).json()["forgetting"] is False


async def terms(clinic: Clinic) -> list[Any]:
    return await clinic.sql("SELECT term FROM study_terms WHERE facility_id = :f", f=clinic.facility_id)


async def sealed(clinic: Clinic) -> list[int]:
    """How many identities are sealed: instances, series, studies; and the terms to find them by."""
    counts = []
    for table in ("instances", "series", "studies"):
        ((count,),) = await clinic.sql(
            f"SELECT count(sealed_identity) FROM {table} WHERE facility_id = :f", f=clinic.facility_id
        )
        counts.append(count)
    return [*counts, len(await terms(clinic))]


async def test_what_a_late_importer_seals_is_forgotten_too(clinic: Clinic, hands: Hands) -> None:
    await change_settings(clinic, profile="forget")
    await clinic.ask("POST", "/ingest/forget", headers=asking(clinic))
    await clinic.sql("UPDATE facility_settings SET profile = 'seal' WHERE facility_id = :f", f=clinic.facility_id)
    await keep_study(clinic, hands)
    await clinic.sql("UPDATE facility_settings SET profile = 'forget' WHERE facility_id = :f", f=clinic.facility_id)
    assert (await sealed(clinic))[0] == 2
    await retain(clinic.ingest)
    assert await sealed(clinic) == [0, 0, 0, 0]


async def test_usage_counts_what_is_kept_as_it_comes_and_goes(clinic: Clinic, hands: Hands) -> None:
    assert await usage(clinic) == {kind: {"used": 0, "quota": None} for kind in ("bytes", "studies", "jobs")}
    waiting = await clinic.submit(bodies(slices(1)))
    size = sum(map(len, bodies(slices(1))))
    now = await usage(clinic)
    assert (now["jobs"]["used"], now["studies"]["used"]) == (1, 0)
    assert abs(now["bytes"]["used"] - size) < 20
    await hands.run()
    assert (await clinic.show(waiting))["state"] == "done"
    study_id, _ = await keep_study(clinic, hands, count=3)
    now = await usage(clinic)
    ((kept,),) = await clinic.sql("SELECT sum(length) FROM instances WHERE facility_id = :f", f=clinic.facility_id)
    assert now == {
        "bytes": {"used": kept, "quota": None},
        "studies": {"used": 2, "quota": None},
        "jobs": {"used": 0, "quota": None},
    }
    await clinic.ask("DELETE", f"/studies/{study_id}")
    ((kept,),) = await clinic.sql("SELECT sum(length) FROM instances WHERE facility_id = :f", f=clinic.facility_id)
    now = await usage(clinic)
    assert (now["bytes"]["used"], now["studies"]["used"]) == (kept, 1)


async def test_two_imports_at_once_are_counted_both(clinic: Clinic, hands: Hands) -> None:
    for _ in range(2):
        await clinic.submit(bodies(slices(2), slices(2)))
    jobs = [await hands.take(), await hands.take()]
    await asyncio.gather(*(hands.importer.run(job) for job in jobs))
    ((kept, studies),) = await clinic.sql(
        "SELECT sum(stored_bytes), count(*) FROM studies WHERE facility_id = :f", f=clinic.facility_id
    )
    now = await usage(clinic)
    assert (now["bytes"]["used"], now["studies"]["used"]) == (kept, studies)
    assert studies == 4


@pytest.mark.parametrize(
    ("quota", "status", "kind", "advice"),
    [
        ("quota_bytes", 507, "storage-quota-reached", "Erase studies"),
        ("quota_studies", 507, "study-quota-reached", "Erase studies"),
        ("quota_jobs", 429, "too-many-jobs", "Try again"),
    ],
)
async def test_over_a_quota_nothing_more_is_taken_and_it_says_what_to_do(
    clinic: Clinic, hands: Hands, quota: str, status: int, kind: str, advice: str
) -> None:
    await keep_study(clinic, hands)
    opened = await clinic.open()
    await clinic.post(opened, {1: TINY})
    waiting = await clinic.submit([TINY])
    await change_settings(clinic, **{quota: 1})

    def refused(answer: httpx.Response) -> None:
        assert problem(answer) == (status, kind)
        assert advice in answer.json()["detail"]
        assert ("retry-after" in answer.headers) == (status == 429)

    refused(await clinic.ask("POST", "/uploads", json={}))
    refused(await clinic.complete(opened, {1: TINY}))
    assert (await clinic.complete(waiting, {1: TINY})).status_code == 202  # asked again, the answer is the same
    stored = await clinic.http.post(
        "/dicomweb/studies", content=TINY, headers=clinic.headers | {"Content-Type": "application/dicom"}
    )
    refused(stored)
    await change_settings(clinic, **{quota: None})
    assert (await clinic.complete(opened, {1: TINY})).status_code == 202
    assert (await clinic.elsewhere().ask("POST", "/uploads", json={})).status_code == 201


async def test_what_would_come_counts_before_it_is_there(clinic: Clinic) -> None:
    opened = await clinic.open()
    await clinic.post(opened, {1: TINY})
    await change_settings(clinic, quota_bytes=len(TINY) - 1)
    assert problem(await clinic.complete(opened, {1: TINY})) == (507, "storage-quota-reached")
    await change_settings(clinic, quota_bytes=len(TINY))
    assert (await clinic.complete(opened, {1: TINY})).status_code == 202


async def test_the_platforms_limit_holds_where_the_facilitys_is_higher(clinic: Clinic, hands: Hands) -> None:
    await keep_study(clinic, hands)
    await change_settings(clinic, quota_studies=10)
    ours = clinic.ingest.settings.model_copy(update={"quota_studies": 1})
    async with clinic.ingest.db.facility(clinic.facility_id) as session:
        await check_quota(session, clinic.ingest.settings, clinic.facility_id)
        with pytest.raises(Exception, match="1 of 1 studies"):
            await check_quota(session, ours, clinic.facility_id)


async def test_asking_costs_the_same_however_much_is_kept(clinic: Clinic) -> None:
    async def cost(facility: Clinic) -> float:
        took = []
        async with facility.ingest.db.facility(facility.facility_id) as session:
            for _ in range(30):
                session.expunge_all()
                started = time.perf_counter()
                await check_quota(session, facility.ingest.settings, facility.facility_id)
                took.append(time.perf_counter() - started)
        return min(took)

    await clinic.sql(
        "INSERT INTO studies (id, facility_id, study_instance_uid, patient_id, version, created_at, updated_at,"
        " instances, stored_bytes) SELECT gen_random_uuid(), CAST(:f AS uuid), 'u' || n, 'p', 1, now(), now(), 100,"
        " 1000 FROM generate_series(1, 20000) n",
        f=str(clinic.facility_id),
    )
    try:
        assert (await usage(clinic))["bytes"]["used"] == 20_000_000
        assert await cost(clinic) < 3 * await cost(clinic.elsewhere())
    finally:
        await clinic.sql("DELETE FROM studies WHERE facility_id = :f", f=clinic.facility_id)
