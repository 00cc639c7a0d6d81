"""The API: who may do what, lists that lose nothing, pictures that fit, bundles that are refused in words."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pydicom
import pytest
from codetect_inference.engines import Engines
from codetect_inference.failures import SENTENCES
from codetect_inference.models import ANALYSES, Model
from codetect_inference.settings import WorkerSettings
from codetect_inference.signature import SIGNATURE
from codetect_inference.worker import Analyser
from codetect_shared.db import uuid7
from codetect_shared.testing import claimed
from codetect_shared.tokens import Role, Scope
from sqlalchemy import text, update
from sqlalchemy.exc import ProgrammingError

from tests.inference.conftest import Facility, House, lung, read, series
from tests.inference.samples import bundle_files, open_png, sha256, tiny_model, unrunnable, zipped
from tests.signing import made, signed


@pytest.fixture
async def result(tiny: str, facility: Facility, house: House, tmp_path: Path) -> dict[str, Any]:
    """A completed analysis of four slices, as the API shows it."""
    event = await facility.receive(await facility.store(lung(4)))
    job = await claimed(ANALYSES, house.db)
    settings = WorkerSettings(model_cache=tmp_path, provider="cpu")
    engines = Engines(house.db, house.storage, settings)
    await Analyser(house.db, house.storage, engines, settings).run(job)
    engines.close()
    (found,) = (await facility.ask("GET", "/analyses", params={"study_id": str(event.study_id)})).json()["items"]
    assert found["status"] == "completed"
    return found


async def test_an_analysis_has_the_shape_others_rely_on(result: dict[str, Any], facility: Facility) -> None:
    one = (await facility.ask("GET", f"/analyses/{result['id']}")).json()
    assert one == result
    assert set(one) == {
        *("id", "study_id", "study_version", "upload_id", "series_id", "series_reason", "status", "priority", "model"),
        *("created_at", "started_at", "finished_at", "attempts", "slices_total", "slices_done", "slices_analysed"),
        *(
            "findings",
            "warnings",
            "top_slices",
            "top_scores",
            "out_of_distribution",
            "provider",
            "timings",
            "cost",
            "error",
        ),
        *("documents", "superseded", "tags", "folder", "disclaimer", "error"),
    }
    assert one["disclaimer"] == "Not a medical device. Not for clinical use."
    assert set(one["model"]) == {"name", "version", "sha256", "title", "preprocessing"}
    assert set(one["findings"][0]) == {"label", "probability", "threshold", "positive", "peak"}
    assert set(one["findings"][0]["peak"]) == {"slice", "column", "row", "position_mm"}
    assert [score["slice"] for score in one["top_scores"]] == one["top_slices"]
    assert [document["kind"] for document in one["documents"]] == ["sr", "sc", "sc", "sc", "sc", "pm"]
    assert set(one["documents"][0]) == {
        *("kind", "series_instance_uid", "sop_instance_uid", "sop_class_uid", "bytes", "sha256"),
    }
    assert (one["timings"]["upload_ms"], one["timings"]["import_ms"]) == (1200, 800)
    assert all(isinstance(value, int) for value in one["timings"].values())
    assert one["created_at"].endswith("Z")


async def test_slices_say_where_they_are_and_what_the_model_saw(result: dict[str, Any], facility: Facility) -> None:
    slices = (await facility.ask("GET", f"/analyses/{result['id']}/slices")).json()["items"]
    assert [one["n"] for one in slices] == [0, 1, 2, 3]
    assert slices[2]["position_mm"] == [0, 0, 5]
    assert slices[2]["sop_instance_uid"] == "2.25.3"
    assert all(one["analysed"] and 0 <= one["probabilities"]["grey"] <= 1 for one in slices)
    by_number = {one["n"]: one for one in slices}
    peak = result["findings"][0]["peak"]
    assert by_number[peak["slice"]]["peaks"]["grey"] == peak
    x, y, z = peak["position_mm"]
    assert (x, y, z) == (
        pytest.approx(0.8 * peak["column"], abs=0.01),
        pytest.approx(0.7 * peak["row"], abs=0.01),
        2.5 * peak["slice"],
    )
    for score in result["top_scores"]:
        assert score["probabilities"] == pytest.approx(by_number[score["slice"]]["probabilities"])


async def test_pictures_are_the_slices_own_size_and_window(result: dict[str, Any], facility: Facility) -> None:
    path = f"/analyses/{result['id']}/slices"
    answer = await facility.ask("GET", f"{path}/1/image.png")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert "private" in answer.headers["cache-control"]
    hu = read(lung(4))[1]
    grey = np.clip((hu.astype(np.float32) + 1350) / 1500, 0, 1) * 255
    assert np.abs(open_png(answer.content) - grey).max() <= 1
    narrow = await facility.ask("GET", f"{path}/1/image.png", params={"level": 40, "width": 400})
    assert (open_png(narrow.content) != open_png(answer.content)).any()
    heat = await facility.ask("GET", f"{path}/1/heatmap.png")
    assert open_png(heat.content).shape == (*hu.shape, 4)
    named = await facility.ask("GET", f"{path}/1/heatmap.png", params={"label": "grey"})
    assert named.content == heat.content


async def test_a_viewer_gets_the_values_themselves(result: dict[str, Any], facility: Facility) -> None:
    path = f"/analyses/{result['id']}/slices"
    told = (await facility.ask("GET", path)).json()
    hu = read(lung(4))
    assert (told["rows"], told["columns"]) == hu[0].shape
    assert (told["pixel_spacing_mm"], told["orientation"]) == ([0.7, 0.8], [1, 0, 0, 0, 1, 0])
    sizes = {}
    for encoding in ("gzip, br", "identity", "br, gzip;q=0"):
        for n in range(4):
            headers = facility.house.tokens.headers(facility.id, Role.VIEWER) | {"Accept-Encoding": encoding}
            answer = await facility.house.client.get(f"/api/v1{path}/{n}/pixels", headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "application/octet-stream")
            assert "private" in answer.headers["cache-control"]
            np.testing.assert_array_equal(np.frombuffer(answer.content, "<i2").reshape(hu[n].shape), hu[n])
        sizes[encoding] = int(answer.headers["content-length"])
        assert answer.headers["vary"] == "Accept-Encoding"
    assert sizes["gzip, br"] < 0.7 * sizes["identity"] == 0.7 * hu[0].size * 2
    assert sizes["br, gzip;q=0"] == sizes["identity"]


async def test_images_that_are_no_longer_stored_have_no_values(
    result: dict[str, Any], facility: Facility, house: House
) -> None:
    (analysis,) = await facility.analyses(UUID(result["study_id"]))
    assert analysis.series
    await house.storage.remove("studies", [analysis.series["volume_key"]])
    answer = await facility.ask("GET", f"/analyses/{analysis.id}/slices/0/pixels")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:slice-not-found")
    assert "no longer stored" in answer.json()["detail"]


async def test_a_study_without_a_series_to_read_has_no_values(clear: None, facility: Facility) -> None:
    assert (await facility.register(bundle_files())).status_code == 201
    event = await facility.receive(series(plane="coronal"))
    (analysis,) = await facility.analyses(event.study_id)
    assert (analysis.status, analysis.error_code) == ("failed", "no_usable_series")
    for what in ("/slices", "/slices/0/pixels"):
        answer = await facility.ask("GET", f"/analyses/{analysis.id}{what}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:slice-not-found")
        assert "No series was chosen" in answer.json()["detail"]


async def test_a_heatmap_can_come_on_its_slice(result: dict[str, Any], facility: Facility) -> None:
    path = f"/analyses/{result['id']}/slices/1"
    for window in ({}, {"level": 40, "width": 400}):
        answer = await facility.ask("GET", f"{path}/heatmap.png", params={"on_slice": "true", **window})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        grey = open_png((await facility.ask("GET", f"{path}/image.png", params=window)).content).astype(float)
        heat = open_png((await facility.ask("GET", f"{path}/heatmap.png")).content).astype(float)
        share = heat[..., 3:] / 255
        np.testing.assert_allclose(
            open_png(answer.content), heat[..., :3] * share + grey[..., None] * (1 - share), atol=2
        )
        assert share.max() > 0.1


async def test_every_document_can_be_fetched(result: dict[str, Any], facility: Facility, house: House) -> None:
    path = f"/analyses/{result['id']}"
    for n, told in enumerate(result["documents"]):
        answer = await facility.ask("GET", f"{path}/documents/{n}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom")
        assert (sha256(answer.content), len(answer.content)) == (told["sha256"], told["bytes"])
        ds = pydicom.dcmread(io.BytesIO(answer.content))
        assert (ds.SOPInstanceUID, ds.SeriesInstanceUID) == (told["sop_instance_uid"], told["series_instance_uid"])
    for n in (-1, 6):
        answer = await facility.ask("GET", f"{path}/documents/{n}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:report-not-found")


async def test_the_report_comes_as_pdf_and_as_fhir(result: dict[str, Any], facility: Facility) -> None:
    path = f"/analyses/{result['id']}"
    answer = await facility.ask("GET", f"{path}/report.pdf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert f"codetect-{result['id']}.pdf" in answer.headers["content-disposition"]
    assert answer.content.startswith(b"%PDF-1")
    assert (await facility.ask("GET", f"{path}/report.pdf")).content == answer.content
    answer = await facility.ask("GET", f"{path}/report.fhir.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+json")
    report = answer.json()
    assert (report["resourceType"], report["id"], report["status"]) == ("DiagnosticReport", result["id"], "preliminary")
    assert report["subject"]["identifier"]["value"] == "CD0123456789"


@pytest.mark.parametrize("what", ["report.dcm", "report.pdf", "report.fhir.json", "documents/0"])
async def test_before_the_result_there_is_no_paper(tiny: str, facility: Facility, what: str) -> None:
    event = await facility.receive(await facility.store(lung(2)), study_id=uuid7())
    (analysis,) = await facility.analyses(event.study_id)
    answer = await facility.ask("GET", f"/analyses/{analysis.id}/{what}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:report-not-found")
    assert "queued" in answer.json()["detail"]


async def test_without_a_series_there_is_no_paper(tiny: str, facility: Facility) -> None:
    event = await facility.receive(series(plane="coronal"))
    (analysis,) = await facility.analyses(event.study_id)
    for what in ("report.dcm", "report.pdf", "report.fhir.json", "documents/0"):
        answer = await facility.ask("GET", f"/analyses/{analysis.id}/{what}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:report-not-found")


async def test_papers_of_a_result_whose_images_are_gone_say_so(
    result: dict[str, Any], facility: Facility, house: House
) -> None:
    (analysis,) = await facility.analyses(UUID(result["study_id"]))
    assert analysis.series
    await house.storage.remove("studies", [analysis.series["manifest_key"]])
    for what in ("report.pdf", "report.fhir.json"):
        answer = await facility.ask("GET", f"/analyses/{analysis.id}/{what}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:slice-not-found")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("4/image.png", "slice-not-found"),
        ("-1/image.png", "slice-not-found"),
        ("4/pixels", "slice-not-found"),
        ("-1/pixels", "slice-not-found"),
        ("99/heatmap.png", "slice-not-found"),
        ("1/heatmap.png?label=other", "heatmap-not-found"),
    ],
)
async def test_what_cannot_be_drawn_is_said(result: dict[str, Any], facility: Facility, path: str, kind: str) -> None:
    answer = await facility.ask("GET", f"/analyses/{result['id']}/slices/{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, f"urn:codetect:problem:{kind}")


async def test_before_the_result_there_are_slices_but_no_heatmaps(tiny: str, facility: Facility) -> None:
    event = await facility.receive(await facility.store(lung(2)))
    (analysis,) = await facility.analyses(event.study_id)
    slices = (await facility.ask("GET", f"/analyses/{analysis.id}/slices")).json()["items"]
    assert [(one["analysed"], one["probabilities"]) for one in slices] == [(False, {})] * 2
    for what in ("image.png", "pixels"):
        assert (await facility.ask("GET", f"/analyses/{analysis.id}/slices/0/{what}")).status_code == 200
    answer = await facility.ask("GET", f"/analyses/{analysis.id}/slices/0/heatmap.png")
    assert (answer.status_code, answer.json()["detail"]) == (404, "The analysis is queued: it has no result.")


async def test_the_report_is_dicom_as_it_was_told(result: dict[str, Any], facility: Facility, house: House) -> None:
    answer = await facility.ask("GET", f"/analyses/{result['id']}/report.dcm")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom")
    (told,) = (data["documents"][0] for what, data in await house.told(result["id"]) if what == "completed")
    assert (told["kind"], sha256(answer.content)) == ("sr", told["sha256"])
    ds = pydicom.dcmread(io.BytesIO(answer.content))
    assert (ds.Modality, ds.SOPInstanceUID, ds.PatientID) == ("SR", told["sop_instance_uid"], "CD0123456789")
    await house.storage.remove("results", [told["key"]])
    gone = await facility.ask("GET", f"/analyses/{result['id']}/report.dcm")
    assert (gone.status_code, gone.json()["type"]) == (404, "urn:codetect:problem:report-not-found")


async def test_without_a_result_there_is_no_report(tiny: str, facility: Facility) -> None:
    event = await facility.receive(series())
    (analysis,) = await facility.analyses(event.study_id)
    answer = await facility.ask("GET", f"/analyses/{analysis.id}/report.dcm")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:report-not-found")
    assert "queued" in answer.json()["detail"]


async def test_nothing_of_a_facility_is_there_for_another(result: dict[str, Any], other: Facility) -> None:
    path = f"/analyses/{result['id']}"
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", path, {}),
        ("PATCH", path, {"json": {"tags": ["mine"]}}),
        ("DELETE", path, {}),
        ("POST", f"{path}/rerun", {}),
        ("POST", f"{path}/cancel", {}),
        ("GET", f"{path}/slices", {}),
        ("GET", f"{path}/slices/0/image.png", {}),
        ("GET", f"{path}/slices/0/pixels", {}),
        ("GET", f"{path}/slices/0/heatmap.png", {}),
        ("GET", f"{path}/report.dcm", {}),
        ("GET", f"{path}/report.pdf", {}),
        ("GET", f"{path}/report.fhir.json", {}),
        ("GET", f"{path}/documents/0", {}),
        ("POST", "/analyses", {"json": {"study_id": result["study_id"], "model": "tiny"}}),
    ]
    for method, where, rest in requests:
        answer = await other.ask(method, where, **rest)
        assert answer.status_code == 404, (method, where)
    for filters in ({}, {"study_id": result["study_id"]}, {"q": result["id"]}):
        assert (await other.ask("GET", "/analyses", params=filters)).json() == {"items": [], "next": None}


async def test_who_may_only_look_changes_nothing(result: dict[str, Any], facility: Facility) -> None:
    path = f"/analyses/{result['id']}"
    assert (await facility.ask("GET", path, Role.VIEWER)).status_code == 200
    for method, where, rest in (
        ("PATCH", path, {"json": {"tags": ["a"]}}),
        ("DELETE", path, {}),
        ("POST", f"{path}/rerun", {}),
        ("POST", f"{path}/cancel", {}),
        ("POST", "/analyses", {"json": {"study_id": result["study_id"], "model": "tiny"}}),
    ):
        assert (await facility.ask(method, where, Role.VIEWER, **rest)).status_code == 403, (method, where)
    headers = facility.house.tokens.headers(facility.id, Role.API_CLIENT, scopes=frozenset({Scope.READ}))
    answer = await facility.house.client.patch(f"/api/v1{path}", json={"tags": ["a"]}, headers=headers)
    assert answer.status_code == 403
    assert (await facility.house.client.get(f"/api/v1{path}")).status_code == 401


async def test_asked_for_twice_it_is_the_same_analysis(result: dict[str, Any], facility: Facility) -> None:
    answer = await facility.ask("POST", "/analyses", json={"study_id": result["study_id"], "model": "tiny"})
    assert (answer.status_code, answer.json()["id"]) == (200, result["id"])
    unknown = await facility.ask("POST", "/analyses", json={"study_id": result["study_id"], "model": "other"})
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:codetect:problem:model-not-found")
    nowhere = await facility.ask("POST", "/analyses", json={"study_id": str(uuid7()), "model": "tiny"})
    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "urn:codetect:problem:study-not-found")


async def test_tags_and_folder_are_kept_and_found(result: dict[str, Any], facility: Facility) -> None:
    path = f"/analyses/{result['id']}"
    changed = (await facility.ask("PATCH", path, json={"tags": ["follow-up", " x ", "x"], "folder": "March"})).json()
    assert (changed["tags"], changed["folder"]) == (["follow-up", "x"], "March")
    assert (await facility.ask("PATCH", path, json={"tags": []})).json()["folder"] == "March"
    await facility.ask("PATCH", path, json={"tags": ["x"]})
    for filters, count in (({"tag": "x"}, 1), ({"tag": "y"}, 0), ({"folder": "March"}, 1), ({"folder": "April"}, 0)):
        assert len((await facility.ask("GET", "/analyses", params=filters)).json()["items"]) == count
    assert (await facility.ask("PATCH", path, json={"folder": None})).json()["folder"] is None
    for bad in (
        {"tags": ["a\x00b"]},
        {"tags": [""]},
        {"tags": ["x"] * 21},
        {"status": "completed"},
        {"folder": "x" * 201},
    ):
        assert (await facility.ask("PATCH", path, json=bad)).status_code == 422


async def test_deleting_takes_the_result_along_and_lets_it_be_asked_for_again(
    result: dict[str, Any], facility: Facility, house: House
) -> None:
    assert (await facility.ask("DELETE", f"/analyses/{result['id']}")).status_code == 204
    assert (await facility.ask("GET", f"/analyses/{result['id']}")).status_code == 404
    answer = await facility.ask("POST", "/analyses", json={"study_id": result["study_id"], "model": "tiny"})
    assert answer.status_code == 201
    assert answer.json()["id"] != result["id"]
    (removal,) = await house.sql("SELECT prefix FROM removals WHERE facility_id = $1", facility.id)
    assert removal["prefix"] == f"{facility.id}/{result['id']}/"


async def test_running_again_is_for_what_failed_or_was_cancelled(result: dict[str, Any], facility: Facility) -> None:
    answer = await facility.ask("POST", f"/analyses/{result['id']}/rerun")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:wrong-state")
    event = await facility.receive(series())
    (waiting,) = await facility.analyses(event.study_id)
    assert (await facility.ask("POST", f"/analyses/{waiting.id}/cancel")).json()["status"] == "cancelled"
    again = await facility.ask("POST", f"/analyses/{waiting.id}/rerun")
    assert (again.status_code, again.json()["status"], again.json()["attempts"]) == (202, "queued", 0)
    hopeless = await facility.receive(series(plane="coronal"))
    (failed,) = await facility.analyses(hopeless.study_id)
    assert (await facility.ask("POST", f"/analyses/{failed.id}/rerun")).status_code == 409


class TestLists:
    """Pages of a facility with 30 analyses, some failed."""

    @pytest.fixture
    async def full(self, tiny: str, facility: Facility) -> Facility:
        for number in range(30):
            await facility.receive(series(plane="coronal" if number % 3 == 0 else "axial"))
        return facility

    async def pages(self, facility: Facility, **filters: Any) -> list[list[dict[str, Any]]]:
        found, cursor = [], None
        while True:
            params = filters | ({"cursor": cursor} if cursor else {})
            page = (await facility.ask("GET", "/analyses", params=params)).json()
            found.append(page["items"])
            cursor = page["next"]
            if cursor is None:
                return found

    @pytest.mark.parametrize("sort", ["-created_at", "created_at"])
    async def test_pages_hold_each_analysis_once_in_order(self, full: Facility, sort: str) -> None:
        pages = await self.pages(full, sort=sort, limit=7)
        assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
        times = [one["created_at"] for page in pages for one in page]
        assert times == sorted(times, reverse=sort.startswith("-"))
        assert len({one["id"] for page in pages for one in page}) == 30

    async def test_what_arrives_meanwhile_moves_nothing(self, full: Facility) -> None:
        first = (await full.ask("GET", "/analyses", params={"limit": 10})).json()
        await full.receive(series())
        second = (await full.ask("GET", "/analyses", params={"limit": 10, "cursor": first["next"]})).json()
        assert not {one["id"] for one in first["items"]} & {one["id"] for one in second["items"]}
        assert first["items"][-1]["created_at"] >= second["items"][0]["created_at"]

    async def test_only_finished_ones_are_sorted_by_their_end(self, full: Facility) -> None:
        pages = await self.pages(full, sort="-finished_at", limit=4)
        assert [len(page) for page in pages] == [4, 4, 2]
        assert {one["status"] for page in pages for one in page} == {"failed"}

    @pytest.mark.parametrize(
        ("filters", "count"),
        [
            ({"status": "failed"}, 10),
            ({"status": "queued"}, 20),
            ({"finding": "grey"}, 0),
            ({"q": "tiny"}, 30),
            ({"q": "TIN fail"}, 10),
            ({"q": "100%"}, 0),
            ({"q": "_"}, 0),
            ({"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}, 0),
            ({"from": "2020-01-01T00:00:00Z"}, 30),
        ],
    )
    async def test_filters(self, full: Facility, filters: dict[str, str], count: int) -> None:
        assert sum(map(len, await self.pages(full, **filters))) == count

    async def test_an_upload_or_a_study_is_found(self, full: Facility) -> None:
        event = await full.receive(series())
        for filters in ({"upload_id": event.upload_id}, {"study_id": event.study_id}, {"q": str(event.study_id)}):
            (page,) = await self.pages(full, **filters)
            assert [UUID(one["study_id"]) for one in page] == [event.study_id]

    @pytest.mark.parametrize(
        "params",
        [
            {"cursor": "nonsense"},
            {"cursor": "WyJjcmVhdGVkX2F0IiwxLDJd"},
            {"cursor": "eyJhIjoxfQ"},
            {"sort": "name"},
            {"limit": "0"},
            {"status": "done"},
            {"from": "2020-01-01"},
            {"from": "2020-01-01T00:00:00"},
            {"q": "a\x00"},
            {"tag": "\x00"},
            {"colour": "blue"},
        ],
    )
    async def test_nonsense_is_refused(self, facility: Facility, params: dict[str, str]) -> None:
        answer = await facility.ask("GET", "/analyses", params=params)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")

    async def test_a_page_comes_from_the_index(self, full: Facility, house: House) -> None:
        await house.sql("ANALYZE analyses")
        async with house.db.facility(full.id) as session:
            for way in ("seqscan", "bitmapscan", "sort"):  # of a few rows any way is quick: is there an index at all?
                await session.execute(text(f"SET LOCAL enable_{way} = off"))
            page = "SELECT * FROM analyses WHERE created_at IS NOT NULL ORDER BY created_at DESC, id DESC LIMIT 51"
            plan = await session.scalars(text(f"EXPLAIN {page}"))
            lines = "\n".join(plan)
        assert "analyses_created" in lines
        assert "Sort" not in lines


class TestModels:
    """Bundles are checked before anything is registered."""

    async def test_a_bundle_is_registered_once_and_told(self, clear: None, facility: Facility, house: House) -> None:
        first = await facility.register(bundle_files())
        assert (first.status_code, first.json()["name"], first.json()["version"]) == (201, "tiny", "0.1.0")
        again = await facility.register(bundle_files())
        assert (again.status_code, again.json()) == (200, first.json())
        (row,) = await house.sql("SELECT id FROM models")
        told = await house.sql("SELECT type FROM outbox WHERE subject = $1 ORDER BY id", f"model/{row['id']}")
        assert [one["type"] for one in told] == ["codetect.model.registered.v1", "codetect.model.activated.v1"]
        stored = await house.storage.list("models", f"tiny/0.1.0/{first.json()['sha256']}/")
        assert [one.key.rpartition("/")[2] for one in stored] == ["bundle.json", "model.onnx", "model.sig"]

    async def test_other_bytes_under_the_same_version_are_refused(self, clear: None, facility: Facility) -> None:
        await facility.register(bundle_files())
        answer = await facility.register(bundle_files(title="Another"))
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:model-version-taken")

    async def test_every_facility_sees_models_but_only_the_operator_adds_them(
        self, tiny: str, facility: Facility, other: Facility
    ) -> None:
        (one,) = (await other.ask("GET", "/models", Role.VIEWER)).json()["items"]
        assert one == (await other.ask("GET", "/models/tiny/0.1.0")).json()
        assert one["card"]["intended_use"] == "tests"
        assert (await other.ask("GET", "/models/tiny/9.9.9")).status_code == 404
        assert (await other.ask("GET", "/models/tiny%00/0.1.0")).status_code == 422
        for role in (Role.ADMIN, Role.MEMBER, Role.VIEWER):
            upload = {"bundle": ("b.zip", zipped(bundle_files()), "application/zip")}
            assert (await other.ask("POST", "/models", role, files=upload)).status_code == 403
            assert (await other.ask("PATCH", "/models/tiny/0.1.0", role, json={"active": False})).status_code == 403

    async def test_the_database_lets_no_other_facility_change_a_model(
        self, tiny: str, house: House, other: Facility
    ) -> None:
        async with house.db.facility(other.id) as session:
            changed = await session.execute(update(Model).values(active=False))
        assert changed.rowcount == 0
        with pytest.raises(ProgrammingError, match="row-level security"):
            async with house.db.facility(other.id) as session:
                session.add(Model(facility_id=uuid7(), name="x", version="1.0.0", sha256="0", manifest={}))

    async def test_a_version_taken_out_of_service_leaves_the_one_before(self, tiny: str, facility: Facility) -> None:
        await facility.register(bundle_files(version="0.2.0"))
        assert (await facility.activate("0.2.0")).is_success
        answer = await facility.ask("PATCH", "/models/tiny/0.2.0", Role.OPERATOR, json={"active": False})
        assert answer.json()["active"] is False
        event = await facility.receive(series())
        assert [one.model_version for one in await facility.analyses(event.study_id)] == ["0.1.0"]

    @pytest.mark.parametrize(
        ("files", "code"),
        [
            ({"readme": b"x"}, "bundle_incomplete"),
            ({**bundle_files(), "model.onnx": b"x"}, "bundle_altered"),
            ({**bundle_files(), "bundle.json": b"{"}, "bundle_unreadable"),
            (bundle_files(schema_version=2), "bundle_schema_unknown"),
            ({name: each for name, each in bundle_files().items() if name != SIGNATURE}, "bundle_unsigned"),
            (signed(bundle_files(), made("a stranger")), "bundle_signer_unknown"),
            ({**bundle_files(), SIGNATURE: bundle_files(title="Another")[SIGNATURE]}, "bundle_altered"),
            (bundle_files(unrunnable()), "bundle_model_unusable"),
            (bundle_files(tiny_model(labels=2)), "bundle_model_unusable"),
        ],
    )
    async def test_a_bad_bundle_is_refused_in_words(
        self, clear: None, facility: Facility, house: House, files: dict[str, bytes], code: str
    ) -> None:
        answer = await facility.register(files)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["detail"]
        assert await house.sql("SELECT 1 FROM models") == []

    async def test_a_folder_around_the_files_is_fine(self, clear: None, facility: Facility) -> None:
        files = {f"tiny-0.1.0/{name}": content for name, content in bundle_files().items()}
        assert (await facility.register(files)).status_code == 201

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"x" * 1000])
    async def test_what_is_no_zip_is_refused(self, facility: Facility, content: bytes) -> None:
        answer = await facility.ask("POST", "/models", Role.OPERATOR, files={"bundle": ("b.zip", content)})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_a_zip")

    async def test_a_zip_that_would_fill_the_memory_is_refused_unread(self, facility: Facility) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model.onnx", bytes(300 * 2**20))
        answer = await facility.ask("POST", "/models", Role.OPERATOR, files={"bundle": ("b.zip", buffer.getvalue())})
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:codetect:problem:bundle-too-large")

    async def test_a_request_too_long_or_of_unknown_length_is_refused_unread(self, facility: Facility) -> None:
        headers = facility.house.tokens.headers(facility.id, Role.OPERATOR)
        long = await facility.house.client.post(
            "/api/v1/models", headers=headers | {"content-length": str(2**40)}, content=b"x"
        )
        assert long.status_code == 413

        async def chunks() -> AsyncIterator[bytes]:
            yield b"x"

        unknown = await facility.house.client.post("/api/v1/models", headers=headers, content=chunks())
        assert unknown.status_code == 411
        empty = await facility.ask("POST", "/models", Role.OPERATOR, data={"bundle": "text"})
        assert (empty.status_code, empty.json()["code"]) == (422, "no_bundle")
        many = await facility.ask("POST", "/models", Role.OPERATOR, files={f"field{n}": (None, "x") for n in range(20)})
        assert (many.status_code, many.json()["code"]) == (422, "no_bundle")
        unbounded = headers | {"content-type": "multipart/form-data"}
        answer = await facility.house.client.post("/api/v1/models", headers=unbounded, content=b"x")
        assert (answer.status_code, answer.json()["code"]) == (422, "no_bundle")


async def test_every_route_says_what_it_does_and_how_it_fails(house: House) -> None:
    document = (await house.client.get("/openapi.json")).json()
    assert len(document["paths"]) == 32
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            assert route["summary"], path
            assert route["description"], path
            assert route["tags"] in (["analyses"], ["feedback"], ["models"], ["notes"], ["views"]), path
            assert route["operationId"].isidentifier()
            success = [status for status in route["responses"] if status.startswith("2")]
            assert success, (method, path)
    assert "multipart/form-data" in json.dumps(document["paths"]["/api/v1/models"]["post"])


async def test_readiness(house: House) -> None:
    answer = await house.client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]) == (200, {"database": "ok", "storage": "ok"})


def test_the_page_about_failures_is_the_catalogue() -> None:
    page = (Path(__file__).parents[2] / "docs/unanalysable.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{code}` | {sentence} |" for code, sentence in SENTENCES.items()]


def test_an_api_process_does_not_load_the_runtime_of_models() -> None:
    code = "import sys, codetect_inference.app; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
