"""Slow hashes in a bounded pool of threads: argon2id for passwords and recovery codes (OWASP: 19 MiB, 2 passes)."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError
from argon2.low_level import hash_secret_raw

MEMORY_KIB, PASSES, LANES, HASH_BYTES = 19456, 2, 1, 32
SALT_BYTES = 16
MIN_LENGTH, MAX_LENGTH = 12, 256

Result = TypeVar("Result")


class Passwords:
    """Hashes and checks, at most `threads` at once: the others wait, and memory stays bounded."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "argon2")
        self._hasher = PasswordHasher(PASSES, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES)
        self._nobody = self._hasher.hash(secrets.token_urlsafe(32))

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """A salted hash with its parameters, in PHC form."""
        return await self.apart(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, known: str | None, password: str) -> bool:
        """Whether this is the password; without a `known` hash it takes the same time, and it isn't."""

        def check() -> bool:
            try:
                return self._hasher.verify(known or self._nobody, _normal(password)) and known is not None
            except VerificationError:
                return False

        return await self.apart(check)

    async def hash_code(self, code: str, salt: bytes) -> bytes:
        """A recovery code as it is stored."""
        return await self.apart(
            lambda: hash_secret_raw(code.encode(), salt, PASSES, MEMORY_KIB, LANES, HASH_BYTES, Type.ID)
        )

    async def apart(self, work: Callable[[], Result]) -> Result:
        """Some other slow work on a password, in the same threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def _normal(password: str) -> bytes:
    """The same characters typed on another system are the same password (NIST SP 800-63B: NFKC)."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
