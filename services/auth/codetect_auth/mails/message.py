"""A mail as it goes over the wire: headers, two forms of the same words, and whom it is from and to."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from uuid import UUID

import idna

from codetect_auth.mails.wording import Wording
from codetect_auth.settings import MailerSettings

# Values that are one word: Python would cut them, or write them as encoded words, which nobody reads there.
WHOLE = {"message-id", "list-unsubscribe", "list-unsubscribe-post", "dkim-signature"}
TAG_BYTES = 8


class AddressRefused(ValueError):
    """This is no address that mail can go to. The text never has it."""


class WholeWords(EmailPolicy):
    """CRLF, folded at 78 characters, but for values that are one word."""

    def fold(self, name: str, value: str) -> str:
        """As text."""
        return f"{name}: {value}\r\n" if name.lower() in WHOLE else super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        """As bytes."""
        return f"{name}: {value}\r\n".encode() if name.lower() in WHOLE else super().fold_binary(name, value)


POLICY = WholeWords(linesep=SMTP.linesep)


@dataclass(frozen=True)
class Parcel:
    """A message with its envelope; `utf8`: an address needs SMTPUTF8 (RFC 6531)."""

    id: UUID
    sender: str
    recipient: str
    utf8: bool
    content: bytes


def write(
    settings: MailerSettings, id: UUID, created_at: datetime, to: str, wording: Wording, headers: Mapping[str, str]
) -> Parcel:
    """The message of a mail's row: written again it is the same, so that a receiver can drop a copy.

    Raises AddressRefused.
    """
    recipient, sender = on_wire(to), on_wire(settings.sender)
    utf8 = not (recipient + sender).isascii()
    message = EmailMessage(POLICY.clone(utf8=utf8))
    message["From"] = _address(sender, wording.sender)
    message["To"] = _address(recipient)
    if settings.mail_reply_to:
        message["Reply-To"] = _address(on_wire(settings.mail_reply_to))
    message["Subject"] = wording.subject
    message["Date"] = format_datetime(created_at)
    message["Message-ID"] = message_id(settings, id)
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    for name, value in headers.items():
        message[name] = value
    message.set_content(wording.text, cte="quoted-printable")
    message.add_alternative(wording.html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = wording.language  # only here: the alternatives take what stands there before
    message.set_boundary(f"={id.hex}=")
    return Parcel(id, envelope_sender(settings, id), recipient, utf8, message.as_bytes())


def message_id(settings: MailerSettings, id: UUID) -> str:
    """The same for every try, and for nothing else."""
    return f"<{id}@{on_wire(settings.sender).rpartition('@')[2]}>"


def envelope_sender(settings: MailerSettings, id: UUID) -> str:
    """Whom a report of failed delivery goes to, and which mail it is about, signed so that nobody makes one up."""
    if not settings.mail_bounce_address:
        return on_wire(settings.sender)
    local, _, domain = on_wire(settings.mail_bounce_address).rpartition("@")
    return f"{local}+{id.hex}-{bounce_tag(settings.master_key, id)}@{domain}"


def bounce_tag(master_key: bytes, id: UUID) -> str:
    """What only we can put behind a mail's id."""
    return hmac.digest(master_key, b"bounce/" + id.bytes, "sha256")[:TAG_BYTES].hex()


def on_wire(address: str) -> str:
    """An address with its domain in ASCII (RFC 5891). Raises AddressRefused."""
    local, at, domain = address.rpartition("@")
    try:
        if not domain.isascii():
            domain = idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise AddressRefused("The domain's name is not valid.") from None
    found = f"{local}{at}{domain}"
    if not local or not domain or not found.isprintable() or any(c in found for c in ' "<>(),;:\\'):
        raise AddressRefused("This is no e-mail address.")
    return found


def _address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)
