"""DKIM (RFC 6376): RSA with SHA-256, and Ed25519 besides where there is such a key (RFC 8463)."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import dkim  # type: ignore[import-untyped]
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from pydantic import SecretStr

from codetect_auth.mails.message import on_wire
from codetect_auth.settings import MailerSettings

SMALLEST_BITS = 2048
SIGNED = (
    b"from to subject date message-id reply-to mime-version content-type content-transfer-encoding content-language "
    b"auto-submitted list-unsubscribe list-unsubscribe-post"
).split()
# Named once more than they are there: who adds another one breaks the signature.
OVERSIGNED = b"from to subject date message-id reply-to content-type list-unsubscribe list-unsubscribe-post".split()


class KeyRefused(ValueError):
    """A DKIM key that can't be used; the text says why."""


@dataclass(frozen=True)
class Key:
    """A private key as dkimpy wants it, and its record's name and value in DNS."""

    algorithm: bytes
    selector: str
    private: bytes
    record: str


class Signer:
    """Signs with each key that is set; with none, messages stay as they are."""

    def __init__(self, domain: str, keys: list[Key]) -> None:
        self.domain, self.keys = domain, keys

    @classmethod
    def of(cls, settings: MailerSettings) -> Self:
        """The keys of the settings. Raises KeyRefused."""
        keys = []
        if text := _text(settings.dkim_key, settings.dkim_key_file):
            keys.append(_rsa(text, settings.dkim_selector))
        if text := _text(settings.dkim_ed25519_key, settings.dkim_ed25519_key_file):
            keys.append(_ed25519(text, f"{settings.dkim_selector}-ed25519"))
        return cls(settings.dkim_domain or on_wire(settings.sender).rpartition("@")[2], keys)

    def sign(self, message: bytes) -> bytes:
        """The message with a signature of each key before it."""
        signatures = []
        for key in self.keys:
            signer = dkim.DKIM(message, signature_algorithm=key.algorithm)
            present = {name.lower() for name, _ in signer.headers}
            headers = [name for name in SIGNED if name in present] + OVERSIGNED
            names = key.selector.encode(), self.domain.encode(), key.private
            signatures.append(signer.sign(*names, canonicalize=(b"relaxed", b"relaxed"), include_headers=headers))
        return b"".join(signatures) + message


def _text(key: SecretStr, file: Path | None) -> str:
    if key.get_secret_value():
        return key.get_secret_value()
    try:
        return file.read_text() if file else ""
    except OSError as error:
        raise KeyRefused(f"The file of the DKIM key can't be read: {error.strerror}.") from None


def _load(text: str) -> object:
    try:
        return serialization.load_pem_private_key(text.replace("\\n", "\n").encode(), None)
    except (ValueError, TypeError):
        raise KeyRefused("A DKIM key is a private key in PEM, without a password.") from None


def _rsa(text: str, selector: str) -> Key:
    key = _load(text)
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < SMALLEST_BITS:
        raise KeyRefused(f"The DKIM key is not RSA of at least {SMALLEST_BITS} bits.")
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    return Key(b"rsa-sha256", selector, key.private_bytes(*forms), record)


def _ed25519(text: str, selector: str) -> Key:
    key = _load(text)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeyRefused("The second DKIM key is not Ed25519.")
    record = f"v=DKIM1; k=ed25519; p={base64.b64encode(key.public_key().public_bytes_raw()).decode()}"
    return Key(b"ed25519-sha256", selector, base64.b64encode(key.private_bytes_raw()), record)
