"""Tickets for `/api/v1/live`: a browser can't send a header with a WebSocket, and URLs carry no tokens.

A ticket is random, kept as its hash, good for seconds, and for one socket at any gateway process.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from codetect_shared.db import Database
from codetect_shared.tokens import Principal
from sqlalchemy import text

INSERT = text("""
    INSERT INTO ticket (hash, facility_id, slug, subject, session_id, issued_at, token_expires_at, expires_at)
    VALUES (:hash, :facility_id, :slug, :subject, :session_id, :issued_at, to_timestamp(:token_expires),
            clock_timestamp() + make_interval(secs => :ticket_s))
""")
CLAIM = text("""
    DELETE FROM ticket WHERE hash = :hash
    RETURNING facility_id, slug, subject, session_id, issued_at, token_expires_at,
              expires_at > clock_timestamp() AS good
""")
SWEEP = text("DELETE FROM ticket WHERE expires_at < clock_timestamp()")


@dataclass(frozen=True)
class Holder:
    """Whom a socket belongs to, and from when until when."""

    facility_id: UUID
    slug: str
    subject: str
    session_id: UUID | None
    issued_at: int
    token_expires_at: datetime


async def issue(db: Database, principal: Principal, token_expires: int, ticket_s: float) -> str:
    """A ticket for whoever sent a token that is good until `token_expires` (seconds since 1970)."""
    ticket = secrets.token_urlsafe(32)
    async with db.system() as session:
        await session.execute(
            INSERT,
            {
                "hash": _hash(ticket),
                "facility_id": principal.facility_id,
                "slug": principal.slug,
                "subject": principal.subject,
                "session_id": principal.session_id,
                "issued_at": principal.issued_at,
                "token_expires": float(token_expires),
                "ticket_s": ticket_s,
            },
        )
    return ticket


async def claim(db: Database, ticket: str) -> Holder | None:
    """Whose ticket this is; None when it is unknown, used or too old. Deleting it is what makes it single-use."""
    async with db.system() as session:
        row = (await session.execute(CLAIM, {"hash": _hash(ticket)})).one_or_none()
    if row is None or not row.good:
        return None
    return Holder(row.facility_id, row.slug, row.subject, row.session_id, row.issued_at, row.token_expires_at)


async def sweep(db: Database) -> None:
    """Forget tickets that nobody used."""
    async with db.system() as session:
        await session.execute(SWEEP)


def _hash(ticket: str) -> bytes:
    """It is random, so a fast hash is enough."""
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).digest()
