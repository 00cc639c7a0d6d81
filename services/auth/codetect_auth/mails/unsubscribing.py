"""Switching off mails of analyses from the mail itself, without a login (RFC 8058)."""

import base64
import hmac
from uuid import UUID

from codetect_shared.sealing import keys_of

ROUTE = "/api/v1/auth/mail-preferences/unsubscribe"
TAG_BYTES = 16


def unsubscribe_url(master_key: bytes, facility_id: UUID, person_id: UUID) -> str:
    """A path below the facility's host. Its token can do this one thing, and needs no end: asked again, it is so."""
    signed = person_id.bytes + _tag(master_key, facility_id, person_id)
    return f"{ROUTE}/{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"


def person_of(master_key: bytes, facility_id: UUID, token: str) -> UUID | None:
    """Whose token this is, if we made it for this facility."""
    try:
        signed = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
    except ValueError:
        return None
    if len(signed) != 16 + TAG_BYTES:
        return None
    person_id = UUID(bytes=signed[:16])
    tags = (_tag(key, facility_id, person_id) for key in keys_of(master_key))
    return person_id if any(hmac.compare_digest(signed[16:], tag) for tag in tags) else None


def _tag(master_key: bytes, facility_id: UUID, person_id: UUID) -> bytes:
    return hmac.digest(master_key, b"unsubscribe/" + facility_id.bytes + person_id.bytes, "sha256")[:TAG_BYTES]
