"""Signatures of model bundles: OpenSSF model signing with a plain key pair, as `model_signing` has it (docs/adr/0058).

`model.sig` is a Sigstore bundle: a DSSE envelope around an in-toto statement that lists each file with its SHA-256.
Pure: the files' digests in, names and digests out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files as files_of
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

SIGNATURE = "model.sig"
MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
PEM = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)

Keys = Mapping[str, ec.EllipticCurvePublicKey]  # by fingerprint


class SignatureUnreadable(ValueError):
    """model.sig isn't a signature of a model with a key pair."""


class SignerUnknown(ValueError):
    """The signature names a key that isn't trusted."""


class SignatureWrong(ValueError):
    """The signature doesn't fit what it signs."""


@dataclass(frozen=True)
class Signed:
    """A signature that a trusted key made: the key's fingerprint, and each signed file's SHA-256."""

    signer: str
    files: Mapping[str, str]


def read_keys(text: str) -> Keys:
    """Public keys in PEM, one after the other (a line break may be written as \\n). Raises ValueError."""
    keys = {}
    text = text.replace("\\n", "\n")
    for found in PEM.findall(text):
        key = load_pem_public_key(found.encode())
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in HASHES:
            raise ValueError("a key of models is an elliptic curve's: P-256, P-384 or P-521")
        keys[fingerprint(key)] = key
    if PEM.sub("", text).strip():
        raise ValueError("keys of models are PUBLIC KEY blocks in PEM, one after the other")
    return keys


def shipped_keys() -> Keys:
    """The keys that sign the models which come with CoDetect."""
    return read_keys((files_of("codetect_inference") / "model-keys.pem").read_text())


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of the key in PEM, as the signature's hint has it."""
    return hashlib.sha256(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def sign(name: str, digests: Mapping[str, str], key: ec.EllipticCurvePrivateKey) -> bytes:
    """model.sig over files' SHA-256 by name; `name` says which model it is, to whoever reads it."""
    public = key.public_key()
    if public.curve.name not in HASHES:
        raise ValueError("models are signed with an elliptic curve's key: P-256, P-384 or P-521")
    resources = [{"name": file, "digest": digests[file], "algorithm": "sha256"} for file in sorted(digests)]
    method = {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": [SIGNATURE]}
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root(resources)}}],
        "predicateType": PREDICATE,
        "predicate": {"serialization": method, "resources": resources},
    }
    payload = json.dumps(statement, indent=2).encode()
    made = key.sign(_encoded(payload), ec.ECDSA(HASHES[public.curve.name]()))
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": fingerprint(public)}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(made).decode(), "keyid": ""}],
        },
    }
    return json.dumps(bundle).encode() + b"\n"


def verify(content: bytes, keys: Keys) -> Signed:
    """What a model.sig says, once a trusted key vouches for it. Raises one of the errors above.

    The files themselves have still to be compared. Whoever signed with a key of theirs alone, without Sigstore's
    services, is known by that key; no log and no certificate is asked.
    """
    try:
        bundle: Any = json.loads(content)
        if bundle["mediaType"] != MEDIA_TYPE:
            raise SignatureUnreadable(f"its media type is {bundle['mediaType']!r}, not {MEDIA_TYPE}")
        hint = bundle["verificationMaterial"]["publicKey"]["hint"]
        envelope = bundle["dsseEnvelope"]
        (one,) = envelope["signatures"]
        payload, made = (base64.b64decode(part, validate=True) for part in (envelope["payload"], one["sig"]))
        kind = envelope["payloadType"]
    except SignatureUnreadable:
        raise
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SignatureUnreadable("it isn't a Sigstore bundle signed with a key pair") from error
    key = keys.get(str(hint))
    if key is None:
        raise SignerUnknown(f"it was signed with the key {str(hint)[:64]!r}, which isn't trusted here")
    try:
        key.verify(made, _encoded(payload), ec.ECDSA(HASHES[key.curve.name]()))
    except InvalidSignature as error:
        raise SignatureWrong("the signature doesn't fit what it signs") from error
    if kind != PAYLOAD_TYPE:
        raise SignatureUnreadable(f"it signs {kind!r}, not {PAYLOAD_TYPE}")
    return Signed(str(hint), _files(payload))


def _files(payload: bytes) -> dict[str, str]:
    """The digests that a statement lists."""
    try:
        statement: Any = json.loads(payload)
        predicate = statement["predicate"]
        kinds = (statement["_type"], statement["predicateType"], predicate["serialization"]["method"])
        (subject,) = statement["subject"]
        resources = predicate["resources"]
        found = {str(one["name"]): str(one["digest"]) for one in resources}
        sound = (
            kinds == (STATEMENT, PREDICATE, "files")
            and len(found) == len(resources)
            and all(one["algorithm"] == "sha256" for one in resources)
            and subject["digest"]["sha256"] == _root(resources)
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SignatureUnreadable("what it signs isn't a statement about a model") from error
    if not sound:
        raise SignatureUnreadable("it isn't a list of files with their SHA-256, as model signing 1.0 writes it")
    return found


def _root(resources: list[dict[str, str]]) -> str:
    """SHA-256 over the files' digests, in their order."""
    return hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in resources)).hexdigest()


def _encoded(payload: bytes) -> bytes:
    """What is signed: DSSE's pre-authentication encoding, v1."""
    return b" ".join([b"DSSEv1", str(len(PAYLOAD_TYPE)).encode(), PAYLOAD_TYPE.encode(), b"%d" % len(payload), payload])
