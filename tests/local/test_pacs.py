"""What a modality sends to Orthanc reaches CoDetect once each, whatever falls over; and nothing else does."""

import asyncio
import io
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pynetdicom
import pytest
from codetect_local import orthanc, secrets
from codetect_local.ports import is_free
from codetect_local.settings import Settings, Trouble
from codetect_local.stack import Stack
from codetect_local.supervision import Supervisor
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.faults.studies import long_study, new_study
from tests.infrastructure import Infrastructure, clear, settings_apart
from tests.local.stow import Receiver, only, refused, stored

CLIENT = {"client_id": "11111111-2222-3333-4444-555555555555", "client_secret": "the secret"}


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    try:
        orthanc.install()
    except Trouble as trouble:
        pytest.skip(str(trouble))


class Pacs:
    """Orthanc and its forwarder under a supervisor, CoDetect's end played by a receiver."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = settings_apart(folder).model_copy(update=settings)
        secrets.load(folder)  # made now
        known = secrets.load(folder)
        self.programs = [orthanc.server(self.settings, known), orthanc.forwarder(self.settings, known)]
        self.supervisor = Supervisor(folder)
        self.receiver = Receiver(self.settings.port("gateway"))
        self.folder = folder
        self.rest = httpx.Client(
            base_url=orthanc.url(self.settings), auth=(orthanc.USER, known["orthanc"]), trust_env=False, timeout=30
        )

    def start(self) -> None:
        self.receiver.start()
        orthanc.name_facility(self.settings, "demo.localhost:8080", CLIENT)
        self.supervisor.start(self.programs)
        self.supervisor.launch("orthanc", "forwarder")
        self.wait_for_orthanc()

    def wait_for_orthanc(self) -> None:
        async def ready() -> None:
            async with asyncio.timeout(30):
                while True:
                    try:
                        return await self.programs[0].ready()
                    except OSError:
                        await asyncio.sleep(0.1)

        asyncio.run(ready())

    def stop(self) -> None:
        self.rest.close()
        self.supervisor.stop()
        self.receiver.stop()

    def scu(
        self, tool: str, *more: object, files: Sequence[Path] = (), aet: str = "STORESCU", called: str = orthanc.AET
    ) -> int:
        """One of DCMTK's tools against it; the exit code."""
        port = self.settings.port("orthanc_dicom")
        call = [tool, "-aet", aet, "-aec", called, *map(str, more), "127.0.0.1", str(port), *map(str, files)]
        return subprocess.run(call, capture_output=True, timeout=120, check=False).returncode

    def send(self, files: list[bytes]) -> list[str]:
        """By C-STORE; their SOP Instance UIDs."""
        folder = self.folder / f"sent-{time.monotonic_ns()}"
        folder.mkdir()
        for number, content in enumerate(files):
            (folder / f"{number:04}.dcm").write_bytes(content)
        assert self.scu("storescu", "-xv", "+sd", files=[folder]) == 0
        return [uid_of(content) for content in files]

    def marks(self) -> list[str]:
        """What is said of refused instances."""
        said = [self.rest.get(f"/instances/{one}/metadata?expand").json() for one in self.rest.get("/instances").json()]
        return [one["CoDetect"] for one in said if "CoDetect" in one]

    def idle(self) -> bool:
        """Whether the forwarder has seen all of the log."""
        cursor = self.folder / "orthanc/cursor"
        since = int(cursor.read_text()) if cursor.exists() else 0
        try:
            return self.rest.get(f"/changes?since={since}&limit=1").json()["Changes"] == []
        except httpx.TransportError:
            return False


def corrected(content: bytes) -> bytes:
    """The same instance with more said of it."""
    instance = pydicom.dcmread(io.BytesIO(content))
    instance.StudyDescription = "corrected, and longer than before"
    buffer = io.BytesIO()
    instance.save_as(buffer)
    return buffer.getvalue()


def uid_of(content: bytes) -> str:
    return str(pydicom.dcmread(io.BytesIO(content), specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


def until(condition: Callable[[], object], patience_s: float = 60) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    found = Pacs(tmp_path_factory.mktemp("pacs"))
    try:
        found.start()
        yield found
    finally:
        found.stop()


@pytest.fixture
def pacs(shared: Pacs) -> Iterator[Pacs]:
    """Orthanc with nothing in it, and a receiver that takes everything."""
    shared.receiver.answer = stored
    until(shared.idle)
    shared.receiver.has.clear()
    shared.receiver.requests.clear()
    yield shared
    for patient in shared.rest.get("/patients").json():
        shared.rest.delete(f"/patients/{patient}")


def test_those_who_are_listed_are_heard_and_nobody_else(pacs: Pacs) -> None:
    assert pacs.scu("echoscu") == 0
    assert pacs.scu("echoscu", aet="SOMEBODY") != 0
    assert pacs.scu("echoscu", called="ANOTHER") != 0
    anonymous = httpx.get(f"{orthanc.url(pacs.settings)}/studies", trust_env=False)
    assert anonymous.status_code == 401
    status = Path(f"/proc/{pacs.supervisor.processes()['orthanc']['pid']}/status").read_text()
    assert next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1] != "0"


def test_a_study_arrives_as_it_was_sent(pacs: Pacs) -> None:
    files = new_study(20)
    sent = pacs.send(files)
    until(lambda: set(pacs.receiver.has) == set(sent))
    for content in files:
        original = pydicom.dcmread(io.BytesIO(content))
        assert pydicom.dcmread(io.BytesIO(pacs.receiver.has[uid_of(content)])) == original
    status, headers, _ = pacs.receiver.requests[0]
    assert (status, headers["Host"]) == (200, "demo.localhost:8080")
    user, _, password = httpx.BasicAuth(*CLIENT.values())._auth_header.partition(" ")
    assert headers["Authorization"] == f"{user} {password}"
    until(pacs.idle)
    assert sum(len(uids) for _, _, uids in pacs.receiver.requests) == 20
    assert pacs.marks() == []
    assert len(pacs.rest.get("/instances").json()) == 20


def test_pynetdicom_is_heard_too(pacs: Pacs) -> None:
    (content,) = new_study(1)
    instance = pydicom.dcmread(io.BytesIO(content))
    sender = pynetdicom.AE("STORESCU")
    sender.add_requested_context("1.2.840.10008.1.1")
    sender.add_requested_context(instance.SOPClassUID, instance.file_meta.TransferSyntaxUID)
    port = pacs.settings.port("orthanc_dicom")
    association = sender.associate("127.0.0.1", port, ae_title=orthanc.AET)
    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(instance).Status == 0
    association.release()
    until(lambda: uid_of(content) in pacs.receiver.has)


def test_what_is_sent_again_arrives_again_and_as_it_is_now(pacs: Pacs) -> None:
    """A PACS corrects an instance; a study that was erased in CoDetect is sent once more, unchanged."""
    files = new_study(3)
    sent = pacs.send(files)
    until(lambda: set(pacs.receiver.has) == set(sent))
    pacs.send([corrected(files[1])])
    until(lambda: b"corrected" in pacs.receiver.has[sent[1]])
    pacs.receiver.has.clear()
    pacs.send(files)
    until(lambda: set(pacs.receiver.has) == set(sent))
    until(pacs.idle)
    assert len(pacs.rest.get("/instances").json()) == 3


def test_what_is_sent_again_while_it_waits_holds_up_nobody(pacs: Pacs) -> None:
    """It lies in a second request of the same page of the log, and isn't as long any more as it was then."""
    files, late = long_study(101), list[str]()
    pacs.receiver.answer = only(503)
    sent = pacs.send(files)
    until(lambda: pacs.receiver.requests and len(pacs.receiver.requests[-1][2]) == 100)

    def meanwhile(uids: list[str]) -> Any:
        pacs.receiver.answer = stored
        late.extend(pacs.send([corrected(one) for one in files if uid_of(one) not in uids]))
        return stored(uids)

    pacs.receiver.answer = meanwhile
    until(lambda: set(pacs.receiver.has) == set(sent))
    until(pacs.idle)
    assert pacs.marks() == []
    assert [b"corrected" in pacs.receiver.has[uid] for uid in late] == [True]


@pytest.mark.parametrize("status", [429, 503, 507, 502, 401, 404])
def test_what_is_not_taken_now_is_taken_later(pacs: Pacs, status: int) -> None:
    pacs.receiver.answer = only(status, Retry_After="1")
    sent = pacs.send(new_study(3))
    until(lambda: len(pacs.receiver.requests) >= 2)
    assert pacs.receiver.has == {}
    pacs.receiver.answer = stored
    until(lambda: set(pacs.receiver.has) == set(sent))
    until(pacs.idle)
    assert pacs.marks() == []


def test_nothing_is_lost_while_everything_falls_over(pacs: Pacs) -> None:
    sent = []
    pacs.receiver.stop()  # CoDetect is down
    sent += pacs.send(new_study(30))
    pacs.supervisor.kill("forwarder")
    sent += pacs.send(new_study(30))
    pacs.supervisor.kill("orthanc")
    pacs.wait_for_orthanc()
    pacs.receiver.answer = only(503)
    pacs.receiver.start()
    until(lambda: pacs.receiver.requests)
    sent += pacs.send(new_study(30))

    def slowly(uids: list[str]) -> Any:
        time.sleep(0.5)
        return stored(uids)

    pacs.receiver.answer = slowly
    for name in ("forwarder", "orthanc", "forwarder"):
        asked = len(pacs.receiver.requests)
        until(lambda asked=asked: len(pacs.receiver.requests) > asked or set(pacs.receiver.has) == set(sent))
        pacs.supervisor.kill(name)
    pacs.wait_for_orthanc()
    until(lambda: set(pacs.receiver.has) == set(sent))
    until(pacs.idle)
    assert pacs.marks() == []


def test_what_is_refused_is_marked_and_holds_up_nobody(pacs: Pacs) -> None:
    files = new_study(5)
    bad = uid_of(files[2])
    pacs.receiver.answer = refused({bad}, 0xA900)
    sent = pacs.send(files)
    until(pacs.idle)
    assert set(pacs.receiver.has) == set(sent) - {bad}
    assert pacs.marks() == ["refused: 0xa900 /api/v1/uploads/1"]
    (alone,) = new_study(1)
    pacs.receiver.answer = refused({uid_of(alone)}, 0x0122)  # 409
    pacs.send([alone])
    until(pacs.idle)
    assert sorted(pacs.marks()) == ["refused: 0x0122 /api/v1/uploads/1", "refused: 0xa900 /api/v1/uploads/1"]
    (after,) = pacs.send(new_study(1))
    until(lambda: after in pacs.receiver.has)


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_request_that_is_refused_as_a_whole_is_sent_in_parts(pacs: Pacs, status: int) -> None:
    files = new_study(9)
    bad = uid_of(files[4])
    pacs.receiver.answer = lambda uids: only(status)(uids) if bad in uids else stored(uids)
    sent = pacs.send(files)
    until(pacs.idle)
    assert set(pacs.receiver.has) == set(sent) - {bad}
    assert pacs.marks() == [f"refused: HTTP {status}"]


def test_an_instance_that_codetect_fails_on_waits_for_it_to_be_mended(pacs: Pacs) -> None:
    files = new_study(4)
    bad = uid_of(files[0])
    pacs.receiver.answer = lambda uids: only(500)(uids) if bad in uids else stored(uids)
    sent = pacs.send(files)
    until(lambda: sum(uids == [bad] for _, _, uids in pacs.receiver.requests) >= 2)
    assert pacs.marks() == []
    pacs.receiver.answer = stored
    until(lambda: set(pacs.receiver.has) == set(sent))


def result_of(content: bytes, manufacturer: str) -> bytes:
    """An SR in the study of an image."""
    image = pydicom.dcmread(io.BytesIO(content))
    result = pydicom.Dataset()
    for name in (
        "PatientID",
        "PatientName",
        "StudyInstanceUID",
        "StudyDate",
        "StudyTime",
        "AccessionNumber",
        "StudyID",
    ):
        setattr(result, name, image.get(name, ""))
    result.SOPClassUID = pydicom.uid.ComprehensiveSRStorage
    result.SOPInstanceUID, result.SeriesInstanceUID = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
    result.Modality, result.Manufacturer, result.SeriesNumber, result.InstanceNumber = "SR", manufacturer, 901, 1
    result.file_meta = pydicom.dataset.FileMetaDataset()
    result.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    result.file_meta.MediaStorageSOPClassUID = result.SOPClassUID
    result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
    buffer = io.BytesIO()
    result.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_results_that_come_back_are_not_sent_again(pacs: Pacs) -> None:
    files = new_study(2)
    sent = pacs.send(files)
    until(lambda: set(pacs.receiver.has) == set(sent))
    ours, theirs = (result_of(files[0], maker) for maker in ("CoDetect", "Somebody else"))
    for content in (ours, theirs):
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        headers = {"Content-Type": kind, "Accept": "application/dicom+json"}
        assert pacs.rest.post("/dicom-web/studies", content=body, headers=headers).status_code == 200
    until(lambda: uid_of(theirs) in pacs.receiver.has)
    until(pacs.idle)
    assert set(pacs.receiver.has) == {*sent, uid_of(theirs)}
    assert len(pacs.rest.get("/series").json()) == 3
    assert len(pacs.rest.get("/studies").json()) == 1


def test_a_study_may_be_sent_again_by_hand(pacs: Pacs) -> None:
    """Orthanc's own STOW-RS client, its entry `codetect` kept by the forwarder."""
    sent = pacs.send(new_study(2))
    until(lambda: set(pacs.receiver.has) == set(sent))
    until(pacs.idle)
    pacs.receiver.has.clear()
    pacs.receiver.requests.clear()
    (study,) = pacs.rest.get("/studies").json()
    body = {"Resources": [study], "Synchronous": True}
    assert pacs.rest.post("/dicom-web/servers/codetect/stow", json=body).status_code == 200
    assert set(pacs.receiver.has) == set(sent)
    _, headers, _ = pacs.receiver.requests[0]
    assert headers["Host"] == "demo.localhost:8080"
    assert headers["Authorization"] == httpx.BasicAuth(*CLIENT.values())._auth_header


def test_what_is_stored_is_forgotten_where_that_is_wanted(tmp_path: Path) -> None:
    pacs = Pacs(tmp_path, pacs_delete=True)
    try:
        pacs.start()
        files = new_study(5)
        bad = uid_of(files[3])
        pacs.receiver.answer = refused({bad}, 0xC000)
        sent = pacs.send(files)
        until(lambda: set(pacs.receiver.has) == set(sent) - {bad})
        until(lambda: len(pacs.rest.get("/instances").json()) == 1)
        assert pacs.marks() == ["refused: 0xc000 /api/v1/uploads/1"]
        (content,) = new_study(1)

        def meanwhile(uids: list[str]) -> Any:
            pacs.receiver.answer = stored
            pacs.send([corrected(content)])
            return stored(uids)

        pacs.receiver.answer = meanwhile
        (one,) = pacs.send([content])
        until(lambda: b"corrected" in pacs.receiver.has.get(one, b""))
        until(lambda: len(pacs.rest.get("/instances").json()) == 1)
    finally:
        pacs.stop()


def test_an_instance_that_codetect_goes_on_failing_on_lets_the_others_by_and_is_never_given_up(tmp_path: Path) -> None:
    pacs = Pacs(tmp_path)
    forwarder = pacs.programs[1]
    pacs.programs[1] = replace(forwarder, environment=forwarder.environment | {"PACS_PATIENCE_S": "1"})
    try:
        pacs.start()
        files = new_study(4)
        bad = uid_of(files[0])
        pacs.receiver.answer = lambda uids: only(500)(uids) if bad in uids else stored(uids)
        sent = pacs.send(files)
        until(lambda: set(pacs.receiver.has) == set(sent) - {bad})
        until(lambda: pacs.marks() == ["waiting: CoDetect fails on it"])
        pacs.supervisor.kill("forwarder")
        pacs.receiver.answer = stored
        until(lambda: bad in pacs.receiver.has)
        until(lambda: pacs.marks() == [])
    finally:
        pacs.stop()


def test_orthanc_keeps_what_comes_before_a_facility_is_named(tmp_path: Path) -> None:
    pacs = Pacs(tmp_path)
    try:
        pacs.start()
        named = orthanc.facility_file(pacs.settings)
        told = named.read_text()
        named.unlink()
        sent = pacs.send(new_study(2))
        log = pacs.supervisor.log / "forwarder.log"
        until(lambda: "No facility is named" in log.read_text())
        named.write_text(told)
        until(lambda: set(pacs.receiver.has) == set(sent))
        for content in log.read_text(), (pacs.supervisor.log / "orthanc.log").read_text():
            assert "FAULT-" not in content
            assert CLIENT["client_secret"] not in content
    finally:
        pacs.stop()


def certificates(folder: Path) -> None:
    """An authority, and what it says of Orthanc (`tls`) and of a device."""
    authority = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)

    def certify(name: str, key: ec.EllipticCurvePrivateKey) -> None:
        found = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .sign(authority, hashes.SHA256())
        )
        (folder / f"{name}.crt").write_bytes(found.public_bytes(serialization.Encoding.PEM))
        private = serialization.PrivateFormat.TraditionalOpenSSL
        pem = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
        (folder / f"{name}.key").write_bytes(pem)

    certify("ca", authority)
    for name in ("tls", "device"):
        certify(name, ec.generate_private_key(ec.SECP256R1()))
    authority = ec.generate_private_key(ec.SECP256R1())
    certify("stranger", ec.generate_private_key(ec.SECP256R1()))


def test_over_tls_a_device_shows_a_certificate(tmp_path: Path) -> None:
    """The folder as a container mounts it, with tls.json in it."""
    certificates(tmp_path)
    pacs = Pacs(tmp_path)
    server = pacs.programs[0]
    environment = server.environment | {"PACS_TLS": str(tmp_path)}
    folder = shutil.copytree(orthanc.SHIPPED, tmp_path / "config")
    pacs.programs[0] = replace(server, command=[*server.command[:-1], str(folder)], environment=environment)
    try:
        pacs.start()
        shown = {
            name: ["+tls", tmp_path / f"{name}.key", tmp_path / f"{name}.crt", "+cf", tmp_path / "ca.crt"]
            for name in ("device", "stranger")
        }
        assert pacs.scu("echoscu", *shown["device"]) == 0
        assert pacs.scu("echoscu", *shown["stranger"]) != 0
        assert pacs.scu("echoscu", "+tla", "+cf", tmp_path / "ca.crt") != 0
        assert pacs.scu("echoscu") != 0
    finally:
        pacs.stop()


async def test_up_down_and_reset_know_it(infra: Infrastructure, tmp_path: Path) -> None:
    named = {
        key: infra.environment[f"CODETECT_{key.upper()}"]
        for key in ("postgres_admin_url", "rabbitmq_url", "storage_url", "storage_access_key", "storage_secret_key")
    }
    prefix = infra.environment["CODETECT_STORAGE_BUCKET_PREFIX"]
    settings: Settings = settings_apart(tmp_path).model_copy(
        update={**named, "storage_bucket_prefix": prefix, "pacs": True}
    )
    stack = Stack(settings)
    try:
        assert [program.name for program in await stack.up(with_services=False)] == ["smtp", "orthanc"]
        names = [program.name for program in stack.programs()]
        assert names[-1] == "forwarder"
        pid = stack.supervisor.processes()["orthanc"]["pid"]
        for name in ("run/orthanc.sh", "orthanc", "orthanc/orthanc.json"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0
        await asyncio.to_thread(stack.down)
        assert not Path(f"/proc/{pid}").exists()
        assert is_free(settings.port("orthanc_dicom"))
        assert (tmp_path / "orthanc/data/index").exists()
        await asyncio.to_thread(stack.reset)
        assert not (tmp_path / "orthanc").exists()
    finally:
        clear(stack)
