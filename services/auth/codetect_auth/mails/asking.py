"""Asking for a mail, in the transaction of what it tells of: once per cause, sealed while it waits."""

import json
from uuid import UUID

from codetect_shared import outbox
from codetect_shared.db import uuid7
from codetect_shared.sealing import seal
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.mails.kinds import Kind, checked, priority
from codetect_auth.mails.rows import address_key
from codetect_auth.models import MAILS, Mail

__all__ = ["Kind", "ask"]


async def ask(
    session: AsyncSession,
    master_key: bytes,
    facility_id: UUID,
    kind: Kind,
    to: str,
    cause: str,
    **facts: str | int,
) -> None:
    """Have a mail sent once this transaction has committed; asked again for the same `cause`, nothing more is sent.

    `facts` fill the kind's words: exactly those of `kinds.FACTS`, or FactRefused is raised. They may hold a link's
    token, so they are sealed, and erased once the mail is sent.
    """
    id = uuid7()
    letter = json.dumps({"to": to, "facts": checked(kind, facts)}).encode()
    new = {
        "id": id,
        "facility_id": facility_id,
        "kind": kind,
        "cause": cause,
        "priority": priority(kind),
        "sealed_letter": seal(master_key, letter, f"mail/{id}"),
        "address_key": address_key(master_key, to),
        "available_at": func.clock_timestamp(),
        "looked_at": func.clock_timestamp(),
    }
    entered = insert(Mail).values(new).on_conflict_do_nothing(index_elements=["facility_id", "cause"]).returning(Mail)
    if row := (await session.scalars(entered)).one_or_none():
        await outbox.ask_to_look(session, MAILS.queue, row)
