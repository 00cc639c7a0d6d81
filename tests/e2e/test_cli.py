"""`codetect` against the whole house: real input, bad input, people, restarts."""

import asyncio
import json
import os
import shutil
import signal
import tarfile
from pathlib import Path
from typing import Any

import pydicom
import pytest
from codetect.credentials import totp

from tests.e2e.conftest import Command, finish, start
from tests.faults.studies import new_study

SAMPLE = Path(__file__).parents[1] / "data/lidc-idri-0001"
DATA = Path(os.environ.get("CODETECT_DATA", Path(__file__).parents[3] / "shared/data")) / "dicom"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="CODETECT_DATA isn't there")
RETIRED = sorted(path.name for path in DATA.glob("transfer-syntaxes/CTImage*.5[35].dcm"))
SOUND = [
    "CT1_J2KR",
    *sorted(path.name for path in DATA.glob("transfer-syntaxes/CTImage*") if path.name not in RETIRED),
]


def uid_of(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)


def reasons(result: dict[str, Any]) -> dict[str, str]:
    return {Path(one["file"]).name: one["code"] for one in result["rejected"]}


async def test_the_sample_is_analysed(codetect: Command, tiny: str) -> None:
    done = await codetect("submit", SAMPLE, "--model", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    (study,) = done.json["studies"]
    assert study["study_instance_uid"] == uid_of(SAMPLE / "0001.dcm")
    (analysis,) = study["analyses"]
    assert (analysis["status"], analysis["model"]) == ("completed", tiny)
    assert 0 < analysis["slices_analysed"] <= analysis["slices_total"]
    assert analysis["slices_total"] >= 45
    assert all(0 <= finding["probability"] <= 1 for finding in analysis["findings"])
    assert all(isinstance(value, int) for value in analysis["timings"].values())
    assert done.json["rejected"] == []


async def test_a_zip_of_it_is_analysed_too(codetect: Command, tiny: str, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "study"), "zip", SAMPLE)
    done = await codetect("submit", archive, "--model", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["studies"][0]["study_instance_uid"] == uid_of(SAMPLE / "0001.dcm")


@needs_data
async def test_a_whole_series_is_analysed(codetect: Command, tiny: str) -> None:
    done = await codetect("submit", DATA / "lidc-idri-0001", "--model", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json["studies"][0]["analyses"][0]["slices_total"] == 133


@needs_data
@pytest.mark.parametrize("name", SOUND)
async def test_a_chest_slice_is_analysed_in_every_syntax(codetect: Command, tiny: str, name: str) -> None:
    path = DATA / "transfer-syntaxes" / name
    done = await codetect("submit", path, "--model", tiny, "--json")
    assert (done.code, done.err) == (0, "")
    (study,) = done.json["studies"]
    assert study["study_instance_uid"] == uid_of(path)
    assert [analysis["status"] for analysis in study["analyses"]] == ["completed"]
    assert "few_slices" in [warning["code"] for warning in study["analyses"][0]["warnings"]]


@needs_data
@pytest.mark.parametrize("name", RETIRED)
async def test_retired_syntaxes_are_refused(codetect: Command, name: str) -> None:
    done = await codetect("submit", DATA / "transfer-syntaxes" / name, "--json")
    assert done.code == 1
    assert reasons(done.json) == {name: "unsupported_transfer_syntax"}
    assert done.err.endswith("[unsupported_transfer_syntax]\n")


async def test_each_bad_file_has_its_reason_and_the_study_its_result(
    codetect: Command, tiny: str, tmp_path: Path
) -> None:
    for number, content in enumerate(new_study(10)):
        (tmp_path / f"{number}.dcm").write_bytes(content)
    sound = (tmp_path / "0.dcm").read_bytes()
    (tmp_path / "notes.txt").write_text("Patient came back.")
    (tmp_path / "cut.dcm").write_bytes(sound[: len(sound) // 2])
    (tmp_path / "nothing.dcm").touch()
    (tmp_path / "zz-twice.dcm").write_bytes(sound)
    (tmp_path / "README").write_text("left out")
    done = await codetect("submit", tmp_path, "--model", tiny, "--json")
    assert done.code == 1
    assert reasons(done.json) == {
        "notes.txt": "not_dicom",
        "cut.dcm": "truncated",
        "nothing.dcm": "empty",
        "zz-twice.dcm": "duplicate",
    }
    assert len(done.err.splitlines()) == 4
    (study,) = done.json["studies"]
    assert study["study_instance_uid"] == uid_of(tmp_path / "0.dcm")
    assert (study["analyses"][0]["status"], study["analyses"][0]["slices_total"]) == ("completed", 10)


@needs_data
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ct_head_localizer.dcm", "localizer"),
        ("MR_Implicit_Little.dcm", "not_ct"),
        ("rtstruct.dcm", "radiotherapy"),
        ("eCT_Supplemental.dcm", "not_hu"),
        ("HTJ2KLossless_08_RGB.dcm", "secondary_capture"),
    ],
)
async def test_what_is_no_chest_ct_is_refused(codetect: Command, name: str, code: str) -> None:
    done = await codetect("submit", DATA / "other" / name, "--json")
    assert (done.code, reasons(done.json), done.json["studies"]) == (1, {name: code}, [])


@needs_data
async def test_a_head_fails_in_words(codetect: Command, tiny: str) -> None:
    done = await codetect("submit", DATA / "transfer-syntaxes/CT2_J2KR", "--model", tiny, "--json")
    assert done.code == 1
    assert done.json["studies"][0]["analyses"][0]["status"] == "failed"
    assert "No slice of this study shows lung" in done.err


@needs_data
async def test_every_hostile_file_has_an_outcome_and_the_next_study_is_fine(
    codetect: Command, tiny: str, tmp_path: Path
) -> None:
    with tarfile.open(DATA / "malformed.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    files = set(tmp_path.rglob("*.dcm"))
    done = await codetect("submit", tmp_path, "--model", tiny, "--json")
    assert len(files) == 475
    rejected = {Path(one["file"]) for one in done.json["rejected"]}
    assert rejected <= files
    assert done.code == 1
    assert len(done.err.splitlines()) >= len(rejected) > 300
    assert (await codetect("submit", SAMPLE, "--model", tiny)).code == 0


async def test_an_empty_folder_is_refused(codetect: Command, tmp_path: Path) -> None:
    done = await codetect("submit", tmp_path)
    assert (done.code, done.out, done.err) == (1, "", "There is nothing to submit: no file was found.\n")


async def test_an_unknown_model_is_said_to_be_unknown(codetect: Command, tmp_path: Path) -> None:
    shutil.copy(SAMPLE / "0020.dcm", tmp_path)
    done = await codetect("submit", tmp_path, "--model", "nobody-knows-it", "--json")
    assert done.code == 1
    assert "[unknown_model]" in done.err


async def test_a_person_logs_in_watches_and_reads(
    codetect: Command, demo: dict[str, Any], place: Path, tiny: str
) -> None:
    member = demo["member"]
    home = place.parent / "member"
    home.mkdir()
    for _ in range(3):  # a code works once, and an earlier run may have used this half minute's
        answers = f"{member['email']}\n{member['password']}\n{totp(member['totp_secret'])}\n"
        done = await codetect("login", demo["url"], stdin=answers, HOME=str(home))
        if done.code == 0:
            break
        await asyncio.sleep(15)
    assert (done.code, done.err) == (0, "")
    watching = await start(place, "watch", "--json", HOME=str(home))
    assert watching.stdout
    assert json.loads(await asyncio.wait_for(watching.stdout.readline(), 30))["type"] == "ready"
    done = await codetect("submit", SAMPLE / "0020.dcm", "--model", tiny, "--json", HOME=str(home))
    assert done.code == 0
    upload, analysis = done.json["upload_id"], done.json["studies"][0]["analyses"][0]["analysis_id"]
    seen = []
    async with asyncio.timeout(30):
        while not seen or seen[-1]["type"] != "codetect.analysis.completed.v1":
            frame = json.loads(await watching.stdout.readline())
            if frame["data"].get("upload_id") == upload:
                seen.append(frame)
    assert [frame["type"].split(".")[1:3] for frame in seen][:2] == [["upload", "opened"], ["upload", "completed"]]
    watching.send_signal(signal.SIGINT)
    assert (await finish(watching)).code == 130

    assert "(member)" in (await codetect("whoami", HOME=str(home))).out
    listed = await codetect("analyses", "--upload", upload, "--json")
    assert [one["id"] for one in listed.json] == [analysis]
    assert "Not a medical device" in (await codetect("analysis", analysis)).out
    assert analysis in (await codetect("export", "--upload", upload)).out
    assert (await codetect("logout", HOME=str(home))).code == 0


async def test_credentials_of_one_facility_open_no_other(codetect: Command, demo: dict[str, Any]) -> None:
    client = {f"CODETECT_{name.upper()}": value for name, value in demo["api_client"].items()}
    done = await codetect("analyses", "--facility", demo["operator"]["url"], **client)
    assert (done.code, done.out) == (1, "")
    done = await codetect("analyses", "--facility", demo["url"].replace("demo.", "nobody."), **client)
    assert (done.code, done.out) == (1, "")


@needs_data
async def test_an_upload_that_was_cut_off_goes_on(place: Path, tiny: str) -> None:
    submit = "submit", DATA / "lidc-idri-0001", "--model", tiny, "--json"
    process = await start(place, *submit, "--parallel", 1)
    journals = place / ".local/state/codetect/uploads"
    async with asyncio.timeout(60):
        while not any(len(path.read_text().splitlines()) > 20 for path in journals.glob("*.txt")):
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    (journal,) = journals.glob("*.txt")
    upload, *posted = journal.read_text().splitlines()
    assert 20 <= len(posted) < 133
    done = await finish(await start(place, *submit))
    assert done.code == 0
    assert done.json["upload_id"] == upload
    assert done.json["studies"][0]["analyses"][0]["slices_total"] == 133
    assert not list(journals.glob("*.txt"))


async def test_a_reference_with_a_name_is_refused_in_words_and_nothing_is_sent(
    codetect: Command, tiny: str, tmp_path: Path
) -> None:
    (tmp_path / "1").write_bytes(*new_study(1))
    done = await codetect("submit", tmp_path, "--model", tiny, "--reference", "DOE^JANE", "--json")
    assert done.code == 1
    assert "looks like a name as DICOM writes it" in done.err
    assert "JANE" not in done.out + done.err


async def test_several_at_once_each_get_their_own(place: Path, tiny: str, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "1").write_bytes(*new_study(1))
    running = [await start(place, "submit", tmp_path / str(n), "--model", tiny, "--json") for n in range(4)]
    results = [await finish(process) for process in running]
    assert [done.code for done in results] == [0] * 4
    assert [done.json["studies"][0]["study_instance_uid"] for done in results] == [
        uid_of(tmp_path / str(number) / "1") for number in range(4)
    ]


@needs_data
@pytest.mark.skipif("CODETECT_TEST_DEMO" in os.environ, reason="that stack isn't ours to shake")
async def test_a_submission_outlives_what_falls_over(place: Path, tiny: str, request: pytest.FixtureRequest) -> None:
    stack = request.getfixturevalue("stack")
    process = await start(place, "submit", DATA / "lidc-idri-0001", "--model", tiny, "--json", "--parallel", 2)
    for name in ("gateway", "s3", "ingest", "importer", "gateway", "worker"):
        await asyncio.sleep(1.5)
        stack.supervisor.kill(name, signal.SIGKILL)
    done = await finish(process)
    assert (done.code, done.json["rejected"]) == (0, [])
