"""Results on their way to a facility's own archive: by STOW-RS, for three days until its server has taken them."""

import hashlib
import json

import httpx
import structlog
from codetect_shared import audit
from codetect_shared.db import Database
from codetect_shared.storage import ObjectMissing, Storage
from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.dicom.identity import Attributes, restored_file
from codetect_ingest.dicomweb.multipart import Multipart
from codetect_ingest.dicomweb.negotiation import DICOM, DICOM_JSON
from codetect_ingest.identities import forgets, instance_owner, originals
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_ingest.models import (
    DELIVERIES,
    DELIVERY_WAITS_S,
    Delivery,
    DeliveryState,
    Destination,
    InstanceRow,
    Kind,
    Series,
    Study,
    View,
    now,
)
from codetect_ingest.settings import Settings

log = structlog.get_logger()
OUT_OF_RESOURCES = 0xA700  # and all of A7xx
WORTH_TRYING_AGAIN = {401, 403, 404, 408, 425, 429}
TOLD = Counter("codetect_ingest_deliveries_total", "Attempts to deliver a result, by outcome.", ["outcome"])


class Refused(Exception):
    """The destination says no, and will say so again."""


class NotTaken(Exception):
    """The destination could not take it now."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class Deliverer:
    """Delivers one analysis' documents to one destination after the other."""

    def __init__(self, settings: Settings, db: Database, storage: Storage, client: httpx.AsyncClient) -> None:
        self._settings, self._db, self._storage, self._client = settings, db, storage, client

    async def run(self, job: Delivery) -> None:
        """Deliver, or write down why not and when it is tried again."""
        try:
            status = await self._deliver(job)
        except NotTaken as error:
            await self._later(job, error)
        except Refused as error:
            async with self._db.facility(job.facility_id) as session:
                give_up_row(await DELIVERIES.settle(session, job), str(error))
        else:
            TOLD.labels("delivered").inc()
            async with self._db.facility(job.facility_id) as session:
                row = await DELIVERIES.settle(session, job)
                row.state, row.last_status, row.last_error = DeliveryState.DELIVERED, status, None
                row.delivered_at = now()
                await session.flush()
                platform = audit.Actor("platform", job.facility_id, "platform")
                to = f"destination/{job.destination_id}"
                await audit.record(session, platform, "result.deliver", study_id=job.study_id, target=to)

    async def _later(self, job: Delivery, error: NotTaken) -> None:
        TOLD.labels("failed").inc()
        last = job.attempts >= DELIVERIES.max_attempts
        async with self._db.facility(job.facility_id) as session:
            if last:
                row = await DELIVERIES.settle(session, job)
                give_up_row(row, str(error))
            else:
                row = await DELIVERIES.postpone(session, job, DELIVERY_WAITS_S[job.attempts - 1])
                row.last_error = str(error)
            row.last_status = error.status

    async def _deliver(self, job: Delivery) -> int | None:
        """Fetch, restore, post. Raises NotTaken, Refused, StorageUnavailable."""
        async with self._db.facility(job.facility_id) as session:
            destination = await session.get(Destination, job.destination_id)
            study = await session.get(Study, job.study_id)
            if destination is None or not destination.enabled:
                raise Refused("The destination was removed or switched off.")
            if study is None:
                raise Refused("The study was erased.")
            key = await facility_key(session, job.facility_id, self._settings.master_key)
            rows = await documents(session, job)
            back = await _way_back(session, study, key) if destination.view == View.ORIGINAL else None
        bodies = []
        for row in rows:
            try:
                data = await self._storage.get("results", row.key)
            except ObjectMissing:
                raise Refused("The result is gone.") from None
            if hashlib.sha256(data).hexdigest() != row.facts["sha256"]:
                raise NotTaken("The result's object isn't what was written.")
            bodies.append(restored_file(data, *back, _own(row, key)) if back else data)
        if not bodies:
            raise Refused("There is nothing to deliver.")
        return await self._post(destination, key, bodies)

    async def _post(self, destination: Destination, key: FacilityKey, bodies: list[bytes]) -> int:
        multipart = Multipart(DICOM)
        content = b"".join([*(multipart.part(DICOM, body) for body in bodies), multipart.end])
        headers = {"Content-Type": multipart.content_type, "Accept": DICOM_JSON}
        auth: httpx.Auth | None = None
        if destination.sealed_credentials:
            credentials = json.loads(key.unseal(destination.sealed_credentials, destination.id))
            auth = httpx.BasicAuth(credentials["username"], credentials["password"])
        url = f"{destination.url.rstrip('/')}/studies"
        try:
            asked = self._client.build_request("POST", url, content=content, headers=headers)
            answer = await self._client.send(asked, auth=auth)
        except httpx.HTTPError as error:
            raise NotTaken(f"It doesn't answer ({type(error).__name__}).") from error
        status, reasons = answer.status_code, _reasons(answer)
        if status == 200 or (status == 202 and _referenced(answer) == len(bodies)):
            return status
        told = " with reason " + ", ".join(f"{code:04X}" for code in reasons) if reasons else ""
        full = any(code & 0xFF00 == OUT_OF_RESOURCES for code in reasons)
        if full or status >= 500 or status in WORTH_TRYING_AGAIN:
            raise NotTaken(f"It answered {status}{told}.", status)
        raise Refused(f"It answered {status}{told}.")


async def documents(session: AsyncSession, job: Delivery) -> list[InstanceRow]:
    """Return the rows of the documents that a delivery carries."""
    of_results = InstanceRow.series_id == Series.id, Series.kind == Kind.RESULT, Series.study_id == job.study_id
    mine = InstanceRow.facts["analysis_id"].astext == str(job.analysis_id)
    return list(await session.scalars(select(InstanceRow).join(Series, of_results[0]).where(*of_results[1:], mine)))


async def give_up(session: AsyncSession, delivery: Delivery, error: Exception | None) -> None:
    """After the last attempt; it can be sent again by hand."""
    give_up_row(delivery, "It was tried again and again.")


def give_up_row(row: Delivery, why: str) -> None:
    """Write down that a delivery has failed for good, and why."""
    TOLD.labels("given up").inc()
    row.state, row.last_error = DeliveryState.FAILED, why


async def _way_back(session: AsyncSession, study: Study, key: FacilityKey) -> tuple[dict[str, str], Attributes]:
    """Return the original UIDs and attributes of a study. Raises Refused where they are, or were, to be forgotten."""
    if study.sealed_identity is None or await forgets(session, study.facility_id):
        raise Refused("Whose study it is was forgotten, so it can't go out under the original names.")
    return await originals(session, study, key), key.unseal_identity(study.sealed_identity, study.id)


def _own(row: InstanceRow, key: FacilityKey) -> Attributes:
    """Return what is sealed of a document itself."""
    owner = instance_owner(row.series_id, row.sop_instance_uid)
    return key.unseal_identity(row.sealed_identity, owner) if row.sealed_identity else {}


def _reasons(answer: httpx.Response) -> list[int]:
    """Return the failure reasons that the server gave (PS3.18 Annex I), as numbers only."""
    try:
        items = [item for tag in ("00081198", "0008119A") for item in answer.json().get(tag, {}).get("Value", [])]
        return sorted({int(item["00081197"]["Value"][0]) for item in items})
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return []


def _referenced(answer: httpx.Response) -> int:
    """Return how many instances the server says it has stored; with 202 it may have changed something in them."""
    try:
        return len(answer.json()["00081199"]["Value"])
    except (ValueError, KeyError, TypeError):
        return 0
