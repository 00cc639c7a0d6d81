"""What was told long ago is forgotten: old rows of outbox and inbox, every ten minutes."""

import asyncio

from pydantic import SecretStr

from codetect_shared import bus, inbox, outbox

EVERY_S = 600
BATCH, MOST_BATCHES = 2000, 100


async def forget_now_and_then(url: SecretStr) -> None:
    """Every ten minutes until cancelled, with a connection of its own; what fails waits for the next time."""

    async def rounds() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await forget_told(url)

    await bus.forever("forgetting", rounds)


async def forget_told(url: SecretStr) -> None:
    """Forget what is old, some rows in each statement: it takes no longer the more there is to keep."""
    db = await outbox.connect_directly(url)
    try:
        for statement in FORGET:
            for _ in range(MOST_BATCHES):
                done = await db.execute(statement)
                if done != f"DELETE {BATCH}":
                    break
    finally:
        db.terminate()


# The time is the statement's, as an index knows no other: `clock_timestamp()` would be asked for each row.
FORGET = [
    f"""
    DELETE FROM {table} WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM {table} WHERE {which} AND {at} < statement_timestamp() - interval '{age}'
        ORDER BY {at} LIMIT {BATCH} FOR UPDATE SKIP LOCKED))
    """  # noqa: S608 - constants
    for table, which, at, age in (
        ("outbox", "queue IS NOT NULL", "sent_at", "1 hour"),
        ("outbox", "true", "sent_at", f"{outbox.KEPT_DAYS} days"),
        ("inbox", "true", "at", f"{inbox.KEPT_DAYS} days"),
    )
]
