"""Signatures verify with an independent reader, and break when anything that matters is changed."""

from collections.abc import Callable
from datetime import UTC, datetime

import dkim
import pytest
from codetect_auth.mails.kinds import Kind
from codetect_auth.mails.message import write
from codetect_auth.mails.signing import KeyRefused, Signer
from codetect_auth.settings import MailerSettings
from codetect_shared.db import uuid7
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.auth.conftest import House
from tests.auth.mailbox import mailbox
from tests.auth.post import posting
from tests.auth.test_wording import worded

Resolver = Callable[..., bytes | None]


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    forms = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*forms).decode()


RSA, ED25519 = rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()
KEYS = {"dkim_key": pem(RSA), "dkim_ed25519_key": pem(ED25519)}


def resolver(signer: Signer) -> Resolver:
    """DNS as it should be."""
    records = {f"{key.selector}._domainkey.{signer.domain}.": key.record for key in signer.keys}

    def look_up(name: bytes | str, timeout: int = 5) -> bytes | None:
        found = records.get(name.decode() if isinstance(name, bytes) else name)
        return found.encode() if found else None

    return look_up


def verified(message: bytes, look_up: Resolver, number: int = 0) -> bool:
    try:
        return bool(dkim.DKIM(message).verify(number, dnsfunc=look_up))
    except dkim.DKIMException:
        return False


@pytest.fixture
def signed(environment: dict[str, str]) -> tuple[bytes, Resolver]:
    settings = MailerSettings(mail_from="no-reply@mail.clinic.example", mail_reply_to="help@clinic.example", **KEYS)
    headers = {
        "List-Unsubscribe": "<https://nord.example.org/stop/x>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    wording = worded(Kind.ANALYSES_FAILED, "de")
    parcel = write(settings, uuid7(), datetime.now(UTC), "mira@clinic.example", wording, headers)
    signer = Signer.of(settings)
    return signer.sign(parcel.content), resolver(signer)


def test_both_signatures_verify_relaxed_with_from_oversigned(signed: tuple[bytes, Resolver]) -> None:
    message, look_up = signed
    assert message.count(b"DKIM-Signature:") == 2
    for number in (0, 1):
        assert verified(message, look_up, number)
    head = message.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    signatures = [line for line in head.splitlines() if line.startswith(b"DKIM-Signature")]
    for line in signatures:
        tags = dict(part.strip().split(b"=", 1) for part in line.partition(b":")[2].split(b";"))
        assert tags[b"c"] == b"relaxed/relaxed"
        assert tags[b"d"] == b"mail.clinic.example"
        names = tags[b"h"].replace(b" ", b"").split(b":")
        for name in (b"from", b"to", b"subject", b"date", b"message-id", b"reply-to"):
            assert names.count(name) == 2, name
        assert {b"list-unsubscribe", b"list-unsubscribe-post", b"auto-submitted", b"mime-version"} <= set(names)
    assert {b"rsa-sha256", b"ed25519-sha256"} == {line.partition(b"a=")[2].partition(b";")[0] for line in signatures}


CHANGES = {
    "the body": (b"gescheitert", b"gelungen"),
    "From": (b"From: ", b"From: Evil "),
    "Subject": (b"Subject: ", b"Subject: Re: "),
    "To": (b"To: mira", b"To: jonas"),
    "Date": (b"Date: ", b"Date: Mon, "),
    "Message-ID": (b"Message-ID: <", b"Message-ID: <x"),
    "another From": (b"Subject: ", b"From: evil@evil.example\r\nSubject: "),
    "another Subject": (b"To: ", b"Subject: Evil\r\nTo: "),
    "another Reply-To": (b"To: ", b"Reply-To: evil@evil.example\r\nTo: "),
    "another way out": (b"To: ", b"List-Unsubscribe: <https://evil.example>\r\nTo: "),
}


@pytest.mark.parametrize("what", CHANGES)
def test_whatever_is_changed_breaks_both(signed: tuple[bytes, Resolver], what: str) -> None:
    message, look_up = signed
    head, _, body = message.partition(b"\r\n\r\n")
    old, new = CHANGES[what]
    changed = head + b"\r\n\r\n" + body.replace(old, new) if what == "the body" else None
    if changed is None:
        start = head.rindex(b"\r\nFrom: ") + 2
        changed = head[:start] + head[start:].replace(old, new, 1) + b"\r\n\r\n" + body
    assert changed != message
    assert not verified(changed, look_up, 0)
    assert not verified(changed, look_up, 1)


def test_folding_anew_and_spaces_break_nothing(signed: tuple[bytes, Resolver]) -> None:
    message, look_up = signed
    assert verified(message.replace(b"To: mira", b"to:   mira") + b"\r\n\r\n", look_up)


async def test_mails_are_signed_on_their_way(house: House) -> None:
    async with mailbox() as box, posting(house, box, **KEYS) as post:
        await post.ask(to="mira@clinic.example")
        await post.ask(to="mirä@clinic.example", cause="other")
        await post.deliver()
        assert len(box.kept) == 2
        for kept in box.kept:
            assert verified(kept.content, resolver(Signer.of(post.settings)))


def test_keys_that_are_no_good_are_refused(environment: dict[str, str]) -> None:
    short = pem(rsa.generate_private_key(65537, 1024))
    other = pem(ec.generate_private_key(ec.SECP256R1()))
    for bad in (
        {"dkim_key": short},
        {"dkim_key": other},
        {"dkim_key": "nonsense"},
        {"dkim_ed25519_key": KEYS["dkim_key"]},
    ):
        with pytest.raises(KeyRefused) as refused:
            Signer.of(MailerSettings(**bad))
        assert "BEGIN" not in str(refused.value)
    assert Signer.of(MailerSettings(dkim_key=KEYS["dkim_key"].replace("\n", "\\n"))).keys
