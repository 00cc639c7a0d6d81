"""Whether a password would stand against guessing: length, and how soon who guesses would come to it (docs/adr/0085).

No rules of composition (NIST SP 800-63B): zxcvbn knows 30,000 passwords from breaches and common words, and what people
make of them; the person's and the facility's names count as words that who guesses tries first.
"""

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from codetect_shared.problems import BadInput
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from codetect_auth.context import Auth
from codetect_auth.passwords import MAX_LENGTH, MIN_LENGTH

LOOKED_AT = 72
GUESSES_LOG10 = 9.0
SHA1_HEX = 40


class PasswordRefused(BadInput):
    """This password is too easy to guess."""


async def must_be_strong(auth: Auth, password: str, about: Iterable[str]) -> None:
    """Raises PasswordRefused with what to do. `about` are names and addresses that have no place in it."""
    words, breached = list(about), auth.settings.breached_passwords_file
    why = await auth.passwords.apart(lambda: weakness(password, words, breached))
    if why:
        raise PasswordRefused(why)


def weakness(password: str, about: Iterable[str], breached: Path | None = None) -> str | None:
    """Why not this password, in words; None: it may be used. Takes some milliseconds."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        return f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters; 15 or more are better: a few words will do."
    whole = [word.casefold() for word in about if word]
    parts = [part for word in whole for part in _parts(word)]
    bare = password.casefold()
    for word in sorted({*whole, *parts}, key=len, reverse=True):
        if len(word) >= 4:
            bare = bare.replace(word, "")
    if len(bare) < len(password) and len(bare) < MIN_LENGTH // 2:
        return "It is little more than your name, your address or the facility's; use something that isn't known."
    found = zxcvbn(password[:LOOKED_AT], user_inputs=[*whole, *parts])
    if float(found["guesses_log10"]) < GUESSES_LOG10:
        return (
            "It is, or resembles, one that others use and that is tried first; a few words that don't go together do."
        )
    if breached and is_in(breached, hashlib.sha1(password.encode("utf-8", "surrogatepass")).hexdigest()):  # noqa: S324
        return "It was found among passwords that were stolen elsewhere; use one that you use nowhere else."
    return None


def is_in(path: Path, sha1: str) -> bool:
    """Whether a file of SHA-1 hashes in order, a line each (`<hash>:<count>`, as of Have I Been Pwned), has it."""
    wanted = sha1.upper().encode()
    with path.open("rb") as file:
        low, high = 0, os.fstat(file.fileno()).st_size
        while low < high:
            middle = (low + high) // 2
            file.seek(max(middle - 1, 0))
            if middle:
                file.readline()  # on to the first line that begins here or later
            if file.tell() >= high or (line := file.readline()[:SHA1_HEX].upper()) > wanted:
                high = middle
            elif line == wanted:
                return True
            else:
                low = file.tell()
    return False


def _parts(text: str) -> list[str]:
    return re.findall(r"\w+", text)
