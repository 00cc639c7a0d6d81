"""What admins do with webhooks: name endpoints, change secrets, look at deliveries and send them again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from codetect_shared.db import one_at_a_time, uuid7
from codetect_shared.problems import BadInput, Conflict, NotFound
from codetect_shared.sealing import seal
from codetect_shared.tokens import Principal
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.recording import record
from codetect_auth.webhooks import hearing
from codetect_auth.webhooks.delivering import sealed_for
from codetect_auth.webhooks.models import DELIVERIES, Delivery, DeliveryState, Endpoint, Try
from codetect_auth.webhooks.reaching import Network, check_url
from codetect_auth.webhooks.signing import new_secret

AT_MOST = 20
OLD_SECRET_GOOD = timedelta(hours=24)
KEPT = timedelta(days=14)


class EndpointNotFound(NotFound):
    """There is no such webhook."""


class DeliveryNotFound(NotFound):
    """There is no such delivery."""


class TooManyEndpoints(Conflict):
    """A facility has 20 webhooks at most; remove one first."""


class StillUnderWay(Conflict):
    """This delivery is under way already."""


class BodyForgotten(Conflict):
    """What this delivery told of was erased: there is nothing left to send."""


async def add(
    session: AsyncSession,
    master_key: bytes,
    inside: Sequence[Network],
    who: Principal,
    url: str,
    types: Sequence[str],
    description: str,
) -> tuple[Endpoint, str]:
    """A new endpoint, and its secret, which is shown this once. Raises BadInput, TooManyEndpoints."""
    if wrong := check_url(url, inside):
        raise BadInput(wrong)
    await one_at_a_time(session, f"webhooks/{who.facility_id}")
    mine = select(func.count()).select_from(Endpoint).where(Endpoint.facility_id == who.facility_id)
    if (await session.scalars(mine)).one() >= AT_MOST:
        raise TooManyEndpoints
    id, secret = uuid7(), new_secret()
    endpoint = Endpoint(
        id=id,
        facility_id=who.facility_id,
        url=url,
        description=description,
        types=sorted(set(types)),
        sealed_secret=seal(master_key, secret.encode(), sealed_for(id)),
        created_by=UUID(who.subject),
    )
    session.add(endpoint)
    await session.flush()
    await record(session, who, "webhook.add", target(id), types=endpoint.types)
    return endpoint, secret


def target(endpoint_id: UUID) -> str:
    """What the audit trail calls an endpoint: its address can hold a secret."""
    return f"webhook/{endpoint_id}"


async def every(session: AsyncSession, who: Principal) -> Sequence[Endpoint]:
    """The facility's endpoints, oldest first."""
    mine = select(Endpoint).where(Endpoint.facility_id == who.facility_id).order_by(Endpoint.id)
    return (await session.scalars(mine)).all()


async def find(session: AsyncSession, who: Principal, endpoint_id: UUID) -> Endpoint:
    """One of the facility's endpoints, locked. Raises EndpointNotFound."""
    mine = Endpoint.id == endpoint_id, Endpoint.facility_id == who.facility_id
    endpoint = await session.scalar(select(Endpoint).where(*mine).with_for_update())
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


async def change(
    session: AsyncSession, inside: Sequence[Network], who: Principal, endpoint_id: UUID, changes: dict[str, Any]
) -> Endpoint:
    """Change address, types, description, or switch on and off. Raises EndpointNotFound, BadInput."""
    endpoint = await find(session, who, endpoint_id)
    if "url" in changes and (wrong := check_url(changes["url"], inside)):
        raise BadInput(wrong)
    for name, value in changes.items():
        setattr(endpoint, name, sorted(set(value)) if name == "types" else value)
    if changes.get("enabled"):
        endpoint.disabled_reason = endpoint.failing_since = endpoint.paused_until = None
    await session.flush()
    await record(session, who, "webhook.change", target(endpoint_id), changed=sorted(changes))
    return endpoint


async def remove(session: AsyncSession, who: Principal, endpoint_id: UUID) -> None:
    """Forget an endpoint and all its deliveries. Raises EndpointNotFound."""
    await session.delete(await find(session, who, endpoint_id))
    await session.flush()
    await record(session, who, "webhook.remove", target(endpoint_id))


async def new_secret_of(session: AsyncSession, master_key: bytes, who: Principal, endpoint_id: UUID) -> str:
    """A new secret; the old one signs beside it for a day, so that nothing is missed. Raises EndpointNotFound."""
    endpoint, secret = await find(session, who, endpoint_id), new_secret()
    endpoint.sealed_old_secret, endpoint.old_until = endpoint.sealed_secret, datetime.now(UTC) + OLD_SECRET_GOOD
    endpoint.sealed_secret = seal(master_key, secret.encode(), sealed_for(endpoint.id))
    await session.flush()
    await record(session, who, "webhook.secret", target(endpoint_id))
    return secret


async def test(session: AsyncSession, who: Principal, endpoint_id: UUID) -> Delivery:
    """Send a message that tells of nothing. Raises EndpointNotFound."""
    endpoint = await find(session, who, endpoint_id)
    if not endpoint.enabled:
        raise BadInput("Switch the webhook on first.")
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return await hearing.enter(
        session, endpoint, f"msg_{uuid7().hex}", hearing.body_of(hearing.TEST, now, {"by": who.subject})
    )


async def deliveries(
    session: AsyncSession,
    who: Principal,
    endpoint_id: UUID,
    state: DeliveryState | None,
    before: UUID | None,
    limit: int,
) -> list[tuple[Delivery, list[Try]]]:
    """An endpoint's deliveries with their tries, newest first. Raises EndpointNotFound."""
    await find(session, who, endpoint_id)
    wanted = select(Delivery).where(Delivery.endpoint_id == endpoint_id).order_by(Delivery.id.desc()).limit(limit)
    if state:
        wanted = wanted.where(Delivery.state == state)
    rows = (await session.scalars(wanted.where(Delivery.id < before) if before else wanted)).all()
    tries = select(Try).where(Try.delivery_id.in_([row.id for row in rows])).order_by(Try.at)
    of: dict[UUID, list[Try]] = {row.id: [] for row in rows}
    for tried in await session.scalars(tries):
        of[tried.delivery_id].append(tried)
    return [(row, of[row.id]) for row in rows]


async def redeliver(session: AsyncSession, who: Principal, endpoint_id: UUID, delivery_id: UUID) -> Delivery:
    """Send it once more, under the same message id. Raises DeliveryNotFound, StillUnderWay, BodyForgotten."""
    endpoint = await find(session, who, endpoint_id)
    mine = Delivery.id == delivery_id, Delivery.endpoint_id == endpoint.id
    row = await session.scalar(select(Delivery).where(*mine).with_for_update())
    if row is None:
        raise DeliveryNotFound
    if row.state == DeliveryState.QUEUED:
        raise StillUnderWay
    if row.body is None:
        raise BodyForgotten
    if not endpoint.enabled:
        raise BadInput("Switch the webhook on first.")
    row.state = DeliveryState.QUEUED
    await DELIVERIES.enqueue(session, row)
    await session.flush()
    await session.refresh(row)
    await record(session, who, "webhook.redeliver", target(endpoint_id), delivery=str(delivery_id))
    return row


async def sweep(session: AsyncSession) -> None:
    """Forget deliveries that are over for a fortnight."""
    over = Delivery.state != DeliveryState.QUEUED, Delivery.created_at < func.clock_timestamp() - KEPT
    await session.execute(delete(Delivery).where(*over))
