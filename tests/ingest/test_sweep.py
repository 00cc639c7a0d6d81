import pytest
from codetect_ingest.importer import IMPORT_FAILED
from codetect_ingest.sweep import sweep

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.samples import ct, written

TINY = written(ct())


async def pass_time(clinic: Clinic, hours: int) -> None:
    """For this clinic's uploads: of all tests' together more would be due than one sweep takes."""
    earlier = f"UPDATE uploads SET expires_at = expires_at - interval '{hours} hours' WHERE facility_id = :f"  # noqa: S608
    await clinic.sql(earlier, f=clinic.facility_id)


async def test_an_upload_that_nobody_completes_expires_and_its_files_go(clinic: Clinic) -> None:
    upload = await clinic.open()
    await clinic.post(upload, {1: TINY})
    await pass_time(clinic, 2)
    await sweep(clinic.ingest)
    assert (await clinic.show(upload))["state"] == "open"
    await pass_time(clinic, 24)
    await sweep(clinic.ingest)
    assert (await clinic.show(upload))["state"] == "expired"
    assert await clinic.keys("raw") == []
    await sweep(clinic.ingest)
    assert len(await clinic.events("upload.expired")) == 1


async def test_what_is_posted_late_is_swept_once_nothing_more_can_be_posted(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit([TINY])
    await hands.run()
    opened = await clinic.open()
    late = opened | {"key_prefix": opened["key_prefix"]}
    await clinic.ingest.storage.put("raw", f"{clinic.facility_id}/{upload['id']}/000009", b"late")
    await sweep(clinic.ingest)
    assert len(await clinic.keys("raw")) == 1
    await pass_time(clinic, 1)
    await sweep(clinic.ingest)
    assert await clinic.keys("raw") == []
    assert late["state"] == "open"


@pytest.mark.parametrize(("code", "kept"), [(IMPORT_FAILED, 1), ("not_dicom", 0)])
async def test_the_originals_of_a_failed_import_stay_for_the_operator(clinic: Clinic, code: str, kept: int) -> None:
    upload = await clinic.submit([TINY])
    await clinic.sql("UPDATE uploads SET state = 'refused', error_code = :c WHERE id = :id", c=code, id=upload["id"])
    await pass_time(clinic, 1)
    await sweep(clinic.ingest)
    assert len(await clinic.keys("raw")) == kept


async def test_uploads_at_work_are_left_alone(clinic: Clinic) -> None:
    upload = await clinic.submit([TINY])
    await pass_time(clinic, 48)
    await sweep(clinic.ingest)
    assert (await clinic.show(upload))["state"] == "importing"
    assert len(await clinic.keys("raw")) == 1
