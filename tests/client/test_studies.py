"""What the command does with whole studies: lists, exports, erases."""

import json
import zipfile
from pathlib import Path
from uuid import uuid4

import pytest
from codetect.credentials import totp

from tests.client.double import EMAIL, PASSWORD, TOTP_SECRET, Double
from tests.client.test_cli import Command, codetect  # noqa: F401 - a fixture


@pytest.fixture
def ids(double: Double) -> list[str]:
    """Two studies that the facility keeps."""
    for held in (True, False):
        study = {
            "id": str(uuid4()),
            "study_instance_uid": "2.25.1",
            "patient_id": "CDT-1",
            "version": 1,
            "created_at": double.now().isoformat(),
            "expires_at": None if held else double.now().isoformat(),
            "legal_hold": held,
            "instances": 45,
            "series": [{"series_id": str(uuid4()), "modality": "CT", "plane": "axial", "slices": 45}],
        }
        double.studies[str(study["id"])] = study
    return list(double.studies)


async def test_studies_are_listed_with_how_long_they_are_kept(codetect: Command, ids: list[str]) -> None:  # noqa: F811
    lines = [line.split("\t") for line in (await codetect("studies")).out.splitlines()]
    assert [line[1:5] for line in lines] == [[study_id, "CDT-1", "45", "45 axial"] for study_id in ids]
    assert lines[0][5] == "held"
    assert lines[1][5].startswith("until 20")
    assert [one["id"] for one in json.loads((await codetect("studies", "--json", "--limit", "1")).out)] == ids[:1]


async def test_a_study_is_exported_to_a_file_and_several_to_a_folder(
    codetect: Command,  # noqa: F811
    ids: list[str],
    tmp_path: Path,
) -> None:
    done = await codetect("export", ids[0], "-o", tmp_path / "one.zip", "--original")
    assert (done.code, done.out) == (0, "")
    assert "1 files in" in done.err
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.read(archive.namelist()[0]) == b"original"
    done = await codetect("export", *ids, "-o", tmp_path / "new")
    assert done.code == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{study_id}.zip" for study_id in ids}
    with zipfile.ZipFile(tmp_path / "new" / f"{ids[0]}.zip") as archive:
        assert archive.read(archive.namelist()[0]) == b"deidentified"
    assert (tmp_path / "one.zip").stat().st_mode & 0o77 == 0


async def test_what_is_cut_short_or_refused_leaves_no_file(
    codetect: Command,  # noqa: F811
    double: Double,
    ids: list[str],
    tmp_path: Path,
) -> None:
    double.cut_zips = True
    done = await codetect("export", ids[0], "-o", tmp_path)
    assert (done.code, list(tmp_path.iterdir())) == (1, [])
    assert "cut short" in done.err
    done = await codetect("export", uuid4(), "-o", tmp_path)
    assert (done.code, list(tmp_path.iterdir())) == (1, [])
    done = await codetect("export", ids[0], "-o", tmp_path / "no" / "where.zip")
    assert (done.code, "can't be written" in done.err) == (1, True)


async def test_words_still_mean_analyses(codetect: Command, double: Double, tmp_path: Path) -> None:  # noqa: F811
    assert (await codetect("export", "covid", "left lung")).code == 0
    assert double.times("GET /api/v1/analyses") == 1
    assert (await codetect("export", "covid", "--original")).code == 2
    assert (await codetect("export", "-o", tmp_path)).code == 2


async def test_erasing_asks_first(codetect: Command, double: Double, ids: list[str]) -> None:  # noqa: F811
    assert (await codetect("erase", ids[0], stdin="n\n")).code == 1
    assert ids[0] in double.studies
    done = await codetect("erase", *ids, stdin="y\n")
    assert (done.code, double.studies) == (0, {})
    assert done.out.splitlines()[-2:] == [f"{study_id} is erased." for study_id in ids]
    done = await codetect("erase", "--yes", ids[0])
    assert (done.code, done.out) == (1, "")
    assert ids[0] in done.err
    assert (await codetect("erase", "no-id", "--yes")).code == 2


async def test_erasing_long_after_the_login_asks_for_a_code_once(
    codetect: Command,  # noqa: F811
    double: Double,
    ids: list[str],
    home: Path,
) -> None:
    await codetect("login", double.url, stdin=f"{EMAIL}\n{PASSWORD}\n{totp(TOTP_SECRET)}\n")
    (kept,) = home.rglob("logins.json")
    before = json.loads(kept.read_text())["logins"][double.url]
    double.stale = True
    assert (await codetect("erase", "--yes", ids[0], stdin="")).code == 1
    assert ids[0] in double.studies
    done = await codetect("erase", "--yes", *ids, stdin=f"000000\n{totp(TOTP_SECRET)}\n")
    assert (done.code, double.studies) == (0, {})
    assert double.times("POST /api/v1/auth/step-up") == 2
    after = json.loads(kept.read_text())["logins"][double.url]
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] == before["refresh_token"]


@pytest.fixture
def read(double: Double) -> list[str]:
    """Two analyses with a report, two pictures and no heatmaps."""
    kinds = ("sr", "sc", "sc")
    documents = [{"kind": kind, "sop_instance_uid": "2.25.1", "series_instance_uid": "2.25.2"} for kind in kinds]
    peak = {"slice": 31, "column": 475, "row": 203, "position_mm": [1, 2.5, -3]}
    for _ in range(2):
        analysis = {
            "id": str(uuid4()),
            "study_id": str(uuid4()),
            "status": "completed",
            "model": {"name": "model-0"},
            "findings": [{"label": "covid", "probability": 0.7, "positive": True, "peak": peak}],
            "out_of_distribution": {"score": 1.25, "flagged": True},
            "documents": documents,
        }
        double.analyses[str(analysis["id"])] = analysis
    return list(double.analyses)


@pytest.mark.parametrize(
    ("form", "files"),
    [
        ("pdf", {"pdf": b"report.pdf"}),
        ("sr", {"sr.dcm": b"report.dcm"}),
        ("fhir", {"fhir.json": b"report.fhir.json"}),
        ("sc", {"sc-1.dcm": b"documents/1", "sc-2.dcm": b"documents/2"}),
    ],
)
async def test_results_are_exported_as_documents(
    codetect: Command,  # noqa: F811
    read: list[str],
    tmp_path: Path,
    form: str,
    files: dict[str, bytes],
) -> None:
    done = await codetect("export", *read, "--format", form, "-o", tmp_path / "new")
    assert (done.code, done.out) == (0, "")
    assert "Not a medical device" in done.err
    written = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert written == {f"{one}.{ending}": content for one in read for ending, content in files.items()}


async def test_one_result_goes_to_a_file_also_as_json(codetect: Command, read: list[str], tmp_path: Path) -> None:  # noqa: F811
    assert (await codetect("export", read[0], "--format", "json", "-o", tmp_path / "one.json")).code == 0
    assert json.loads((tmp_path / "one.json").read_text())["findings"][0]["peak"]["slice"] == 31
    assert (await codetect("export", read[0], "--format", "pdf", "-o", tmp_path / "one.pdf")).code == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["one.json", "one.pdf"]


async def test_a_document_that_is_not_there_leaves_no_file(codetect: Command, read: list[str], tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "new"
    folder.mkdir()
    done = await codetect("export", read[0], "--format", "pm", "-o", folder)
    assert (done.code, "no documents of this kind (pm)" in done.err) == (1, True)
    assert (await codetect("export", uuid4(), "--format", "pdf", "-o", folder)).code == 1
    done = await codetect("export", read[0], "--format", "pdf", "-o", tmp_path / "no" / "where.pdf")
    assert (done.code, "can't be written" in done.err) == (1, True)
    assert (await codetect("export", "covid", "--format", "pdf")).code == 2
    assert (await codetect("export", read[0], "--format", "pdf", "--original")).code == 2
    assert list(folder.iterdir()) == []


async def test_an_analysis_says_where_it_points_and_whether_it_is_to_be_believed(
    codetect: Command,  # noqa: F811
    read: list[str],
) -> None:
    said = (await codetect("analysis", read[0])).out
    assert "slice 31, column 475, row 203 (1.0, 2.5, -3.0 mm, LPS)" in said
    assert "unlike those the model learnt from (1.25" in said
