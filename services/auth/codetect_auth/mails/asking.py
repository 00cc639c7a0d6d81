"""Asking for a mail, in the transaction of what it tells of: once per cause, sealed while it waits."""

import json
from enum import StrEnum
from uuid import UUID

from codetect_shared import outbox
from codetect_shared.db import uuid7
from codetect_shared.sealing import seal
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import MAILS, Mail


class Kind(StrEnum):
    """What a mail is about; each kind has its own words."""

    CONFIRM_ADDRESS = "confirm_address"  # to who asked for access: url
    ACCESS_REQUESTED = "access_requested"  # to the admins: name, email, role, reason, url
    ACCESS_REFUSED = "access_refused"  # to who asked: reason
    INVITATION = "invitation"  # to who may come in: url, invited_by
    WELCOME = "welcome"  # to who came in: url
    PASSWORD_RESET = "password_reset"  # noqa: S105 - to the person: url
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - to the person: address, device
    FACTOR_CHANGED = "factor_changed"  # to the person: what (added, removed, recovery codes), name
    FACTORS_RESET = "factors_reset"  # to the person and to the admins: name, by, reason
    RECOVERY_CODE_USED = "recovery_code_used"  # to the person: left
    MEMBER_CHANGED = "member_changed"  # to the person: what (role, rights, suspended, active, removed), by
    API_CLIENT_CHANGED = "api_client_changed"  # to its owner: client, what
    ANALYSIS_COMPLETED = "analysis_completed"  # to who wanted to know: url, model, completed_at
    ANALYSES_FAILED = "analyses_failed"  # likewise, several at once: url, count
    TEST = "test"  # to an address of the operator's


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

    `facts` fill the kind's words. They may hold a link's token, so they are sealed, and erased once the mail is sent.
    """
    id = uuid7()
    letter = json.dumps({"to": to, "facts": facts}).encode()
    new = {
        "id": id,
        "facility_id": facility_id,
        "kind": kind,
        "cause": cause,
        "sealed_letter": seal(master_key, letter, f"mail/{id}"),
        "available_at": func.clock_timestamp(),
        "looked_at": func.clock_timestamp(),
    }
    entered = insert(Mail).values(new).on_conflict_do_nothing(index_elements=["facility_id", "cause"]).returning(Mail)
    if row := (await session.scalars(entered)).one_or_none():
        await outbox.ask_to_look(session, MAILS.queue, row)
