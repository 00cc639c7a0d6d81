"""`HOST` and `TLS`: certificates that clients accept, refusals that say what is missing, TLS before a plain port."""

import asyncio
import hashlib
import os
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from codetect_local import forward, tls
from codetect_local.settings import Settings, Trouble
from cryptography import x509

from tests.gateway.conftest import free_port

HOST = "ct.localhost"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests put into the environment is not meant here."""
    for name in [name for name in os.environ if name.startswith("CODETECT_")]:
        monkeypatch.delenv(name)


def settings(state: Path, **values: object) -> Settings:
    return Settings(state_dir=state, **values)


def test_a_machine_of_its_own_needs_no_certificate(tmp_path: Path) -> None:
    assert tls.certificate(settings(tmp_path)) is None
    assert settings(tmp_path).address.format("demo") == "http://demo.localhost:8080"


def test_facilities_lie_below_the_host(tmp_path: Path) -> None:
    named = settings(tmp_path, host="CT.Hospital.Example.", tls="self")
    assert named.base_domain == "ct.hospital.example"
    assert named.address.format("demo") == "https://demo.ct.hospital.example:8443"


@pytest.mark.parametrize("given", [{"host": HOST}, {"tls": "self"}])
def test_host_and_tls_go_together(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(Trouble, match="HOST and TLS go together"):
        tls.certificate(settings(tmp_path, **given))


def test_the_authority_stays_and_the_certificate_is_renewed(tmp_path: Path) -> None:
    wanted = settings(tmp_path, host=HOST, tls="self")
    first = tls.certificate(wanted)
    assert first is not None
    assert first.authority is not None
    authority, chain = first.authority.read_bytes(), first.chain.read_bytes()
    assert tls.certificate(wanted) == first
    assert first.chain.read_bytes() == chain, "asked again, the same"
    assert (tmp_path / "tls" / "ca.key").stat().st_mode & 0o777 == 0o600
    other = tls.certificate(settings(tmp_path, host=f"b.{HOST}", tls="self"))
    assert other is not None
    assert first.authority.read_bytes() == authority, "who trusts it isn't asked again"
    assert other.chain.read_bytes() != chain


def renamed(state: Path, host: str) -> dict[str, object]:
    """A certificate of this name as files from elsewhere."""
    made = tls.certificate(settings(state, host=host, tls="self"))
    assert made is not None
    return {"tls_cert": made.chain, "tls_key": made.key}


def test_files_must_fit_each_other_and_the_host(tmp_path: Path) -> None:
    good = renamed(tmp_path / "good", HOST)
    assert tls.certificate(settings(tmp_path / "ours", host=HOST, tls="files", **good)) is not None
    other = renamed(tmp_path / "other", "elsewhere.example")
    for given, complaint in (
        ({}, "needs CODETECT_TLS_CERT"),
        (other, r"must name ct\.localhost and \*\.ct\.localhost"),
        ({**good, "tls_key": other["tls_key"]}, "isn't the key"),
        ({**good, "tls_cert": tmp_path / "nothing"}, "can't be read"),
    ):
        with pytest.raises(Trouble, match=complaint):
            tls.certificate(settings(tmp_path / "ours", host=HOST, tls="files", **given))


def test_an_old_certificate_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "DAYS", 0)
    old = renamed(tmp_path / "old", HOST)
    assert x509.load_pem_x509_certificate(Path(str(old["tls_cert"])).read_bytes()).not_valid_after_utc < datetime.now(
        UTC
    ) + timedelta(days=1)
    with pytest.raises(Trouble, match="is valid from"):
        tls.certificate(settings(tmp_path / "ours", host=HOST, tls="files", **old))


async def test_a_plain_port_gets_tls_in_front(tmp_path: Path) -> None:
    """Sixteen megabytes there and back, checked by name and authority; without TLS, nothing gets through."""
    made = tls.certificate(settings(tmp_path, host=HOST, tls="self"))
    assert made is not None
    port, plain = free_port(), free_port()
    seen: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            seen.append(data)
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", plain)
    call = ["-m", "codetect_local.forward", "127.0.0.1", str(port), str(plain), str(made.chain), str(made.key)]
    process = await asyncio.create_subprocess_exec(sys.executable, *call, stderr=asyncio.subprocess.DEVNULL)
    try:
        context = ssl.create_default_context(cafile=made.authority)
        async with asyncio.timeout(20):
            while True:
                try:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", port, ssl=context, server_hostname=f"demo.{HOST}"
                    )
                    break
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
            body = os.urandom(16 * 2**20)

            async def send() -> None:
                for start in range(0, len(body), 65536):
                    writer.write(body[start : start + 65536])
                    await writer.drain()

            _, back = await asyncio.gather(send(), reader.readexactly(len(body)))
            assert hashlib.sha256(back).digest() == hashlib.sha256(body).digest()
            writer.close()
            await writer.wait_closed()
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="evil.example")
            passed = len(seen)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await reader.read() == b""
            writer.close()
            assert len(seen) == passed
    finally:
        process.terminate()
        await process.wait()
        server.close()
        await server.wait_closed()


async def test_a_slow_upload_isnt_idle_though_nothing_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store answers when it has everything; a connection on which nothing moves either way is let go."""
    monkeypatch.setattr(forward, "IDLE_S", 0.5)
    taken = bytearray()

    async def store(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while len(taken) < 10:
            taken.extend(await reader.read(1))
        writer.write(b"done")
        await reader.read()
        writer.close()

    inner = await asyncio.start_server(store, "127.0.0.1", 0)
    forwarder = forward.Forwarder(inner.sockets[0].getsockname()[1])
    outer = await asyncio.start_server(forwarder.join, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", outer.sockets[0].getsockname()[1])
    for _ in range(10):
        writer.write(b"x")
        await asyncio.sleep(0.2)
    assert await reader.readexactly(4) == b"done"
    async with asyncio.timeout(5):
        assert await reader.read() == b"", "idle, so over"
    writer.close()
    for server in (outer, inner):
        server.close()
        await server.wait_closed()
