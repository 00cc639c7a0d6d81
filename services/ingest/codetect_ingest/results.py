"""Results join their study as series, and set off to where the facility wants them."""

from datetime import UTC, datetime

from codetect_shared.bus import Envelope
from codetect_shared.events import AnalysisCompleted, ResultDocument
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import filing, objects, rows
from codetect_ingest.dicom.identity import Identity
from codetect_ingest.identities import Sealer, sealer_of
from codetect_ingest.models import DELIVERIES, Delivery, DeliveryState, Destination, Kind, Study


async def on_analysis_completed(
    session: AsyncSession, event: AnalysisCompleted, envelope: Envelope, master_key: bytes
) -> None:
    """Enter an analysis' documents as series of its study; a study that was erased meanwhile gets none."""
    mine = Study.id == event.study_id, Study.facility_id == envelope.facility_id
    study = await session.scalar(select(Study).where(*mine).with_for_update())
    if study is None or not event.documents:
        return
    sealer = await sealer_of(session, study.facility_id, master_key)
    for document in event.documents:
        await _enter(session, study, event, document, made_at(envelope.time), sealer)
    await filing.count(session, study.id)
    wanted = select(Destination).where(Destination.facility_id == study.facility_id, Destination.enabled)
    for destination in await session.scalars(wanted):
        await send(session, study, event, destination)


async def send(session: AsyncSession, study: Study, event: AnalysisCompleted, destination: Destination) -> None:
    """Have an analysis' documents delivered, once."""
    delivery = Delivery(
        id=objects.derived_id(event.analysis_id, str(destination.id)),
        facility_id=study.facility_id,
        destination_id=destination.id,
        study_id=study.id,
        analysis_id=event.analysis_id,
        state=DeliveryState.QUEUED,
    )
    if await session.get(Delivery, delivery.id) is None:
        session.add(delivery)
        await session.flush()
        await DELIVERIES.enqueue(session, delivery)


def made_at(time: datetime) -> Identity:
    """Return when a document was made. It bears the study's date: another would tell how far that is moved."""
    utc = time.astimezone(UTC)
    content_date = {"vr": "DA", "Value": [utc.strftime("%Y%m%d")]}
    content_time = {"vr": "TM", "Value": [utc.strftime("%H%M%S")]}
    return Identity(instance={"00080023": content_date, "00080033": content_time})


async def _enter(
    session: AsyncSession,
    study: Study,
    event: AnalysisCompleted,
    document: ResultDocument,
    made: Identity,
    sealer: Sealer,
) -> None:
    series_id = objects.derived_id(study.id, document.series_instance_uid)
    attributes = {
        "00080060": {"vr": "CS", "Value": [document.modality]},
        "00200011": {"vr": "IS", "Value": [document.series_number]},
    }
    series = {
        "id": series_id,
        "series_instance_uid": document.series_instance_uid,
        "kind": Kind.RESULT,
        "modality": document.modality,
        "attributes": attributes,
    }
    instance = {
        "sop_instance_uid": document.sop_instance_uid,
        "upload_id": event.upload_id,
        "sop_class_uid": document.sop_class_uid,
        "transfer_syntax_uid": ExplicitVRLittleEndian,
        "instance_number": document.instance_number,
        "bucket": "results",
        "key": document.key,
        "length": document.bytes,
        "source": 0,
        "facts": {"analysis_id": str(event.analysis_id), "sha256": document.sha256},
        "sealed_identity": sealer.instance(made, series_id, document.sop_instance_uid),
    }
    await rows.enter_whole(session, study, series, instance, replace=False)
