import asyncio
from collections.abc import AsyncIterator

import pytest
from codetect_ingest.sweep import sweep
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.lives import change_settings, problem
from tests.ingest.media import multipart
from tests.ingest.samples import ct, written
from tests.ingest.test_importer import bodies, slices
from tests.ingest.test_settings import usage
from tests.ingest.test_stow import store
from tests.ingest.test_sweep import pass_time

TINY = written(ct())
NOTHING = {"bytes": 0, "studies": 0, "jobs": 0}


async def used(clinic: Clinic) -> dict[str, int]:
    return {kind: one["used"] for kind, one in (await usage(clinic)).items()}


async def chunked(body: bytes) -> AsyncIterator[bytes]:
    """The same without a length."""
    yield body


async def test_what_a_request_does_not_announce_counts_when_it_is_there(clinic: Clinic) -> None:
    await change_settings(clinic, quota_bytes=2000)
    body = multipart(bodies(slices(3)))
    assert problem(await store(clinic, body)) == (507, "storage-quota-reached")
    assert problem(await store(clinic, chunked(body))) == (507, "storage-quota-reached")
    assert (await used(clinic), await clinic.keys("studies")) == (NOTHING, [])
    assert await clinic.sql("SELECT 1 FROM uploads WHERE facility_id = :f", f=clinic.facility_id) == []
    await change_settings(clinic, quota_bytes=20_000)
    assert (await store(clinic, chunked(body))).status_code == 200
    kept = await clinic.keys("studies")
    more = multipart(bodies(slices(40)))
    assert problem(await store(clinic, chunked(more))) == (507, "storage-quota-reached")
    assert await clinic.keys("studies") == kept


async def test_several_studies_at_once_are_counted_all(clinic: Clinic, hands: Hands) -> None:
    known = slices(1)
    await change_settings(clinic, quota_studies=3)
    assert (await store(clinic, multipart(bodies(known)))).status_code == 200
    three = [slices(1) for _ in range(3)]
    kept = await clinic.keys("studies")
    assert problem(await store(clinic, multipart(bodies(*three)))) == (507, "study-quota-reached")
    upload = await clinic.submit(bodies(known, *three))
    await hands.run()
    shown = await clinic.show(upload)
    assert (shown["state"], shown["error"]["code"], shown["studies"]) == ("refused", "study_quota_reached", [])
    assert "Erase studies" in shown["error"]["detail"]
    assert await clinic.keys("studies") == kept
    assert await clinic.keys("raw") == []
    assert (await used(clinic))["studies"] == 1
    assert [event.data["code"] for event in await clinic.events("upload.refused")] == ["study_quota_reached"]
    assert (await store(clinic, multipart(bodies(*three[:2])))).status_code == 200
    assert (await used(clinic))["studies"] == 3


async def test_what_was_let_in_is_kept_whatever_the_limit_is_then(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(slices(3)))
    await change_settings(clinic, quota_bytes=1)
    await hands.run()
    assert (await clinic.show(upload))["state"] == "done"


async def test_what_grows_as_it_is_read_counts_as_it_is_kept(clinic: Clinic, hands: Hands) -> None:
    large = ct(256, PixelData=bytes(256 * 256 * 2))
    large.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    small = written(large)
    assert len(small) < 10_000
    await change_settings(clinic, quota_bytes=50_000)
    upload = await clinic.submit([small])
    await hands.run()
    shown = await clinic.show(upload)
    assert (shown["state"], shown["error"]["code"]) == ("refused", "storage_quota_reached")
    assert (await used(clinic), await clinic.keys("studies")) == (NOTHING, [])


@pytest.mark.parametrize("way", ["stow", "complete"])
async def test_of_several_at_once_only_so_many_pass_as_fit(clinic: Clinic, hands: Hands, way: str) -> None:
    await change_settings(clinic, **({"quota_studies": 1} if way == "stow" else {"quota_jobs": 1}))
    if way == "stow":
        answers = await asyncio.gather(*(store(clinic, multipart(bodies(slices(1)))) for _ in range(4)))
        assert sorted(one.status_code for one in answers) == [200, 507, 507, 507]
    else:
        uploads = [await clinic.open() for _ in range(4)]
        for upload in uploads:
            await clinic.post(upload, {1: TINY})
        answers = await asyncio.gather(*(clinic.complete(upload, {1: TINY}) for upload in uploads))
        assert sorted(one.status_code for one in answers) == [202, 429, 429, 429]


async def test_what_there_was_no_room_for_is_removed_when_its_time_is_over(clinic: Clinic, hands: Hands) -> None:
    opened = await clinic.open()
    await clinic.post(opened, {1: TINY})
    await change_settings(clinic, quota_bytes=1)
    assert problem(await clinic.complete(opened, {1: TINY})) == (507, "storage-quota-reached")
    await sweep(clinic.ingest)
    assert (await clinic.show(opened))["state"] == "open"
    await pass_time(clinic, 1)
    await sweep(clinic.ingest)
    assert ((await clinic.show(opened))["state"], await clinic.keys("raw")) == ("expired", [])


async def test_a_full_facility_may_send_again_what_it_has(clinic: Clinic, hands: Hands) -> None:
    series = slices(2)
    upload = await clinic.submit(bodies(series))
    await hands.run()
    again = await clinic.submit(bodies(series))
    await change_settings(clinic, quota_studies=1, quota_bytes=1)
    await hands.run()
    assert [(await clinic.show(one))["state"] for one in (upload, again)] == ["done", "done"]
