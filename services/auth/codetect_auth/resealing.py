"""After the master key was changed: everything that the one before had sealed is sealed anew (docs/keys.md)."""

import json

from codetect_shared.db import Database
from codetect_shared.sealing import Sealed, reseal, unseal
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.mails.rows import UndeliverableAddress, address_key
from codetect_auth.models import Mail

SEALED = (
    Sealed("signing_keys", "sealed_private", "'signing-key/' || kid", id="kid"),
    Sealed("totp_factors", "sealed_secret", "'totp/' || person_id"),
    Sealed("login_challenges", "sealed_secret", "'totp/' || person_id"),
    Sealed("mails", "sealed_letter", "'mail/' || id"),
    Sealed("audit_heads", "sealed_key", "'audit-chain/' || facility_id", id="facility_id"),
    Sealed("webhook_endpoints", "sealed_secret", "'webhook/' || id"),
    Sealed("webhook_endpoints", "sealed_old_secret", "'webhook/' || id"),
)


async def reseal_all(db: Database, master_key: bytes) -> dict[str, int]:
    """How many secrets of each table were sealed anew; a second run finds none."""
    changed: dict[str, int] = {}
    for where in SEALED:
        async with db.system() as session:
            found = await reseal(session, master_key, where)
        changed[where.table] = changed.get(where.table, 0) + found
    async with db.system() as session:
        changed["mail_addresses"] = await _stopped(session, master_key) + await _waiting(session, master_key)
    return changed


async def _stopped(session: AsyncSession, master_key: bytes) -> int:
    """Find addresses without a mailbox by the present key."""
    changed, u = 0, UndeliverableAddress
    for id, address, key in (await session.execute(select(u.id, u.address, u.address_key))).all():
        fresh = address_key(master_key, address)
        if key == fresh:
            continue
        try:
            async with session.begin_nested():
                await session.execute(update(u).where(u.id == id).values(address_key=fresh))
        except IntegrityError:  # it came back once more meanwhile, and was marked by the present key
            await session.execute(delete(u).where(u.id == id))
        changed += 1
    return changed


async def _waiting(session: AsyncSession, master_key: bytes) -> int:
    """Likewise mails that wait. Of those that went nobody knows the address; the sweep drops their keys in time."""
    changed = 0
    waiting = select(Mail.id, Mail.sealed_letter, Mail.address_key).where(Mail.sealed_letter.is_not(None))
    for id, sealed, key in (await session.execute(waiting)).all():
        to = json.loads(unseal(master_key, sealed or b"", f"mail/{id}"))["to"]
        if key != (fresh := address_key(master_key, to)):
            await session.execute(update(Mail).where(Mail.id == id).values(address_key=fresh))
            changed += 1
    return changed
