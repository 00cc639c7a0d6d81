"""A software authenticator: what a browser and a security key do together (WebAuthn Level 3), with any part bent."""

import hashlib
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ES256 = -7


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Credential:
    """One passkey, with its private key."""

    id: bytes
    rp_id: str
    user_handle: bytes
    key: ec.EllipticCurvePrivateKey
    count: int = 0


@dataclass
class Authenticator:
    """Holds passkeys, and answers as a browser at `origin` would; `verifies`: it asks for a finger or a PIN."""

    origin: str
    verifies: bool = True
    counts: bool = True
    credentials: dict[bytes, Credential] = field(default_factory=dict)

    def create(self, options: dict[str, Any], **bent: Any) -> dict[str, Any]:
        """`navigator.credentials.create(...)`, then `toJSON()`."""
        assert ES256 in [each["alg"] for each in options["pubKeyCredParams"]]
        assert not {unb64(each["id"]) for each in options["excludeCredentials"]} & self.credentials.keys()
        made = Credential(
            bent.get("id") or os.urandom(32),
            bent.get("rp_id", options["rp"]["id"]),
            unb64(options["user"]["id"]),
            ec.generate_private_key(ec.SECP256R1()),
        )
        self.credentials[made.id] = made
        point = made.key.public_key().public_numbers()
        x, y = (value.to_bytes(32, "big") for value in (point.x, point.y))
        public = cbor2.dumps({1: 2, 3: ES256, -1: 1, -2: x, -3: y})
        attested = bytes(16) + len(made.id).to_bytes(2, "big") + made.id + public
        data = self._data(made, ATTESTED) + attested
        client_data = self._client_data("webauthn.create", options["challenge"], bent)
        response = {
            "clientDataJSON": b64(client_data),
            "attestationObject": b64(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal", "hybrid"],
        }
        return {"id": b64(made.id), "rawId": b64(made.id), "type": "public-key", "response": response}

    def get(self, options: dict[str, Any], **bent: Any) -> dict[str, Any]:
        """`navigator.credentials.get(...)`, then `toJSON()`."""
        allowed = [unb64(each["id"]) for each in options.get("allowCredentials", [])] or list(self.credentials)
        used = self.credentials[bent.get("id") or next(id for id in allowed if id in self.credentials)]
        used.count += self.counts
        rp_id = bent.get("rp_id", used.rp_id)
        data = self._data(used, rp_id=rp_id)
        client_data = self._client_data("webauthn.get", options["challenge"], bent)
        signature = used.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64(client_data),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(bent.get("user_handle", used.user_handle)),
        }
        return {"id": b64(used.id), "rawId": b64(used.id), "type": "public-key", "response": response}

    def clone(self) -> "Authenticator":
        """Somebody's copy of it, with all its keys."""
        copies = {id: Credential(**vars(each)) for id, each in self.credentials.items()}
        return Authenticator(self.origin, self.verifies, self.counts, copies)

    def _data(self, credential: Credential, flags: int = 0, rp_id: str = "") -> bytes:
        flags |= PRESENT | (VERIFIED if self.verifies else 0)
        rp_hash = hashlib.sha256((rp_id or credential.rp_id).encode()).digest()
        return rp_hash + bytes([flags]) + credential.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str, bent: dict[str, Any]) -> bytes:
        members = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(members | bent.get("client_data", {})).encode()
