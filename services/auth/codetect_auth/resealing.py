"""After the master key was changed: everything that the one before had sealed is sealed anew (docs/keys.md)."""

from codetect_shared.db import Database
from codetect_shared.sealing import Sealed, reseal

SEALED = (
    Sealed("signing_keys", "sealed_private", "'signing-key/' || kid", id="kid"),
    Sealed("totp_factors", "sealed_secret", "'totp/' || person_id"),
    Sealed("login_challenges", "sealed_secret", "'totp/' || person_id"),
    Sealed("mails", "sealed_letter", "'mail/' || id"),
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
    return changed
