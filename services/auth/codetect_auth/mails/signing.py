"""DKIM (RFC 6376), relaxed/relaxed: RSA with SHA-256, and Ed25519 besides where there is such a key (RFC 8463).

Our own, since dkimpy has no wheel, and images take nothing else; with it, tests verify what we sign.
"""

import base64
import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
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
    """A private key, and its record's name and value in DNS."""

    algorithm: str
    selector: str
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    record: str

    def sign(self, data: bytes) -> bytes:
        """A signature of the data's SHA-256."""
        if isinstance(self.private, rsa.RSAPrivateKey):
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.private.sign(hashlib.sha256(data).digest())


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
        head, _, body = message.partition(b"\r\n\r\n")
        headers = {name.lower(): line for line in _unfolded(head) for name in [line.partition(b":")[0]]}
        names = [name for name in SIGNED if name in headers] + OVERSIGNED
        # Each is there once: its second mention in `h` stands for nothing (section 5.4.2).
        signed = b"".join(_relaxed(headers[name]) + b"\r\n" for name in SIGNED if name in headers)
        digest = base64.b64encode(hashlib.sha256(_relaxed_body(body)).digest()).decode()
        return b"".join(self._signature(key, names, signed, digest) for key in self.keys) + message

    def _signature(self, key: Key, names: list[bytes], signed: bytes, digest: str) -> bytes:
        h = b":\r\n ".join(b":".join(names[at : at + 5]) for at in range(0, len(names), 5)).decode()
        header = (
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f" s={key.selector}; t={int(time.time())}; h={h};\r\n bh={digest};\r\n b="
        ).encode()
        text = base64.b64encode(key.sign(signed + _relaxed(header.replace(b"\r\n", b""))))
        return header + b"\r\n ".join(text[at : at + 72] for at in range(0, len(text), 72)) + b"\r\n"


def _unfolded(head: bytes) -> list[bytes]:
    return re.sub(rb"\r\n(?=[ \t])", b"", head).split(b"\r\n")


def _relaxed(header: bytes) -> bytes:
    """Section 3.4.2, for an unfolded header."""
    name, _, value = header.partition(b":")
    return name.strip().lower() + b":" + re.sub(rb"[ \t]+", b" ", value).strip()


def _relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    text = b"\r\n".join(lines).rstrip(b"\r\n")
    return text + b"\r\n" if text else b""


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
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    return Key("rsa-sha256", selector, key, record)


def _ed25519(text: str, selector: str) -> Key:
    key = _load(text)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeyRefused("The second DKIM key is not Ed25519.")
    record = f"v=DKIM1; k=ed25519; p={base64.b64encode(key.public_key().public_bytes_raw()).decode()}"
    return Key("ed25519-sha256", selector, key, record)
