"""What imports read from and write to the database: known studies, files' outcomes, the commit of an upload."""

import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from codetect_shared import audit, outbox
from codetect_shared.events import SeriesFacts, StudyReceived, UploadImported, UploadRefused
from codetect_shared.jobs import URGENT
from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import rows
from codetect_ingest.assembly import KnownSeries, KnownStudy, NewStudy
from codetect_ingest.correcting import Corrections
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.identities import Sealer
from codetect_ingest.models import (
    ASSEMBLIES,
    UPLOADS,
    FileState,
    InstanceRow,
    Kind,
    Series,
    State,
    Study,
    Upload,
    UploadFile,
    now,
)

Refusals = Mapping[int, Refused]
NOBODY = ""  # the patient of a study that was reserved by who reads ahead; no pseudonym is empty


class StudyMoved(Exception):
    """Something else has come to the same study meanwhile: join with that."""


@dataclass(frozen=True)
class Outcome:
    """What became of a file."""

    state: FileState
    code: str | None = None
    detail: str | None = None
    study_id: UUID | None = None

    @classmethod
    def of(cls, refused: Refused) -> "Outcome":
        """From why it was refused."""
        return cls(FileState.REFUSED, refused.code.value, refused.detail)


async def lock_study(session: AsyncSession, facility_id: UUID, study_id: UUID) -> Study:
    """Return a study, which nobody else writes until the transaction ends. StudyMoved for one that was erased."""
    mine = select(Study).where(Study.id == study_id, Study.facility_id == facility_id)
    study = await session.scalar(mine.with_for_update())
    if study is None:
        raise StudyMoved
    return study


async def record(session: AsyncSession, upload: Upload, outcomes: Mapping[int, Outcome]) -> None:
    """Write down outcomes of files, one statement for all of the same kind."""
    alike: defaultdict[Outcome, list[int]] = defaultdict(list)
    for number, outcome in outcomes.items():
        alike[outcome].append(number)
    for outcome, numbers in alike.items():
        chosen = update(UploadFile).where(UploadFile.upload_id == upload.id, UploadFile.number.in_(numbers))
        await session.execute(chosen.values(vars(outcome)))


async def _record_reports(session: AsyncSession, upload: Upload, studies: list[NewStudy]) -> None:
    """Write down what de-identification did to each file; a series' files mostly share one report."""
    alike: defaultdict[str, list[int]] = defaultdict(list)
    for one in (s.new for study in studies for series in study.series for s in series.slices if s.new):
        alike[json.dumps(one.report)].append(one.number)
    for report, numbers in alike.items():
        chosen = update(UploadFile).where(UploadFile.upload_id == upload.id, UploadFile.number.in_(numbers))
        await session.execute(chosen.values(report=json.loads(report)))


async def record_progress(session: AsyncSession, upload: Upload, outcomes: Mapping[int, Outcome], done: int) -> None:
    """Show how far an import got; an importer that lost the upload shows nothing."""
    mine = update(Upload).where(Upload.id == upload.id, Upload.fence == upload.fence, Upload.state == State.IMPORTING)
    if (await session.execute(mine.values(files_done=done).returning(Upload.id))).first():
        await record(session, upload, outcomes)


async def reserve_studies(
    session: AsyncSession, facility_id: UUID, found: Collection[rows.Named], *, whole: bool
) -> dict[str, KnownStudy]:
    """Return the studies of what was found, with those of their series that it belongs to; enter new ones.

    A study that is entered has version 0 and no instances: nobody sees it, but whatever comes for it has one id.
    Series have all of their instances, or, unless `whole`, those alone that were found again.
    """
    firsts: dict[str, rows.Named] = {}
    series_of: defaultdict[str, set[str]] = defaultdict(set)
    for one in found:
        firsts.setdefault(one.study_instance_uid, one)
        series_of[one.study_instance_uid].add(one.series_instance_uid)
    here = select(Study).where(Study.facility_id == facility_id, Study.study_instance_uid.in_(firsts))
    known = {study.study_instance_uid for study in await session.scalars(here)}
    for uid in sorted(firsts.keys() - known):
        await session.execute(upsert(Study).values(rows.study(facility_id, firsts[uid])).on_conflict_do_nothing())
    as_they_are = here.execution_options(populate_existing=True)
    studies = list(await session.scalars(as_they_are))
    nobodys = sorted(study.study_instance_uid for study in studies if study.patient_id == NOBODY)
    for uid in nobodys:
        still = Study.facility_id == facility_id, Study.study_instance_uid == uid, Study.patient_id == NOBODY
        named = {"patient_id": firsts[uid].patient_id, "study_date": firsts[uid].study_date}
        await session.execute(update(Study).where(*still).values(named))
    if nobodys:
        studies = list(await session.scalars(as_they_are))
    instances = select(InstanceRow)
    if not whole:
        instances = instances.where(InstanceRow.sop_instance_uid.in_({one.sop_instance_uid for one in found}))
    return {
        study.study_instance_uid: await _known(session, study, series_of[study.study_instance_uid], instances)
        for study in studies
    }


async def reserve_nameless(session: AsyncSession, facility_id: UUID, one: rows.Named) -> KnownStudy:
    """Return the study of a slice of which nobody knows yet whether it stays; a new one is nobody's.

    Whoever reserves it for what stays names its patient.
    """
    new = rows.study(facility_id, one) | {"patient_id": NOBODY, "study_date": None}
    await session.execute(upsert(Study).values(new).on_conflict_do_nothing())
    here = Study.facility_id == facility_id, Study.study_instance_uid == one.study_instance_uid
    study = (await session.scalars(select(Study).where(*here))).one()
    return await _known(session, study, [one.series_instance_uid], select(InstanceRow))


async def waiting_study(session: AsyncSession, job: Study) -> KnownStudy:
    """Return a study with those of its series that slices wait for."""
    study = await session.get_one(Study, job.id)
    waiting = select(InstanceRow.series_id).where(InstanceRow.study_id == study.id, InstanceRow.hu_key.is_not(None))
    uids = list(await session.scalars(select(Series.series_instance_uid).where(Series.id.in_(waiting))))
    return await _known(session, study, uids, select(InstanceRow))


async def _known(
    session: AsyncSession, study: Study, series_uids: Iterable[str], instances: Select[InstanceRow]
) -> KnownStudy:
    """Return a study as it stands, with these of its series, and these of their instances."""
    found = KnownStudy(study.id, study.study_instance_uid, study.version, study.updated_at, study.patient_id)
    named = Series.study_id == study.id, Series.kind == Kind.IMAGE, Series.series_instance_uid.in_(series_uids)
    for series in await session.scalars(select(Series).where(*named)):
        mine = list(await session.scalars(instances.where(InstanceRow.series_id == series.id)))
        facts = SeriesFacts.model_validate(series.facts) if series.facts else None
        found.series[series.series_instance_uid] = KnownSeries(series.id, facts, mine)
    return found


async def file_upload(
    session: AsyncSession,
    job: Upload,
    studies: list[NewStudy],
    refused: Refusals,
    sealer: Sealer,
    keep: Callable[[AsyncSession], Awaitable[dict[int, Outcome]]],
    corrections: Corrections,
) -> None:
    """End an upload in one transaction: studies, outcomes, events. Raises LeaseLost, StudyMoved.

    `keep` enters the files that are kept unread, and returns their outcomes.
    """
    upload = await UPLOADS.settle(session, job)
    upload.finished_at = now()
    upload.files_done = upload.files_total
    assert upload.completed_at is not None
    import_ms = elapsed_ms(upload.completed_at, upload.finished_at)
    outcomes = {number: Outcome.of(why) for number, why in refused.items()}
    for new in sorted(studies, key=lambda s: s.known.study_instance_uid):
        study = await file_study(session, new, upload, sealer, corrections)
        await _receive(session, study, upload, import_ms)
        outcomes |= dict.fromkeys(new.numbers, Outcome(FileState.ACCEPTED, study_id=study.id))
        here = {"study_id": str(study.id), "version": study.version, "series": len(new.series)}
        upload.studies = [*upload.studies, here | {"instances": new.brought}]
    kept = await keep(session)
    outcomes |= kept
    await record(session, upload, outcomes)
    await _record_reports(session, upload, studies)
    refused = {number: why for number, why in refused.items() if number not in kept}
    if studies or kept:
        upload.move(State.DONE)
        await tell_imported(session, upload, refused, [new.id for new in studies], import_ms)
    else:
        refuse(upload, *_why_nothing(refused))
        told = UploadRefused(upload_id=upload.id, code=str(upload.error_code), refused=_by_code(refused))
        await outbox.tell(session, upload, told)
    await corrections.record(session, audit.Actor("platform", upload.facility_id, "platform"), upload.id)


async def tell_imported(
    session: AsyncSession, upload: Upload, refused: Refusals, studies: Iterable[UUID], import_ms: int
) -> None:
    """Tell that every file of an upload has its outcome."""
    event = UploadImported(
        upload_id=upload.id,
        files=upload.files_total,
        accepted=upload.files_total - len(refused),
        refused=_by_code(refused),
        studies=list(studies),
        import_ms=import_ms,
    )
    await outbox.tell(session, upload, event)


def _by_code(refused: Refusals) -> dict[str, int]:
    return dict(Counter(why.code.value for why in refused.values()))


def refuse(upload: Upload, code: str, detail: str) -> None:
    """End an upload of which nothing is kept."""
    upload.move(State.REFUSED)
    upload.finished_at, upload.error_code, upload.error_detail = now(), code, detail


async def file_study(
    session: AsyncSession, new: NewStudy, upload: Upload, sealer: Sealer, corrections: Corrections
) -> Study:
    """Write a study's new version: its series and instances. Raises StudyMoved when it isn't as it was any more."""
    unmoved = Study.id == new.id, Study.version == new.known.version, Study.updated_at == new.known.updated_at
    raised = update(Study).where(*unmoved).values(version=Study.version + 1, updated_at=now()).returning(Study)
    study = (await session.scalars(raised.execution_options(populate_existing=True))).one_or_none()
    if study is None:
        raise StudyMoved
    await corrections.take_up(session, study)
    for series in new.series:
        await rows.write_series(session, study, series, upload, sealer)
    await count(session, study.id)
    await session.refresh(study)
    return study


async def count(session: AsyncSession, study_id: UUID) -> None:
    """Count a study's instances and bytes anew."""
    mine = select(func.count(), func.coalesce(func.sum(InstanceRow.length), 0)).where(InstanceRow.study_id == study_id)
    instances, size = (await session.execute(mine)).one()
    await session.execute(update(Study).where(Study.id == study_id).values(instances=instances, stored_bytes=size))


async def file_assembly(session: AsyncSession, job: Study, new: NewStudy, sealer: Sealer) -> None:
    """End an assembly: the new version and its event. Raises LeaseLost, StudyMoved when slices came meanwhile."""
    settled = await ASSEMBLIES.settle(session, job)
    if settled.updated_at != new.known.updated_at:
        raise StudyMoved
    waiting = InstanceRow.study_id == job.id, InstanceRow.hu_key.is_not(None)
    if new.series:
        latest = select(InstanceRow.upload_id).where(*waiting).order_by(InstanceRow.upload_id.desc()).limit(1)
        upload = await session.get_one(Upload, (await session.scalars(latest)).one())
        assert upload.completed_at is not None
        study = await file_study(session, new, upload, sealer, Corrections(sealer))
        await _receive(session, study, upload, elapsed_ms(upload.completed_at, now()))
    # What still waits is odd: it is kept, but doesn't fit the volume.
    await session.execute(update(InstanceRow).where(*waiting).values(hu_key=None, hu_offset=None, hu_length=None))


async def _receive(session: AsyncSession, study: Study, upload: Upload, import_ms: int) -> None:
    """Tell that a new version of a study can be analysed."""
    mine = select(Series.facts).where(Series.study_id == study.id, Series.facts.is_not(None)).order_by(Series.id)
    everything = await session.scalars(mine)
    assert upload.completed_at is not None
    received = StudyReceived(
        study_id=study.id,
        version=study.version,
        upload_id=upload.id,
        study_instance_uid=study.study_instance_uid,
        priority="urgent" if upload.priority == URGENT else "routine",
        models=upload.models,
        series=[SeriesFacts.model_validate(facts) for facts in everything],
        upload_ms=elapsed_ms(upload.created_at, upload.completed_at),
        import_ms=import_ms,
        submitted_at=upload.created_at,
        submitted_by=UUID(upload.created_by),
    )
    await outbox.tell(session, study, received)


def _why_nothing(refused: Refusals) -> tuple[str, str]:
    """Return one code and sentence for an upload of which no file was taken."""
    reasons = {why.code: why.code.sentence for why in refused.values()}
    if len(reasons) == 1:
        ((code, sentence),) = reasons.items()
        return code.value, sentence
    return "nothing_accepted", "None of the files is a CT slice that could be taken; each has its reason."


def elapsed_ms(start: datetime, end: datetime) -> int:
    """Return the whole milliseconds between two times."""
    return round((end - start).total_seconds() * 1000)
