"""Delivering: one signed request a try, spaced ever wider; an endpoint that stays away is switched off."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from codetect_shared.db import Database
from codetect_shared.sealing import unseal
from prometheus_client import Counter
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.webhooks.models import DELIVERIES, WAITS_S, Delivery, DeliveryState, Endpoint, Try
from codetect_auth.webhooks.reaching import Reach, Unreachable
from codetect_auth.webhooks.signing import signature

log = structlog.get_logger()
TRIES = Counter("codetect_auth_webhook_tries_total", "Requests to endpoints of webhooks.", ["outcome"])
PAUSE_S = 30
GIVE_UP = timedelta(days=5)
GONE = 410
GAVE_UP = "It has not taken a delivery for five days."
SAID_GONE = "It answered 410: it wants no more."


def sealed_for(endpoint_id: Any) -> str:
    """What an endpoint's secrets are bound to."""
    return f"webhook/{endpoint_id}"


class Deliverer:
    """Works on deliveries, one after the other; several may run side by side."""

    def __init__(self, db: Database, master_key: bytes, reach: Reach) -> None:
        self._db, self._master_key, self._reach = db, master_key, reach

    async def run(self, job: Delivery) -> None:
        """Deliver and settle, or try again later. Raises LeaseLost."""
        async with self._db.facility(job.facility_id) as session:
            endpoint = await session.get(Endpoint, job.endpoint_id)
            if endpoint is None or not endpoint.enabled or job.body is None:
                (await DELIVERIES.settle(session, job)).state = DeliveryState.FAILED
                return
            now = (await session.scalars(func.clock_timestamp().select())).one()
            if endpoint.paused_until and endpoint.paused_until > now:
                wait = (endpoint.paused_until - now).total_seconds()
                await DELIVERIES.postpone(session, job, wait + 0.1, spent=False)
                return
            secrets = self._secrets(endpoint, now)
        body = json.dumps(job.body, separators=(",", ":")).encode()
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "CoDetect-Webhooks/1",
            "webhook-id": job.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secrets, job.message_id, timestamp, body),
        }
        began, status, error = time.monotonic(), None, None
        try:
            async with DELIVERIES.holding(self._db, job):
                status = await self._reach.post(endpoint.url, headers, body)
        except Unreachable as unreachable:
            error = str(unreachable)
        took_ms = round((time.monotonic() - began) * 1000)
        async with self._db.facility(job.facility_id) as session:
            await self._note(session, job, Try(status=status, error=error, took_ms=took_ms))

    async def _note(self, session: AsyncSession, job: Delivery, tried: Try) -> None:
        """What came of it, in one transaction with what follows from it."""
        good = tried.status is not None and 200 <= tried.status < 300
        TRIES.labels("delivered" if good else "failed").inc()
        last = job.attempts >= DELIVERIES.max_attempts or tried.status == GONE
        if good or last:
            row = await DELIVERIES.settle(session, job)
            row.state = DeliveryState.DELIVERED if good else DeliveryState.FAILED
            row.delivered_at = func.clock_timestamp() if good else None
        else:
            await DELIVERIES.postpone(session, job, WAITS_S[job.attempts - 1])
        tried.facility_id, tried.delivery_id = job.facility_id, job.id
        session.add(tried)
        # Not FOR UPDATE: changing a delivery twice above shares a lock on the endpoint's key, as others' tries do.
        endpoint = await session.get(Endpoint, job.endpoint_id, with_for_update={"key_share": True})
        if endpoint is None:
            return
        if good:
            endpoint.failing_since = endpoint.paused_until = None
            return
        now = datetime.now(UTC)
        endpoint.failing_since = endpoint.failing_since or now
        if tried.status is None:  # a silent one must not hold up the others' deliveries
            endpoint.paused_until = func.clock_timestamp() + timedelta(seconds=PAUSE_S)
        if tried.status == GONE or now - endpoint.failing_since > GIVE_UP:
            endpoint.enabled, endpoint.disabled_reason = False, SAID_GONE if tried.status == GONE else GAVE_UP
            log.warning("webhook switched off", endpoint=str(endpoint.id), reason=endpoint.disabled_reason)

    def _secrets(self, endpoint: Endpoint, now: datetime) -> list[str]:
        sealed = [endpoint.sealed_secret]
        if endpoint.sealed_old_secret and endpoint.old_until and endpoint.old_until > now:
            sealed.append(endpoint.sealed_old_secret)
        return [unseal(self._master_key, each, sealed_for(endpoint.id)).decode() for each in sealed]


async def give_up(session: AsyncSession, delivery: Delivery, error: Exception | None) -> None:
    """After the last attempt; it can be sent again by hand."""
    delivery.state = DeliveryState.FAILED
