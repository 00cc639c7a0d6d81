"""Secrets at rest: AES-256-GCM under the master key, bound to what they belong to."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VERSION = b"\x01"
NONCE_BYTES = 12


def seal(master_key: bytes, secret: bytes, owner: str) -> bytes:
    """Version, nonce and ciphertext; it opens for the same `owner` only (GCM's associated data)."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(master_key).encrypt(nonce, secret, owner.encode())


def unseal(master_key: bytes, sealed: bytes, owner: str) -> bytes:
    """What `seal` was given. Raises cryptography's InvalidTag under another key or for another owner."""
    nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    return AESGCM(master_key).decrypt(nonce, ciphertext, owner.encode())
