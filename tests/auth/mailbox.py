"""A real SMTP server that misbehaves when told to, with a certificate of its own making."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from codetect_local.ports import free_block
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Fault = str | Callable[[], Awaitable[str | None] | str | None]
HANG, DROP, DROP_AFTER = "hang", "drop", "drop after taking it"


@dataclass
class Kept:
    """A message that the server said yes to, or would have."""

    sender: str
    recipient: str
    content: bytes
    options: list[str]

    @property
    def message(self) -> EmailMessage:
        message = BytesParser(policy=policy.default).parsebytes(self.content)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def text(self) -> str:
        return self.part("plain")

    @property
    def html(self) -> str:
        return self.part("html")

    def part(self, kind: str) -> str:
        found = self.message.get_body((kind,))
        assert found
        return str(found.get_content())


@dataclass
class Mailbox:
    """Listens, keeps what comes, and does as `faults` say at each step: a reply, HANG, DROP, or something to call."""

    port: int
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    login: tuple[str, str] | None = None
    utf8: bool = True
    dsn: bool = False
    kept: list[Kept] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    connections: list[float] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    ca_file: Path | None = None
    _server: asyncio.Server | None = None
    _open: set[Any] = field(default_factory=set)

    async def start(self) -> None:
        context = self.tls if self.implicit else None
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Protocol(self), "127.0.0.1", self.port, ssl=context
        )

    async def stop(self) -> None:
        """Nobody listens any more, and open connections are cut."""
        if self._server:
            self._server.close()
        for protocol in list(self._open):
            if protocol.transport:
                protocol.transport.abort()
        self._server = None

    async def misbehave(self, step: str, server: SMTP) -> str | None:
        self.commands.append(step)
        fault = self.faults.get(step)
        if callable(fault):
            said = fault()
            fault = await said if isinstance(said, Awaitable) else said
        if fault == HANG:
            await asyncio.sleep(3600)
        if fault == DROP and server.transport:
            server.transport.abort()
            await asyncio.sleep(3600)
        return fault

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if fault := await self.misbehave("mail", server):
            return fault
        envelope.mail_from, envelope.mail_options = address, [*options]
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if fault := await self.misbehave("rcpt", server):
            return fault
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options = [*options]
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        fault = self.faults.get("data")
        if fault != DROP_AFTER and (said := await self.misbehave("data", server)):
            return said
        (recipient,) = envelope.rcpt_tos
        options = [*envelope.mail_options, *envelope.rcpt_options]
        content = envelope.original_content or b""
        self.kept.append(Kept(str(envelope.mail_from), recipient, content, options))
        if fault == DROP_AFTER:
            assert server.transport
            server.transport.abort()
            await asyncio.sleep(3600)
        if fault := await self.misbehave("taken", server):
            return fault
        return "250 2.0.0 taken"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        return AuthResult(success=given == self.login, handled=False)


class Protocol(SMTP):
    """One connection."""

    def __init__(self, mailbox: Mailbox) -> None:
        starttls = mailbox.tls if not mailbox.implicit else None
        super().__init__(
            mailbox,
            enable_SMTPUTF8=mailbox.utf8,
            tls_context=starttls,
            require_starttls=bool(starttls),
            authenticator=mailbox.authenticate if mailbox.login else None,
            auth_required=bool(mailbox.login),
            auth_require_tls=bool(starttls),
            hostname="mail.test",
            timeout=60,
        )
        self.mailbox = mailbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self.mailbox._open:
            self.mailbox.connections.append(time.monotonic())
        self.mailbox._open.add(self)
        if fault := self.mailbox.faults.get("connect"):
            assert isinstance(transport, asyncio.Transport)
            if fault == DROP:
                transport.abort()
            elif fault != HANG:
                transport.write(str(fault).encode() + b"\r\n")
                transport.close()
            self.transport = transport
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if "connect" not in self.mailbox.faults:
            super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.mailbox._open.discard(self)
        if self._handler_coroutine:
            super().connection_lost(error)

    async def push(self, status: Any) -> None:
        if self.mailbox.dsn and str(status) == "250 HELP":
            await super().push("250-DSN")
        await super().push(status)

    async def smtp_MAIL(self, arg: str) -> None:
        await super().smtp_MAIL(self._noted(arg))

    async def smtp_RCPT(self, arg: str) -> None:
        await super().smtp_RCPT(self._noted(arg))

    def _noted(self, arg: str) -> str:
        """What aiosmtpd doesn't know of, noted and taken away."""
        if not self.mailbox.dsn:
            return arg
        words = arg.split(" ")
        known = ("RET=", "ENVID=", "NOTIFY=", "ORCPT=")
        self.mailbox.commands += [word for word in words if word.startswith(known)]
        return " ".join(word for word in words if not word.startswith(known))


@asynccontextmanager
async def mailbox(**settings: Any) -> AsyncIterator[Mailbox]:
    """A server that listens until the end."""
    box = Mailbox(free_block(), **settings)
    await box.start()
    try:
        yield box
    finally:
        await box.stop()


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A self-made certificate for a server, and the file by which it is believed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    kinds = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(kinds), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(*forms))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return context, public
