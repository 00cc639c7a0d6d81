"""The key that signs the tests' model bundles; `tests/conftest.py` has the services that tests start trust it.

Another stack trusts it with `CODETECT_INFERENCE_MODEL_KEYS="$(.venv/bin/python -m tests.signing)"`.
"""

import hashlib
from collections.abc import Mapping

from codetect_inference.signature import SIGNATURE, sign
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TRUSTED = "CODETECT_INFERENCE_MODEL_KEYS"


def made(name: str) -> ec.EllipticCurvePrivateKey:
    """A key of this name: no secret, and always the same, so that what an earlier run registered is still trusted."""
    return ec.derive_private_key(int(hashlib.sha256(name.encode()).hexdigest(), 16), ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY = made("CoDetect's tests")


def signed(files: Mapping[str, bytes], key: ec.EllipticCurvePrivateKey = KEY) -> dict[str, bytes]:
    """The same files with their signature."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != SIGNATURE}
    return {**files, SIGNATURE: sign("for tests", digests, key)}


if __name__ == "__main__":
    print(public_pem(KEY), end="")
