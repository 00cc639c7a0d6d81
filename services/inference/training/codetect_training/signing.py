"""Sign a bundle with a private key that stays with whoever vouches for the model (docs/versions.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from codetect_inference.bundle import digests, open_folder
from codetect_inference.signature import SIGNATURE, fingerprint, read_keys, sign
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from codetect_training.packing import open_given


def sign_bundle(folder: Path, key_file: Path, ask: Callable[[str], str]) -> str:
    """Write `folder`/model.sig; the bundle is checked before and after. Returns the key's fingerprint."""
    bundle = open_given(folder)
    key = _private_key(key_file.read_bytes(), ask)
    named = f"{bundle.manifest.name} {bundle.manifest.version}"
    (folder / SIGNATURE).write_bytes(sign(named, digests(bundle.manifest, bundle.sha256), key))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    open_folder(folder, read_keys(public.decode()))
    return fingerprint(key.public_key())


def _private_key(pem: bytes, ask: Callable[[str], str]) -> ec.EllipticCurvePrivateKey:
    password = ask("Password of the key: ").encode() if b"ENCRYPTED" in pem else None
    try:
        key = load_pem_private_key(pem, password)
    except ValueError as error:
        raise SystemExit("The key can't be read: it is no private key in PEM, or the password is wrong.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SystemExit("Models are signed with an elliptic curve's key: P-256, P-384 or P-521.")
    return key
