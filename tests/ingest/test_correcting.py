from typing import Any

import pytest
from codetect_ingest.retention import retain
from codetect_shared.tokens import Role
from pydicom.dataset import Dataset

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.dicomweb import Web, parsed, parts
from tests.ingest.lives import actions, asking, change_settings
from tests.ingest.media import multipart
from tests.ingest.test_importer import bodies, slices
from tests.ingest.test_kept import scout_of
from tests.ingest.test_stow import store

WRONG = {
    "PatientName": "CANARY^Wrong",
    "AccessionNumber": "ACC-1",
    "SeriesDescription": "Neck",
    "StudyDate": "20200301",
}
RIGHT = {
    "PatientName": "CANARY^Right",
    "AccessionNumber": "ACC-2",
    "SeriesDescription": "Lung",
    "StudyDate": "20200302",
}


def corrected(series: list[Dataset], **changes: Any) -> list[Dataset]:
    """The same instances, called otherwise."""
    for ds in series:
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
    return series


async def send(clinic: Clinic, hands: Hands, way: str, *series: list[Dataset]) -> None:
    if way == "stow":
        answer = await store(clinic, multipart(bodies(*series)))
        assert answer.status_code == 200, answer.text
    else:
        upload = await clinic.submit(bodies(*series))
        await hands.run()
        assert {file["state"] for file in (await clinic.show(upload))["files"]} <= {"accepted", "kept"}


async def named(web: Web) -> list[tuple[str, str, str]]:
    """What studies are called, with the description of their series."""
    found = await web.seeing_identities().found("/series", includefield="all")
    return sorted(
        (one["00100010"]["Value"][0]["Alphabetic"], one["00080050"]["Value"][0], one["0008103E"]["Value"][0])
        for one in found
    )


async def corrections(clinic: Clinic) -> int:
    return [action for action, _ in await actions(clinic)].count("identity.correct")


@pytest.mark.parametrize("way", ["stow", "upload"])
async def test_what_is_sent_again_under_another_name_goes_by_that(web: Web, hands: Hands, way: str) -> None:
    clinic, seeing = web.clinic, web.seeing_identities()
    series = slices(2, **WRONG)
    await send(clinic, hands, way, series)
    for _ in range(2):
        await send(clinic, hands, way, corrected(series, **RIGHT))
    assert await named(web) == [("CANARY^Right", "ACC-2", "Lung")]
    for right, wrong in (("PatientName", "CANARY^Wrong"), ("AccessionNumber", "ACC-1"), ("StudyDate", "20200301")):
        assert len(await seeing.found("/studies", **{right: RIGHT[right]})) == 1
        assert await seeing.found("/studies", **{right: wrong}) == []
    for _, data in parts(await seeing.get(f"/studies/{series[0].StudyInstanceUID}")):
        assert str(parsed(data).PatientName) == "CANARY^Right"
    doctor = asking(clinic, Role.MEMBER, "identity")
    found = await clinic.ask("POST", "/studies/find", json={"accession_number": "ACC-2"}, headers=doctor)
    (study_id,) = found.json()["study_ids"]
    shown = (await clinic.ask("GET", f"/studies/{study_id}/identity", headers=doctor)).json()
    assert shown["patient_name"] == "CANARY^Right"
    (plain,) = await web.found("/studies")
    (_, data), *_ = parts(await web.get(f"/studies/{plain['0020000D']['Value'][0]}"))
    assert plain["00080020"]["Value"] == [parsed(data).StudyDate]
    assert await corrections(clinic) == 1, "sent once more it changes nothing"


@pytest.mark.parametrize("way", ["stow", "upload"])
async def test_only_what_replaces_an_instance_corrects_and_never_another_patients(
    web: Web, hands: Hands, way: str
) -> None:
    first = slices(2, **WRONG)
    await send(web.clinic, hands, way, first)
    known = {keyword: first[0][keyword].value for keyword in ("StudyInstanceUID", "PatientID")}
    await send(web.clinic, hands, way, slices(1, **known, **RIGHT))
    assert await named(web) == [("CANARY^Wrong", "ACC-1", "Lung"), ("CANARY^Wrong", "ACC-1", "Neck")]
    await send(web.clinic, hands, way, corrected(first[:1], **RIGHT), first[1:])
    assert ("CANARY^Wrong", "ACC-1", "Neck") in await named(web), "one of both says what it is called already"
    other = corrected(first, **RIGHT, PatientID="another")
    assert (await store(web.clinic, multipart(bodies(other)))).status_code == 409
    assert ("CANARY^Wrong", "ACC-1", "Neck") in await named(web)
    assert await corrections(web.clinic) == 0


@pytest.mark.parametrize("way", ["stow", "upload"])
async def test_files_that_never_agreed_change_nothing_when_they_are_sent_again(
    web: Web, hands: Hands, way: str
) -> None:
    await change_settings(web.clinic, others="keep")
    series = slices(2, **WRONG)
    scout = scout_of(series)
    corrected([scout], **WRONG | {"PatientName": "CANARY^Wrong-Married"})
    await send(web.clinic, hands, way, series, [scout])
    before = await named(web)
    for _ in range(2):
        await send(web.clinic, hands, way, series, [scout])
    assert await named(web) == before
    assert await corrections(web.clinic) == 0
    await send(web.clinic, hands, way, corrected([scout], **RIGHT))
    assert {name for name, *_ in await named(web)} == {"CANARY^Right"}, "of what is kept whole, the last counts too"


async def test_while_the_facility_forgets_nothing_is_sealed_anew(web: Web, hands: Hands) -> None:
    series = slices(1, **WRONG)
    await send(web.clinic, hands, "stow", series)
    await change_settings(web.clinic, profile="forget")
    await send(web.clinic, hands, "stow", corrected(series, **RIGHT))
    await change_settings(web.clinic, profile="seal")
    assert await named(web) == [("CANARY^Wrong", "ACC-1", "Neck")]
    await change_settings(web.clinic, profile="forget")
    await web.clinic.ask("POST", "/ingest/forget", headers=asking(web.clinic))
    await retain(web.clinic.ingest)
    assert await web.clinic.sql("SELECT 1 FROM study_terms WHERE facility_id = :f", f=web.clinic.facility_id) == []
