"""A submission, from paths to results, also when the network, the server or the user gets in the way."""

import asyncio
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from codetect import (
    ApiClient,
    Client,
    NotFinished,
    NothingToSubmit,
    Progress,
    Refused,
    TooMuch,
    UnderWay,
    Unreachable,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.client.conftest import STUDY_UID, dicom
from tests.client.double import CLIENT_ID, CLIENT_SECRET, Double, serving


async def test_every_study_comes_back_under_the_identifier_the_caller_sent(client: Client, folder: Path) -> None:
    result = await client.submit([folder])
    assert result.complete
    (study,) = result.studies
    assert study.study_instance_uid == STUDY_UID
    assert [(f.label, f.positive) for f in study.analyses[0].findings] == [("covid", True)]


async def test_as_json_it_has_the_shape_that_is_documented(client: Client, folder: Path) -> None:
    (folder / "notes.txt").write_text("junk")
    result = json.loads((await client.submit([folder])).model_dump_json())
    assert set(result) == {"upload_id", "studies", "rejected"}
    (study,) = result["studies"]
    assert set(study) == {"study_id", "study_instance_uid", "analyses"}
    (analysis,) = study["analyses"]
    assert set(analysis) == {
        "analysis_id",
        "status",
        "model",
        "model_version",
        "findings",
        "warnings",
        "slices_total",
        "slices_analysed",
        "timings",
    }
    assert set(analysis["findings"][0]) == {"label", "probability", "positive"}
    assert set(analysis["timings"]) == {"upload_ms", "import_ms", "queued_ms", "inference_ms", "total_ms"}
    assert result["rejected"] == [
        {"file": str(folder / "notes.txt"), "code": "not_dicom", "detail": "This isn't a DICOM file."}
    ]


async def test_no_file_name_leaves_this_machine(client: Client, double: Double, folder: Path) -> None:
    await client.submit([folder])
    assert sorted(double.posts) == sorted(set(double.posts))
    assert {key.rpartition("/")[2] for key in double.posts} == {f"{n:06}" for n in range(1, 6)}
    assert not any("Doe" in text for text in [*double.posts, *double.names_sent, *double.log])


async def test_progress_goes_from_nothing_to_everything_in_each_stage(client: Client, folder: Path) -> None:
    told: list[Progress] = []
    await client.submit([folder], on_progress=told.append)
    size = sum(path.stat().st_size for path in folder.iterdir())
    for stage, total in ("upload", size), ("import", 5), ("analysis", 5):
        steps = [p for p in told if p.stage == stage]
        assert [p.done for p in steps] == sorted(p.done for p in steps)
        assert (steps[-1].done, steps[-1].total) == (total, total)


async def test_files_go_out_side_by_side(client: Client, double: Double, folder: Path) -> None:
    for number in range(100, 140):
        dicom(folder / f"{number}", f"{STUDY_UID}.{number}", size=200_000)
    await client.submit([folder], parallel=6)
    assert 2 <= double.busiest <= 6


@pytest.mark.parametrize("status", [None, 500, 503, 403])
async def test_a_post_that_fails_is_sent_again(
    client: Client, double: Double, folder: Path, status: int | None
) -> None:
    double.fail("POST /codetect-raw", status, times=3)
    assert (await client.submit([folder])).complete
    assert double.times("POST /codetect-raw") == 8


async def test_a_lost_answer_costs_a_second_post_and_nothing_else(client: Client, double: Double, folder: Path) -> None:
    double.fail("POST /codetect-raw", None, after=True)
    double.fail("POST /api/v1/uploads", None, after=True)
    assert (await client.submit([folder])).complete
    assert len(double.uploads) == 1
    assert len(double.posts) == 6


async def test_a_refused_post_is_explained(client: Client, double: Double, folder: Path) -> None:
    double.fail("POST /codetect-raw", 411, times=99)
    with pytest.raises(Refused, match="object store refused"):
        await client.submit([folder])


@pytest.mark.parametrize("hours", [-7, 7])
async def test_a_policy_is_renewed_before_it_ends_whatever_the_clocks_say(
    client: Client, double: Double, folder: Path, hours: int
) -> None:
    double.clock_off = timedelta(hours=hours)
    double.policy_s, double.post_s = 2, 0.2
    for number in range(100, 115):
        dicom(folder / f"{number}", f"{STUDY_UID}.{number}")
    assert (await client.submit([folder], parallel=1)).complete
    assert double.times("POST /codetect-raw") == 20
    assert 1 < sum(line.endswith("/renew") for line in double.log) < 10


async def test_a_policy_that_ends_early_is_renewed_once_for_all(client: Client, double: Double, folder: Path) -> None:
    double.fail("POST /codetect-raw", 403, times=5)
    await client.submit([folder], parallel=5)
    assert sum(line.endswith("/renew") for line in double.log) == 1


async def test_an_upload_that_ran_out_before_it_was_completed_is_renewed(
    client: Client, double: Double, folder: Path
) -> None:
    async def oversleep(progress: Progress) -> None:
        for upload in double.uploads.values():
            upload["expires_at"] -= timedelta(hours=1)

    def on_progress(progress: Progress) -> None:
        if progress.stage == "upload" and progress.done == progress.total:
            for upload in double.uploads.values():
                upload["expires_at"] -= timedelta(hours=1)

    assert (await client.submit([folder], on_progress=on_progress)).complete


async def test_an_interrupted_upload_goes_on_without_sending_again(
    client: Client, double: Double, folder: Path
) -> None:
    double.fail("POST /codetect-raw", 411, times=0)
    sent = asyncio.Event()

    def on_progress(progress: Progress) -> None:
        if len(double.posts) >= 2:
            sent.set()

    interrupted = asyncio.create_task(client.submit([folder], parallel=1, on_progress=on_progress))
    await sent.wait()
    interrupted.cancel()
    with pytest.raises(asyncio.CancelledError):
        await interrupted
    before = len(double.posts)
    assert 2 <= before < 5
    assert (await client.submit([folder])).complete
    assert len(double.uploads) == 1
    assert len(double.posts) <= 6
    assert len(set(double.posts)) == 5


async def test_waiting_that_was_interrupted_goes_on_without_a_second_upload(
    client: Client, double: Double, folder: Path
) -> None:
    double.go_on.clear()
    with pytest.raises(NotFinished) as caught:
        await client.submit([folder], timeout_s=0.5)
    assert caught.value.submission.studies[0].analyses[0].status == "running"
    double.go_on.set()
    assert (await client.submit([folder])).complete
    assert len(double.uploads) == 1
    assert len(double.posts) == 5


async def test_once_it_is_done_the_same_files_are_a_new_submission(
    client: Client, double: Double, folder: Path, home: Path
) -> None:
    await client.submit([folder])
    assert not list(home.rglob("*.txt"))
    await client.submit([folder])
    assert len(double.uploads) == 2


async def test_a_changed_file_or_another_wish_is_another_submission(
    client: Client, double: Double, folder: Path
) -> None:
    double.go_on.clear()
    for wish in {}, {"models": ["model-0"]}, {"priority": "urgent"}:
        with pytest.raises(NotFinished):
            await client.submit([folder], timeout_s=0.2, **wish)  # type: ignore[arg-type]
    dicom(folder / "Doe^John 0.dcm", f"{STUDY_UID}.77")
    with pytest.raises(NotFinished):
        await client.submit([folder], timeout_s=0.2)
    assert len(double.uploads) == 4


async def test_when_the_server_has_forgotten_the_upload_it_begins_anew(
    client: Client, double: Double, folder: Path
) -> None:
    double.go_on.clear()
    with pytest.raises(NotFinished):
        await client.submit([folder], timeout_s=0.2)
    double.uploads.clear()
    double.go_on.set()
    assert (await client.submit([folder])).complete
    assert len(double.posts) == 10


async def test_when_the_store_lost_a_file_everything_is_sent_anew(client: Client, double: Double, folder: Path) -> None:
    lost = []

    def on_progress(progress: Progress) -> None:
        if progress.done == progress.total and progress.stage == "upload" and not lost:
            lost.append(double.store.popitem())

    assert (await client.submit([folder], on_progress=on_progress)).complete
    assert len(double.uploads) == 2


async def test_two_processes_do_not_submit_the_same_files_at_once(client: Client, double: Double, folder: Path) -> None:
    double.go_on.clear()
    first = asyncio.create_task(client.submit([folder]))
    while not double.analyses:
        await asyncio.sleep(0.01)
    with pytest.raises(UnderWay):
        await client.submit([folder])
    double.go_on.set()
    assert (await first).complete


async def test_without_a_socket_it_looks_now_and_then(client: Client, double: Double, folder: Path) -> None:
    double.live = False
    assert (await client.submit([folder])).complete


async def test_cut_sockets_and_restarts_are_bridged(client: Client, double: Double, folder: Path) -> None:
    double.go_on.clear()
    waiting = asyncio.create_task(client.submit([folder]))
    while not double.sockets or not double.analyses:
        await asyncio.sleep(0.01)
    await double.cut()
    double.fail("GET /api/v1/analyses", 503, times=2, retry_after="0")
    double.fail("GET /api/v1/uploads", None, times=1)
    double.go_on.set()
    assert (await asyncio.wait_for(waiting, 10)).complete


async def test_it_waits_for_as_many_models_as_were_asked_for(client: Client, double: Double, folder: Path) -> None:
    with pytest.raises(NotFinished):
        await client.submit([folder], models=["model-0", "model-1"], timeout_s=0.5)
    double.analyses_per_study = 3
    result = await client.submit([folder], models=["model-1", "model-0"])
    assert len(result.studies[0].analyses) == 3


async def test_without_waiting_it_ends_when_the_upload_is_complete(
    client: Client, double: Double, folder: Path, home: Path
) -> None:
    double.go_on.clear()
    result = await client.submit([folder], wait=False)
    assert (result.studies, result.rejected) == ([], [])
    assert str(result.upload_id) in double.uploads
    assert not list(home.rglob("*.txt"))


async def test_nothing_but_junk_is_no_success(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("junk")
    result = await client.submit([tmp_path])
    assert (result.studies, result.complete) == ([], False)
    assert [r.code for r in result.rejected] == ["not_dicom"]


async def test_an_empty_folder_is_nothing_to_submit(client: Client, double: Double, tmp_path: Path) -> None:
    (tmp_path / "empty.dcm").touch()
    with pytest.raises(NothingToSubmit) as caught:
        await client.submit([tmp_path])
    assert [r.code for r in caught.value.rejected] == ["empty"]
    assert not double.uploads


async def test_a_file_that_is_too_large_is_left_and_the_rest_goes(client: Client, double: Double, folder: Path) -> None:
    double.max_file_bytes = 50_000
    big = dicom(folder / "big.dcm", f"{STUDY_UID}.99", size=60_000)
    result = await client.submit([folder])
    assert [(r.file, r.code) for r in result.rejected] == [(str(big), "too_large")]
    assert len(double.posts) == 5


async def test_too_many_files_are_refused_before_any_is_sent(client: Client, double: Double, folder: Path) -> None:
    double.max_files = 4
    with pytest.raises(TooMuch, match="5 files, and one upload takes 4"):
        await client.submit([folder])
    assert not double.posts


async def test_a_zip_is_unpacked_on_the_way(client: Client, double: Double, folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as entries:
        for path in sorted(folder.iterdir()):
            entries.write(path, f"../../{path.name}")
        entries.writestr("readme.txt", "junk")
    result = await client.submit([archive])
    assert result.studies[0].study_instance_uid == STUDY_UID
    assert [r.file for r in result.rejected] == [f"{archive}/readme.txt"]
    sent = sorted(double.store.values())
    assert sent == sorted([*(path.read_bytes() for path in folder.iterdir()), b"junk"])


async def test_a_damaged_member_is_rejected_and_the_rest_goes(
    client: Client, double: Double, folder: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as entries:
        for path in sorted(folder.iterdir()):
            entries.write(path, path.name)
    content = bytearray(archive.read_bytes())
    content[2000] ^= 0xFF
    archive.write_bytes(content)
    result = await client.submit([archive])
    assert [(Path(r.file).name, r.code) for r in result.rejected] == [("Doe^John 0.dcm", "unreadable")]
    assert len(double.store) == 4


async def test_a_file_that_shrinks_while_it_is_sent_is_rejected(client: Client, double: Double, folder: Path) -> None:
    big = dicom(folder / "big.dcm", f"{STUDY_UID}.99", size=4_000_000)
    shrunk = False

    def on_progress(progress: Progress) -> None:
        nonlocal shrunk
        if progress.done > 1_000_000 and not shrunk:
            shrunk = True
            with big.open("r+b") as file:
                file.truncate(2_000_000)

    result = await client.submit([folder], on_progress=on_progress)
    assert [(r.file, r.code) for r in result.rejected] == [(str(big), "unreadable")]
    assert len(double.store) == 5


async def test_memory_does_not_grow_with_what_is_sent(client: Client, double: Double, tmp_path: Path) -> None:
    import tracemalloc

    double.max_file_bytes = 10**9
    (tmp_path / "huge.dcm").write_bytes(b"")
    with (tmp_path / "huge.dcm").open("wb") as file:
        file.truncate(150_000_000)
    double.fail("POST /codetect-raw", 411, times=1)
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            await client.submit([tmp_path])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30_000_000


async def test_over_tls_everything_goes_to_the_name_that_was_certified(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(tmp_path, "demo.localhost", "s3.localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    async with serving(ssl_certfile=tmp_path / "cert.pem", ssl_keyfile=tmp_path / "key.pem") as double:
        credentials = ApiClient(CLIENT_ID, CLIENT_SECRET)
        async with Client(double.url, credentials, patience_s=0) as client:
            assert (await client.submit([folder])).complete
            assert double.times("POST /api/v1/live/ticket") == 1
            assert (await anext(client.watch(patience_s=0))).type == "ready"
        async with Client(double.url.replace("demo", "other"), credentials, patience_s=0) as client:
            with pytest.raises(Unreachable, match="CERTIFICATE"):
                await client.facility()
        monkeypatch.delenv("SSL_CERT_FILE")
        async with Client(double.url, credentials, patience_s=0) as client:
            with pytest.raises(Unreachable, match="CERTIFICATE"):
                await client.facility()


def certify(folder: Path, *names: str) -> None:
    """A certificate for these names that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *private))


async def test_where_nothing_can_be_written_it_still_submits(
    client: Client, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert (await client.submit([folder])).complete


async def test_a_model_named_twice_is_one_model(client: Client, folder: Path) -> None:
    assert (await client.submit([folder], models=["model-0", "model-0"], timeout_s=5)).complete


async def test_a_store_that_is_away_for_longer_is_waited_for(client: Client, double: Double, folder: Path) -> None:
    double.fail("POST /codetect-raw", 503, times=25)
    assert (await client.submit([folder])).complete


async def test_a_store_that_refuses_fresh_policies_is_believed(client: Client, double: Double, folder: Path) -> None:
    double.fail("POST /codetect-raw", 403, times=999)
    with pytest.raises(Refused, match="object store refused"):
        await client.submit([folder], parallel=1)
    assert double.times("POST /codetect-raw") == 3


async def test_why_an_upload_came_to_nothing_is_told(client: Client, double: Double, folder: Path) -> None:
    async def give_up(upload: dict[str, Any]) -> None:
        upload |= {"state": "refused", "error": {"code": "gave_up", "detail": "It was tried several times."}}

    double.process = give_up  # type: ignore[method-assign]
    result = await client.submit([folder])
    assert result.error
    assert (result.complete, result.error.code) == (False, "gave_up")
