"""Where a facility's results go, and how far they got."""

import ipaddress
import json
from urllib.parse import urlsplit
from uuid import UUID

from codetect_shared import audit
from codetect_shared.problems import BadInput, Conflict, NotFound
from codetect_shared.tokens import Principal
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.identities import forgets
from codetect_ingest.keys import facility_key
from codetect_ingest.models import DELIVERIES, Delivery, DeliveryState, Destination, View
from codetect_ingest.schemas import DeliveryOut, DeliveryPage, DestinationIn, DestinationOut, Retried
from codetect_ingest.service import Ingest

PAGE = 50


class DestinationNotFound(NotFound):
    """There is no such destination."""


class DeliveryNotFound(NotFound):
    """There is no such delivery."""


class NameTaken(Conflict):
    """A destination of this name exists already."""


class StillUnderWay(Conflict):
    """The delivery is under way, or done."""


async def add(session: AsyncSession, ingest: Ingest, who: Principal, wanted: DestinationIn) -> DestinationOut:
    """Register a DICOMweb server for results. Raises NameTaken, BadInput."""
    _check(str(wanted.url), ingest.settings.destination_hosts)
    if wanted.view == View.ORIGINAL and await forgets(session, who.facility_id):
        raise BadInput("The facility's profile is to forget identities: choose the view `pseudonymous`.")
    row = Destination(
        facility_id=who.facility_id,
        name=wanted.name,
        url=str(wanted.url),
        view=wanted.view,
        enabled=wanted.enabled,
    )
    session.add(row)
    try:
        async with session.begin_nested():
            await session.flush()
    except IntegrityError:
        raise NameTaken(f"Choose another name than {wanted.name!r}, or remove the other one.") from None
    if wanted.username is not None and wanted.password is not None:
        key = await facility_key(session, who.facility_id, ingest.settings.master_key)
        credentials = {"username": wanted.username, "password": wanted.password.get_secret_value()}
        row.sealed_credentials = key.seal(json.dumps(credentials), row.id)
    await audit.record(session, who, "destination.add", target=f"destination/{row.id}", detail={"view": row.view})
    return DestinationOut.model_validate(row)


async def every(session: AsyncSession, who: Principal) -> list[DestinationOut]:
    """List the facility's destinations."""
    mine = select(Destination).where(Destination.facility_id == who.facility_id).order_by(Destination.id)
    return [DestinationOut.model_validate(row) for row in await session.scalars(mine)]


async def switch(session: AsyncSession, who: Principal, destination_id: UUID, enabled: bool) -> DestinationOut:
    """Switch a destination on or off. Raises DestinationNotFound."""
    row = await _find(session, who, destination_id)
    row.enabled = enabled
    await audit.record(session, who, "destination.switch", target=f"destination/{row.id}", detail={"enabled": enabled})
    return DestinationOut.model_validate(row)


async def retry(session: AsyncSession, who: Principal, destination_id: UUID) -> Retried:
    """Send everything again that failed on its way to a destination. Raises DestinationNotFound."""
    row = await _find(session, who, destination_id)
    failed = select(Delivery).where(Delivery.destination_id == row.id, Delivery.state == DeliveryState.FAILED)
    deliveries = list(await session.scalars(failed.order_by(Delivery.id).with_for_update()))
    for delivery in deliveries:
        await _queue(session, delivery)
    detail = {"deliveries": len(deliveries)}
    await audit.record(session, who, "destination.retry", target=f"destination/{row.id}", detail=detail)
    return Retried(deliveries=len(deliveries))


async def remove(session: AsyncSession, who: Principal, destination_id: UUID) -> None:
    """Forget a destination and what was on its way to it. Raises DestinationNotFound."""
    await session.delete(await _find(session, who, destination_id))
    await audit.record(session, who, "destination.remove", target=f"destination/{destination_id}")


async def deliveries(
    session: AsyncSession, who: Principal, state: DeliveryState | None, study_id: UUID | None, before: UUID | None
) -> DeliveryPage:
    """List deliveries, the newest first."""
    query = select(Delivery).where(Delivery.facility_id == who.facility_id).order_by(Delivery.id.desc())
    if state:
        query = query.where(Delivery.state == state)
    if study_id:
        query = query.where(Delivery.study_id == study_id)
    if before:
        query = query.where(Delivery.id < before)
    found = list(await session.scalars(query.limit(PAGE + 1)))
    items = [DeliveryOut.model_validate(row) for row in found[:PAGE]]
    return DeliveryPage(items=items, next=str(items[-1].id) if len(found) > PAGE else None)


async def again(session: AsyncSession, who: Principal, delivery_id: UUID) -> DeliveryOut:
    """Send a failed delivery again. Raises DeliveryNotFound, StillUnderWay."""
    mine = select(Delivery).where(Delivery.facility_id == who.facility_id, Delivery.id == delivery_id)
    row = await session.scalar(mine.with_for_update())
    if row is None:
        raise DeliveryNotFound
    if row.state != DeliveryState.FAILED:
        raise StillUnderWay(f"It is {row.state}.")
    await _queue(session, row)
    await session.flush()
    await session.refresh(row)
    await audit.record(session, who, "delivery.retry", study_id=row.study_id, target=f"delivery/{row.id}")
    return DeliveryOut.model_validate(row)


async def _queue(session: AsyncSession, delivery: Delivery) -> None:
    delivery.state = DeliveryState.QUEUED
    await DELIVERIES.enqueue(session, delivery)


async def _find(session: AsyncSession, who: Principal, destination_id: UUID) -> Destination:
    mine = select(Destination).where(Destination.facility_id == who.facility_id, Destination.id == destination_id)
    row = await session.scalar(mine)
    if row is None:
        raise DestinationNotFound
    return row


def _check(url: str, allowed: str) -> None:
    """Hold a destination against what the operator allows: host names, `*.domains`, addresses and networks."""
    host = (urlsplit(url).hostname or "").lower()
    rules = [rule.strip().lower() for rule in allowed.split(",") if rule.strip()]
    if rules and not any(_matches(host, rule) for rule in rules):
        raise BadInput("The operator of this platform doesn't allow results to go to this host; ask for it.")


def _matches(host: str, rule: str) -> bool:
    if rule.startswith("*."):
        return host.endswith(rule[1:])
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule)
    except ValueError:
        return host == rule
