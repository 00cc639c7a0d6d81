"""How the mail server does, for all mailers together: while it is away, one of them tries it now and then."""

from codetect_shared.db import Database
from sqlalchemy import text

FIRST_S, SLOWEST_S = 5, 300
ASK_AGAIN_S = 5

STATE = text("""
    SELECT failures, extract(epoch FROM retry_at - clock_timestamp())::float AS wait,
           coalesce(trying_until > clock_timestamp(), false) AS tried FROM mail_server
""")
TRY = text("""
    UPDATE mail_server SET trying_until = clock_timestamp() + make_interval(secs => :s)
    WHERE failures > 0 AND retry_at <= clock_timestamp()
      AND (trying_until IS NULL OR trying_until < clock_timestamp()) RETURNING id
""")
FAILED = text("""
    UPDATE mail_server SET failures = failures + 1, error = :error, trying_until = NULL,
        retry_at = clock_timestamp() + make_interval(secs => least(:first * 2 ^ least(failures, 20), :slowest))
    RETURNING extract(epoch FROM retry_at - clock_timestamp())::float
""")
SUCCEEDED = text("""
    UPDATE mail_server SET failures = 0, error = NULL, trying_until = NULL, retry_at = NULL WHERE failures > 0
""")
# Of rows that wait, without those in somebody's hands.
HOLD = text("""
    UPDATE mails SET available_at = clock_timestamp() + make_interval(secs => :s) WHERE id IN (
        SELECT id FROM mails WHERE available_at <= clock_timestamp() + make_interval(secs => :s)
            AND (lease_until IS NULL OR lease_until < clock_timestamp()) FOR UPDATE SKIP LOCKED)
""")


class MailServerState:
    """The row `mail_server`."""

    def __init__(self, db: Database, try_s: float) -> None:
        self._db, self._try_s = db, try_s

    async def wait_s(self) -> float:
        """0: go on (and if the server was away, you are the one who tries it); else how long to wait."""
        async with self._db.system() as session:
            failures, wait, tried = (await session.execute(STATE)).one()
            if not failures:
                return 0
            if wait > 0:
                await session.execute(HOLD, {"s": wait})
                return float(wait)
            if tried or (await session.execute(TRY, {"s": self._try_s})).first() is None:
                return ASK_AGAIN_S
            return 0

    async def failed(self, error: str) -> float:
        """It is away: how long until somebody tries again. All that is due waits, too."""
        async with self._db.system() as session:
            values = {"error": error, "first": FIRST_S, "slowest": SLOWEST_S}
            wait = float((await session.execute(FAILED, values)).scalar_one())
            await session.execute(HOLD, {"s": wait})
            return wait

    async def answered(self) -> None:
        """It is there."""
        async with self._db.system() as session:
            await session.execute(SUCCEEDED)
