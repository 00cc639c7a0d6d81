"""The form of an access token, read strictly: header, claims and published keys, before anything is checked.

A token is a JWS (RFC 7515) in the profile of RFC 9068: ES256 alone, header type `at+jwt`, and exactly the header
members `alg`, `kid` and `typ`. Whatever else a header could ask for (`jku`, `jwk`, `x5u`, `crit`) is refused unread.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from codetect_shared.problems import Unauthenticated

ALGORITHM = "ES256"
HEADER_TYPE = "at+jwt"
NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}")

_TOKEN = re.compile(r"([A-Za-z0-9_-]{1,512})\.([A-Za-z0-9_-]{1,3072})\.([A-Za-z0-9_-]{86})")


class TokenInvalid(Unauthenticated):
    """The access token is not valid."""

    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


def kid_of(token: str) -> str:
    """The name of the key a token says it is signed with, once its form and header are beyond doubt."""
    parts = _TOKEN.fullmatch(token)
    if not parts or not _canonical(parts[3]):
        refuse("it does not have the form of one")
    header = members_of(parts[1])
    if set(header) != {"alg", "kid", "typ"} or header["alg"] != ALGORITHM or header["typ"] != HEADER_TYPE:
        refuse("its header is not ours")
    return text(header, "kid", NAME)


def parse_jwks(document: Any) -> dict[str, ec.EllipticCurvePublicKey]:
    """The P-256 signing keys of a JWK set, by `kid`; keys of other kinds are passed over.

    Raises ValueError, KeyError, TypeError or AttributeError for what is no JWK set.
    """
    keys = {}
    for entry in document["keys"]:
        if (entry.get("kty"), entry.get("crv"), entry.get("use"), entry.get("alg")) == (
            "EC",
            "P-256",
            "sig",
            ALGORITHM,
        ):
            x, y = (int.from_bytes(decode(entry[name]), "big") for name in ("x", "y"))
            keys[str(entry["kid"])] = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return keys


def refuse(why: str) -> NoReturn:
    """Raise TokenInvalid with a reason."""
    raise TokenInvalid(f"The access token is refused: {why}.")


def encode(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(segment: str) -> bytes:
    """The other way round; raises ValueError."""
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _canonical(segment: str) -> bool:
    """Whether the unused last bits are zero; otherwise a second text would stand for the same token."""
    return encode(decode(segment)) == segment


def members_of(segment: str) -> dict[str, Any]:
    """A JSON object without repeated names, fractions, NaN or infinities."""
    try:
        members = json.loads(decode(segment), object_pairs_hook=_unique, parse_float=refuse, parse_constant=refuse)
    except (ValueError, RecursionError):
        refuse("it is not JSON")
    if not isinstance(members, dict):
        refuse("it is not a JSON object")
    return members


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        refuse("a name stands twice")
    return members


def text(members: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    """A text member of this form."""
    value = members.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        refuse(f"{name} is missing or malformed")
    return value


def uuid_of(value: Any) -> UUID:
    """A UUID in its one spelling; raises ValueError."""
    if not isinstance(value, str) or str(UUID(value)) != value:
        raise ValueError(value)
    return UUID(value)
