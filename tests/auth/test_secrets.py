"""What is hashed and sealed, without a server."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from codetect_auth.passwords import Passwords
from codetect_shared.sealing import seal, unseal
from cryptography.exceptions import InvalidTag

KEY, OTHER = bytes(32), bytes([1]) * 32


@pytest.fixture(scope="module")
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(threads=2)
    yield passwords
    passwords.close()


async def test_a_password_is_known_again_however_its_characters_are_composed(passwords: Passwords) -> None:
    known = await passwords.hash("Schlüssel zum Haus")
    assert known.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(known, "Schlu\u0308ssel zum Haus")
    assert not await passwords.verify(known, "Schlussel zum Haus")
    assert not await passwords.verify(None, "Schlüssel zum Haus")


async def test_equal_passwords_have_different_hashes(passwords: Passwords) -> None:
    assert await passwords.hash("the same password") != await passwords.hash("the same password")


async def test_only_two_passwords_are_hashed_at_once(passwords: Passwords) -> None:
    known = await passwords.hash("a password of many")
    threads: set[str] = set()
    checks = asyncio.gather(*(passwords.verify(known, "a password of many") for _ in range(8)))
    while not checks.done():
        threads |= {thread.name for thread in threading.enumerate() if thread.name.startswith("argon2")}
        await asyncio.sleep(0.005)
    assert all(await checks)
    assert len(threads) == 2


def test_a_sealed_secret_opens_for_its_owner_under_its_key_alone() -> None:
    sealed = seal(KEY, b"secret", "totp/1")
    assert b"secret" not in sealed
    assert unseal(KEY, sealed, "totp/1") == b"secret"
    assert seal(KEY, b"secret", "totp/1") != sealed
    for key, text, owner in (
        (OTHER, sealed, "totp/1"),
        (KEY, sealed, "totp/2"),
        (KEY, sealed[:-1] + bytes([sealed[-1] ^ 1]), "totp/1"),
    ):
        with pytest.raises(InvalidTag):
            unseal(key, text, owner)
