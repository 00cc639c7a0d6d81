"""Results join their study as series, and set off to where the facility wants them."""

from codetect_shared.bus import Envelope
from codetect_shared.events import AnalysisCompleted, ResultDocument
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import filing, objects, rows
from codetect_ingest.models import DELIVERIES, Delivery, DeliveryState, Destination, Kind, Study


async def on_analysis_completed(session: AsyncSession, event: AnalysisCompleted, envelope: Envelope) -> None:
    """Enter an analysis' documents as series of its study; a study that was erased meanwhile gets none."""
    mine = Study.id == event.study_id, Study.facility_id == envelope.facility_id
    study = await session.scalar(select(Study).where(*mine).with_for_update())
    if study is None or not event.documents:
        return
    for document in event.documents:
        await _enter(session, study, event, document)
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


async def _enter(session: AsyncSession, study: Study, event: AnalysisCompleted, document: ResultDocument) -> None:
    attributes = {
        "00080060": {"vr": "CS", "Value": [document.modality]},
        "00200011": {"vr": "IS", "Value": [document.series_number]},
    }
    series = {
        "id": objects.derived_id(study.id, document.series_instance_uid),
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
    }
    await rows.enter_whole(session, study, series, instance, replace=False)
