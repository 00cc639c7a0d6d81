"""Not too many mails at once: to one address an hour, from one facility a minute. Counted where all mailers see it."""

from datetime import datetime, timedelta

from codetect_shared.db import one_at_a_time
from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.models import Mail
from codetect_auth.settings import MailerSettings

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
# What the facility has due is dealt out over the time it needs, so that it isn't claimed again and again in vain.
SPREAD = text("""
    UPDATE mails SET available_at = clock_timestamp() + make_interval(secs => :wait + place * :gap)
    FROM (SELECT id, row_number() OVER (ORDER BY priority, available_at, id) AS place FROM (
        SELECT id, priority, available_at FROM mails WHERE facility_id = :facility
            AND available_at <= clock_timestamp() AND (lease_until IS NULL OR lease_until < clock_timestamp())
        FOR UPDATE SKIP LOCKED) AS due) AS waiting
    WHERE mails.id = waiting.id
""")


async def turn(session: AsyncSession, job: Mail) -> None:
    """Wait until nobody else asks for a mail of the facility: two mailers would each find room for the last one."""
    await one_at_a_time(session, f"mails/{job.facility_id}")


async def wait_s(session: AsyncSession, settings: MailerSettings, job: Mail, now: datetime) -> float:
    """How long a mail must wait until it may be tried; 0: now, and that is then its `tried_at`, to the microsecond.

    A later one, by a clock that was set back between, would let one more into the minute.
    """
    # Results to somebody must not delay what concerns the security of their account.
    to_address = Mail.address_key == job.address_key, Mail.priority == job.priority
    wait = await _room_in(session, settings.mail_address_per_hour, HOUR, now, Mail.id != job.id, *to_address)
    if not wait:
        limit = settings.mail_facility_per_minute
        wait = await _room_in(session, limit, MINUTE, now, Mail.facility_id == job.facility_id, Mail.id != job.id)
        if wait:
            await session.execute(SPREAD, {"wait": wait, "gap": 60 / limit, "facility": job.facility_id})
    return wait


async def _room_in(
    session: AsyncSession, limit: int, time: timedelta, now: datetime, *which: ColumnElement[bool]
) -> float:
    """Seconds until the `limit` newest tries no longer all lie within `time`."""
    newest = select(Mail.tried_at).where(Mail.tried_at.is_not(None), *which).order_by(Mail.tried_at.desc())
    oldest = await session.scalar(newest.offset(limit - 1).limit(1))
    return max(0.0, (oldest + time - now).total_seconds()) if oldest else 0.0
