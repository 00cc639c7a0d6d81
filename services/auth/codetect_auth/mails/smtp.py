"""The way to the mail server: one connection, kept while there is something to send, and what its answers mean."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from codetect_auth.mails.kinds import one_line
from codetect_auth.mails.message import Parcel, on_wire
from codetect_auth.settings import MailerSettings, Tls

IDLE_S = 10
PER_CONNECTION = 100
ADDRESS = re.compile(r"[^\s<>\"',;:()\[\]]+@[^\s<>\"',;:()\[\]]+")
STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
# Enhanced codes (RFC 3463) by which an address has no mailbox: not known, moved, switched off, no such domain.
NO_MAILBOX = re.compile(r"5\.(1\.[0-36]|1\.10|2\.1|4\.4)\b")


class MailTrouble(Exception):
    """A mail wasn't taken; the text says why, without an address."""


class ServerAway(MailTrouble):
    """The mail server can't be reached, or takes nothing from us: nothing that is this mail's fault."""


class Deferred(MailTrouble):
    """The mail server asks to try this mail again later (4xx)."""


class Refused(MailTrouble):
    """The mail server will never take this mail (5xx); `no_mailbox`: nor any other to this address."""

    def __init__(self, reason: str, *, no_mailbox: bool = False) -> None:
        super().__init__(reason)
        self.no_mailbox = no_mailbox


class Unsure(MailTrouble):
    """The text was on its way and no answer came: nobody knows whether the server has it."""


class Courier:
    """Hands parcels to the mail server, one at a time."""

    def __init__(self, settings: MailerSettings) -> None:
        self._settings = settings
        self._tls = ssl.create_default_context(cafile=settings.smtp_ca_file)
        self._connection: SMTP | None = None
        self._handed = 0
        self._closing: asyncio.TimerHandle | None = None

    async def hand_over(self, parcel: Parcel, mark: Callable[[], Awaitable[None]]) -> None:
        """Send one; `mark` is awaited when only the text is left to send. Raises a MailTrouble, or what `mark` does."""
        if self._closing:
            self._closing.cancel()
        try:
            connection = await self._envelope(parcel)
            await mark()
            await self._text(connection, parcel)
        except (Deferred, Refused):
            await self._keep()
            raise
        except BaseException:
            self.drop()
            raise
        await self._keep()

    async def connect(self) -> SMTP:
        """A connection that is private and logged in. Raises ServerAway."""
        s = self._settings
        connection = SMTP(
            hostname=s.smtp_host,
            port=s.smtp_port,
            timeout=s.smtp_timeout_s,
            local_hostname=s.smtp_ehlo_name or on_wire(s.sender).rpartition("@")[2],
            use_tls=s.smtp_tls is Tls.IMPLICIT,
            start_tls=s.smtp_tls is Tls.STARTTLS,
            tls_context=None if s.smtp_tls is Tls.NONE else self._tls,
        )
        try:
            await connection.connect()
            await connection.ehlo()
            if s.smtp_user:
                await connection.login(s.smtp_user, s.smtp_password.get_secret_value())
        except (SMTPException, OSError, TimeoutError, ValueError) as error:
            connection.close()
            raise ServerAway(reason_of(error)) from None
        except BaseException:
            connection.close()
            raise
        return connection

    async def _envelope(self, parcel: Parcel) -> SMTP:
        """Sender and recipient; a kept connection that has died in the meantime is replaced once."""
        kept, connection = self._connection, self._connection or await self.connect()
        self._connection = connection
        try:
            await self._name(connection, parcel)
        except ServerAway:
            if kept is None:
                raise
            self.drop()
            connection = self._connection = await self.connect()
            await self._name(connection, parcel)
        return connection

    async def _name(self, connection: SMTP, parcel: Parcel) -> None:
        if parcel.utf8 and not connection.supports_extension("smtputf8"):
            raise Refused("The mail server can't take addresses with letters beyond ASCII (SMTPUTF8).")
        of_mail = ["SMTPUTF8", "BODY=8BITMIME"] if parcel.utf8 else []
        of_recipient = []
        if connection.supports_extension("dsn"):
            of_mail += ["RET=HDRS", f"ENVID={parcel.id.hex}"]
            of_recipient = ["NOTIFY=FAILURE"]
        encoding = "utf-8" if parcel.utf8 else "ascii"
        try:
            await connection.mail(parcel.sender, options=of_mail, encoding=encoding)
        except (SMTPException, OSError, TimeoutError) as error:
            # Even a 5xx here is about us, not about the mail: a person can put it right while the mail waits.
            raise ServerAway(reason_of(error)) from None
        try:
            await connection.rcpt(parcel.recipient, options=of_recipient, encoding=encoding)
        except SMTPResponseException as error:
            raise verdict(error, "rcpt") from None
        except (SMTPException, OSError, TimeoutError) as error:
            raise ServerAway(reason_of(error)) from None

    async def _text(self, connection: SMTP, parcel: Parcel) -> None:
        try:
            await connection.data(parcel.content, timeout=self._settings.smtp_data_timeout_s)
        except SMTPResponseException as error:
            raise verdict(error, "data") from None
        except (SMTPException, OSError, TimeoutError) as error:
            raise Unsure(reason_of(error)) from None

    async def _keep(self) -> None:
        """Leave the connection open for the next one, for a while."""
        self._handed += 1
        try:
            if self._handed >= PER_CONNECTION:
                await self.close()
            elif self._connection:
                await self._connection.rset()
                self._closing = asyncio.get_running_loop().call_later(IDLE_S, self.drop)
        except (SMTPException, OSError, TimeoutError):
            self.drop()

    def drop(self) -> None:
        """Close the connection without a word."""
        if self._connection:
            self._connection.close()
        self._connection, self._handed = None, 0

    async def close(self) -> None:
        """Take leave of the server."""
        if self._closing:
            self._closing.cancel()
        if self._connection:
            with contextlib.suppress(SMTPException, OSError, TimeoutError):
                await self._connection.quit(timeout=2)
        self.drop()


def verdict(error: SMTPResponseException, step: str) -> MailTrouble:
    """What an answer to a recipient or a text means. A 421 closes the connection: the server is going away."""
    reason = reason_of(error)
    if error.code == 421 or error.code < 400:
        return ServerAway(reason)
    if error.code < 500:
        return Deferred(reason)
    found = STATUS.search(error.message)
    gone = bool(NO_MAILBOX.match(found[1])) if found else error.code == 550 and step == "rcpt"
    return Refused(reason, no_mailbox=gone and step == "rcpt")


def reason_of(error: BaseException) -> str:
    """An error in words that may be kept and logged: what looks like an address is left out."""
    if isinstance(error, SMTPResponseException):
        return f"{error.code} {without_addresses(error.message)}"
    if isinstance(error, TimeoutError):
        return "The mail server didn't answer in time."
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or type(error).__name__}: {without_addresses(str(error.args[-1]))}"
    text = error.message if isinstance(error, SMTPException) else str(error)
    return without_addresses(f"{type(error).__name__}: {text}")


def without_addresses(text: str) -> str:
    """At most 200 characters on one line, no address among them."""
    return ADDRESS.sub("<address>", one_line(text))[:200]
