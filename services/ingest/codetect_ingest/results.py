"""Results join their study as series, and set off to where the facility wants them."""

from codetect_shared.bus import Envelope
from codetect_shared.events import AnalysisCompleted, ResultDocument
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import filing, objects
from codetect_ingest.models import DELIVERIES, Delivery, DeliveryState, Destination, InstanceRow, Kind, Series, Study

ENTIRE = 0  # a header's length where the data set lies nowhere but in the file itself


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
    series_id = objects.derived_id(study.id, document.series_instance_uid)
    attributes = {
        "00080060": {"vr": "CS", "Value": [document.modality]},
        "00200011": {"vr": "IS", "Value": [document.series_number]},
    }
    series = {
        "id": series_id,
        "facility_id": study.facility_id,
        "study_id": study.id,
        "series_instance_uid": document.series_instance_uid,
        "kind": Kind.RESULT,
        "modality": document.modality,
        "attributes": attributes,
    }
    await session.execute(upsert(Series).values(series).on_conflict_do_nothing())
    instance = {
        "series_id": series_id,
        "sop_instance_uid": document.sop_instance_uid,
        "facility_id": study.facility_id,
        "study_id": study.id,
        "upload_id": event.upload_id,
        "sop_class_uid": document.sop_class_uid,
        "transfer_syntax_uid": ExplicitVRLittleEndian,
        "instance_number": document.instance_number,
        "bucket": "results",
        "key": document.key,
        "offset": 0,
        "length": document.bytes,
        "header_offset": 0,
        "header_length": ENTIRE,
        "source": 0,
        "facts": {"analysis_id": str(event.analysis_id), "sha256": document.sha256},
    }
    await session.execute(upsert(InstanceRow).values(instance).on_conflict_do_nothing())
