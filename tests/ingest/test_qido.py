from typing import Any
from xml.etree import ElementTree

import pytest
from codetect_ingest.dicomweb.narrowing import parts_of
from codetect_ingest.dicomweb.queries import matches

from tests.ingest.conftest import Hands
from tests.ingest.dicomweb import Web, bring, parts, values
from tests.ingest.test_importer import slices

STUDY, SERIES, SOP, PATIENT, DATE = "0020000D", "0020000E", "00080018", "00100020", "00080020"
STUDY_ATTRIBUTES = {
    "00080005", "00080020", "00080030", "00080050", "00080056", "00080061", "00080090", "00081190", "00100010",
    "00100020", "00100030", "00100040", "0020000D", "00200010", "00201206", "00201208",
}  # fmt: skip
SERIES_ATTRIBUTES = {
    "00080005", "00080060", "0008103E", "00081190", "0020000E", "00200011", "00201209", "00400244", "00400245",
    "00400275",
}  # fmt: skip
INSTANCE_ATTRIBUTES = {
    "00080005", "00080016", "00080018", "00080056", "00081190", "00200013", "00280010", "00280011", "00280100",
    "00280008",
}  # fmt: skip


async def three_studies(web: Web, hands: Hands) -> list[dict[str, Any]]:
    """Studies of two patients with 1, 2 and 3 slices, as they are listed: the newest first."""
    for count, patient, date in ((1, "A", "20200115"), (2, "A", "20200220"), (3, "B", "20210301")):
        await bring(web, hands, slices(count, PatientID=f"P{patient}", StudyDate=date))
    return await web.found("/studies")


async def test_a_study_is_described_by_all_that_the_standard_asks_for(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(3))
    (found,) = await web.found("/studies")
    assert found.keys() >= STUDY_ATTRIBUTES
    assert found["00080061"] == {"vr": "CS", "Value": ["CT"]}
    assert found["00201206"] == {"vr": "IS", "Value": [1]}
    assert found["00201208"] == {"vr": "IS", "Value": [3]}
    assert found["00080056"]["Value"] == ["ONLINE"]
    assert found["00081190"] == {"vr": "UR", "Value": [f"{web.url}/dicomweb/studies/{found[STUDY]['Value'][0]}"]}
    assert found["00100010"] == {"vr": "PN"}


async def test_series_and_instances_are_described_likewise_and_with_their_study_where_none_is_named(
    web: Web, hands: Hands
) -> None:
    await bring(web, hands, slices(2, SeriesNumber=7))
    (series,) = await web.found("/series")
    assert series.keys() >= SERIES_ATTRIBUTES | STUDY_ATTRIBUTES - {"00080061"}
    assert (values([series], "00201209"), values([series], "00200011")) == ([2], [7])
    study_uid, series_uid = series[STUDY]["Value"][0], series[SERIES]["Value"][0]
    (below,) = await web.found(f"/studies/{study_uid}/series")
    assert below.keys() >= SERIES_ATTRIBUTES | {STUDY}
    assert "00100010" not in below
    for path in (
        "/instances",
        f"/studies/{study_uid}/instances",
        f"/studies/{study_uid}/series/{series_uid}/instances",
    ):
        found = await web.found(path)
        assert values(found, "00200013") == [1, 2]
        assert all(one.keys() >= INSTANCE_ATTRIBUTES for one in found)
        assert [one["00280010"]["Value"] + one["00280100"]["Value"] for one in found] == [[16, 16]] * 2
        url = found[0]["00081190"]["Value"][0]
        assert (
            url == f"{web.url}/dicomweb/studies/{study_uid}/series/{series_uid}/instances/{found[0][SOP]['Value'][0]}"
        )
        assert (await web.get(url)).status_code == 200
    assert ("00080060" in found[0]) is False
    assert "00080060" in (await web.found("/instances"))[0]


@pytest.mark.parametrize("key", ["StudyInstanceUID", "0020000D", "0020000d"])
@pytest.mark.parametrize("between", [",", "\\"])
async def test_a_list_of_uids_finds_each_of_them(web: Web, hands: Hands, key: str, between: str) -> None:
    uids = values(await three_studies(web, hands), STUDY)
    assert values(await web.found("/studies", **{key: between.join(uids[:2])}), STUDY) == uids[:2]


async def test_keys_find_what_matches_and_nothing_else(web: Web, hands: Hands) -> None:
    studies = await three_studies(web, hands)
    third, second, first = studies
    uids = values(studies, STUDY)
    patient, date = second[PATIENT]["Value"][0], second[DATE]["Value"][0]
    assert first[PATIENT] == second[PATIENT] != third[PATIENT]

    async def found(**query: str) -> list[int]:
        return [uids.index(uid) for uid in values(await web.found("/studies", **query), STUDY)]

    assert await found(PatientID=patient) == [1, 2]
    assert await found(PatientID=f"{patient[:5]}*") == [1, 2]
    assert await found(PatientID=f"?{patient[1:]}") == [1, 2]
    assert await found(PatientID=patient[:-1]) == []
    assert await found(PatientID="%") == []
    dates = values(studies, DATE)
    assert await found(StudyDate=date) == [n for n in range(3) if dates[n] == date]
    assert await found(StudyDate=f"{date}-") == [n for n in range(3) if dates[n] >= date]
    assert await found(StudyDate=f"-{date}", PatientID=patient) == [1, 2]
    assert await found(StudyDate=f"{date}-{date}", PatientID=patient) == [1]
    assert await found(ModalitiesInStudy="CT") == [0, 1, 2]
    assert await found(ModalitiesInStudy="MR\\CT") == [0, 1, 2]
    assert await found(ModalitiesInStudy="MR") == []
    assert await found(PatientName="*") == [0, 1, 2]
    assert await found(PatientName="") == [0, 1, 2]
    for key in ("PatientName", "AccessionNumber", "StudyID", "ReferringPhysicianName"):
        assert await found(**{key: "Mustermann*"}) == [], "pseudonymous studies have none"
    assert await found(StudyTime="10-12") == []


async def test_series_and_instances_are_found_by_their_keys(web: Web, hands: Hands) -> None:
    one, two = slices(2, SeriesNumber=1), slices(3, SeriesNumber=2)
    for ds in two:
        ds.StudyInstanceUID, ds.PatientID = one[0].StudyInstanceUID, one[0].PatientID
    await bring(web, hands, [*one, *two])
    (study,) = values(await web.found("/studies"), STUDY)
    series = {n: s for s, n in ((s, s["00200011"]["Value"][0]) for s in await web.found(f"/studies/{study}/series"))}
    assert values([series[1], series[2]], "00201209") == [2, 3]
    assert values(await web.found("/series", SeriesNumber="2"), SERIES) == values([series[2]], SERIES)
    assert await web.found("/series", SeriesNumber="3") == []
    assert len(await web.found("/series", Modality="C?")) == 2
    assert values(await web.found("/instances", InstanceNumber="3"), SERIES) == values([series[2]], SERIES)
    assert await web.found("/instances", InstanceNumber="99999999999") == []
    assert len(await web.found("/instances", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")) == 5
    assert await web.found("/instances", SOPClassUID="1.2.840.10008.5.1.4.1.1.4") == []
    assert len(await web.found("/instances", SeriesInstanceUID=series[1][SERIES]["Value"][0])) == 2
    uids = values(await web.found("/instances"), SOP)
    assert values(await web.found("/instances", SOPInstanceUID=f"{uids[1]},{uids[4]}"), SOP) == [uids[1], uids[4]]
    assert await web.found(f"/studies/{study}/series/1.2.3/instances") == []


async def test_pages_follow_each_other_and_say_when_there_is_more(web: Web, hands: Hands) -> None:
    uids = values(await three_studies(web, hands), STUDY)
    page = await web.get("/studies", params={"limit": "2"})
    assert values(page.json(), STUDY) == uids[:2]
    assert page.headers["warning"].startswith(f"299 {web.url}/dicomweb ")
    assert "additional results that can be requested" in page.headers["warning"]
    last = await web.get("/studies", params={"limit": "2", "offset": "2"})
    assert values(last.json(), STUDY) == uids[2:]
    assert "warning" not in last.headers
    assert await web.found("/studies", offset="17") == []
    assert await web.found("/studies", limit="0") == []
    everything = await web.call(lambda client: client.search_for_studies(limit=1, get_remaining=True))
    assert values(everything, STUDY) == uids


async def test_more_can_be_told_when_it_is_asked_for(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(1, Manufacturer="MAKER"))
    assert "00080070" not in (await web.found("/series"))[0]
    for field in ("Manufacturer", "00080070", "all", "PatientSex,Manufacturer"):
        assert values(await web.found("/series", includefield=field), "00080070") == ["MAKER"]
    instance = (await web.found("/instances", includefield=["ImagePositionPatient", "PixelSpacing"]))[0]
    assert instance["00200032"] == {"vr": "DS", "Value": [0.0, 0.0, 2.5]}
    assert instance["00280030"]["Value"] == [0.7, 0.7]
    assert "00180050" not in (await web.found("/studies", includefield="SliceThickness"))[0]


async def test_what_is_asked_in_xml_comes_as_the_native_model(web: Web, hands: Hands) -> None:
    uids = values(await three_studies(web, hands), STUDY)
    xml = 'multipart/related; type="application/dicom+xml"'
    found = parts(await web.get("/studies", xml))
    assert {kind for kind, _ in found} == {"application/dicom+xml"}
    name = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
    shown = []
    for _, document in found:
        root = ElementTree.fromstring(document)
        assert root.tag == f"{name}NativeDicomModel"
        (attribute,) = root.findall(f"{name}DicomAttribute[@keyword='StudyInstanceUID']")
        assert (attribute.get("tag"), attribute.get("vr")) == (STUDY, "UI")
        shown.append(attribute.findtext(f"{name}Value"))
    assert shown == uids
    assert (await web.get("/studies", xml, params={"PatientID": "nobody"})).status_code == 204


@pytest.mark.parametrize(
    "query",
    [
        "nothing=x", "PatientNam=x", "0010XX20=x", "limit=-1", "limit=ten", "offset=1.5", "fuzzymatching=maybe",
        "includefield=Nonsense", "StudyDate=2020-01-01", "StudyDate=20201301", "StudyDate=-", "StudyTime=noon",
        "StudyInstanceUID=1.2.abc", f"StudyInstanceUID={'1.' * 40}1", "PatientID=a&PatientID=b", "PatientID=a%00b",
        "PatientID=a&00100020=a", f"PatientName={'x' * 1025}",
    ],
)  # fmt: skip
async def test_a_query_that_is_wrong_is_refused_without_repeating_it(web: Web, query: str) -> None:
    answer = await web.get(f"/studies?{query}")
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert problem["type"] == "urn:codetect:problem:query-invalid"
    assert query.partition("=")[2] not in problem.get("detail", "").split(" ") or query == "StudyDate=-"
    assert (
        await web.get(f"/instances?{query.replace('PatientID=a&PatientID=b', 'InstanceNumber=x')}")
    ).status_code == 400


async def test_what_cannot_be_matched_on_is_said_to_be_ignored(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(1))
    for key in ("KVP", "Modality", "00091001", "RequestAttributesSequence.ScheduledProcedureStepID"):
        answer = await web.get("/studies", params={key: "1"})
        assert (answer.status_code, len(answer.json())) == (200, 1)
        assert "ignored" in answer.headers["warning"]
    fuzzy = await web.get("/studies", params={"fuzzymatching": "true"})
    assert "fuzzymatching" in fuzzy.headers["warning"]


async def test_nothing_else_than_json_and_xml_can_be_had(web: Web) -> None:
    for accept in ("text/html", "image/png", "application/dicom", "application/dicom+json;q=0"):
        answer = await web.get("/studies", accept)
        assert answer.status_code == 406, accept
        assert "application/dicom+json" in answer.json()["available"]
    for accept in ("*/*", "application/json", "text/html, application/dicom+json;q=0.1", "application/*"):
        assert (await web.get("/studies", accept)).headers["content-type"] == "application/dicom+json"
    assert (await web.get("/studies?accept=application/dicom+json", "text/html")).status_code == 200


async def test_another_facility_finds_nothing(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(2))
    (instance,) = (await web.found("/instances", limit="1"),)
    study, series = instance[0][STUDY]["Value"][0], instance[0][SERIES]["Value"][0]
    for other in (web.elsewhere(), web.elsewhere().seeing_identities()):
        for path in ("/studies", "/series", "/instances", f"/studies/{study}/series"):
            assert await other.found(path) == []
        for path in (f"/studies/{study}/instances", f"/studies/{study}/series/{series}/instances"):
            assert await other.found(path) == []
    assert (await web.clinic.http.get("/dicomweb/studies")).status_code == 401


async def test_what_came_by_stow_is_found_before_it_is_assembled(web: Web) -> None:
    (ds,) = slices(1)
    await web.call(lambda client: client.store_instances([ds]))
    assert len(await web.found("/studies")) == 1
    assert len(await web.found("/instances")) == 1


def test_wildcards_match_in_time_that_no_pattern_can_make_long() -> None:
    sound = [("a*c", "abbc"), ("*", ""), ("a*b*c", "aXbYc"), ("*foo*", "xfooy"), ("a?c", "abc"), ("", "")]
    assert all(matches(pattern, text) for pattern, text in sound)
    assert not any(matches(*pair) for pair in [("a?c", "ac"), ("", "a"), ("abc", "ab"), ("a*c", "ab"), ("A", "a")])
    assert not matches("*a" * 60 + "b", "a" * 1000)


def test_a_range_of_dates_is_few_terms_that_are_exactly_it() -> None:
    assert parts_of("20191231", "20210202") == ["20191231", "2020", "202101", "20210201", "20210202"]
    assert parts_of("20200229", "20200229") == ["20200229"]
    assert parts_of("20200231", "20200301") == ["20200301"]
    assert parts_of("20210101", "20200101") == []
    assert len(parts_of("", "")) == 300
