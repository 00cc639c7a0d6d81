"""What the importer reads from and writes to the database: known studies, files' outcomes, the commit of an upload."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from codetect_shared import outbox
from codetect_shared.events import SeriesFacts, StudyReceived, UploadImported, UploadRefused
from codetect_shared.jobs import URGENT
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.assembly import KnownStudy, NewStudy
from codetect_ingest.dicom.instance import Instance
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.models import UPLOADS, FileState, InstanceRow, Series, State, Study, Upload, UploadFile, now

Refusals = Mapping[int, Refused]


class StudyMoved(Exception):
    """Another upload has filed a version of the same study meanwhile: join with that one."""


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


async def record(session: AsyncSession, upload: Upload, outcomes: Mapping[int, Outcome]) -> None:
    """Write down outcomes of files, one statement for all of the same kind."""
    alike: defaultdict[Outcome, list[int]] = defaultdict(list)
    for number, outcome in outcomes.items():
        alike[outcome].append(number)
    for outcome, numbers in alike.items():
        chosen = update(UploadFile).where(UploadFile.upload_id == upload.id, UploadFile.number.in_(numbers))
        await session.execute(chosen.values(vars(outcome)))


async def record_progress(session: AsyncSession, upload: Upload, outcomes: Mapping[int, Outcome], done: int) -> None:
    """Show how far an import got; an importer that lost the upload shows nothing."""
    mine = update(Upload).where(Upload.id == upload.id, Upload.fence == upload.fence, Upload.state == State.IMPORTING)
    if (await session.execute(mine.values(files_done=done).returning(Upload.id))).first():
        await record(session, upload, outcomes)


async def known_studies(session: AsyncSession, found: Iterable[Instance]) -> dict[str, KnownStudy]:
    """Return the studies among these that are known, with those of their series that slices were found for."""
    series_of: defaultdict[str, set[str]] = defaultdict(set)
    for one in found:
        series_of[one.study_instance_uid].add(one.series_instance_uid)
    known: dict[str, KnownStudy] = {}
    for study in await session.scalars(select(Study).where(Study.study_instance_uid.in_(series_of))):
        known[study.study_instance_uid] = here = KnownStudy(study.id, study.version, study.patient_id)
        wanted = series_of[study.study_instance_uid]
        for series in await session.scalars(
            select(Series).where(Series.study_id == study.id, Series.series_instance_uid.in_(wanted))
        ):
            rows = await session.scalars(select(InstanceRow).where(InstanceRow.series_id == series.id))
            here.series[series.series_instance_uid] = (SeriesFacts.model_validate(series.facts), list(rows))
    return known


async def file_upload(session: AsyncSession, job: Upload, studies: list[NewStudy], refused: Refusals) -> None:
    """End an upload in one transaction: studies, outcomes, events. Raises LeaseLost, StudyMoved."""
    upload = await UPLOADS.settle(session, job)
    upload.finished_at = now()
    upload.files_done = upload.files_total
    assert upload.completed_at is not None
    import_ms = _ms(upload.completed_at, upload.finished_at)
    outcomes = {number: Outcome.of(why) for number, why in refused.items()}
    for new in sorted(studies, key=lambda s: s.first.study_instance_uid):
        study = await _file_study(session, upload, new, import_ms)
        outcomes |= dict.fromkeys(new.numbers, Outcome(FileState.ACCEPTED, study_id=study.id))
        here = {"study_id": str(study.id), "version": study.version, "series": len(new.series)}
        upload.studies = [*upload.studies, here | {"instances": len(new.numbers)}]
    await record(session, upload, outcomes)
    by_code = dict(Counter(why.code.value for why in refused.values()))
    if studies:
        upload.move(State.DONE)
        event = UploadImported(
            upload_id=upload.id,
            files=upload.files_total,
            accepted=upload.files_total - len(refused),
            refused=by_code,
            studies=[new.id for new in studies],
            import_ms=import_ms,
        )
        await outbox.tell(session, upload, event)
    else:
        refuse(upload, *_why_nothing(refused))
        told = UploadRefused(upload_id=upload.id, code=str(upload.error_code), refused=by_code)
        await outbox.tell(session, upload, told)


def refuse(upload: Upload, code: str, detail: str) -> None:
    """End an upload of which nothing is kept."""
    upload.move(State.REFUSED)
    upload.finished_at, upload.error_code, upload.error_detail = now(), code, detail


async def _file_study(session: AsyncSession, upload: Upload, new: NewStudy, import_ms: int) -> Study:
    study = await _next_version(session, upload, new)
    for series in new.series:
        facts, series_id = series.facts.model_dump(mode="json"), series.facts.series_id
        row = {"id": series_id, "facility_id": upload.facility_id, "study_id": study.id, "facts": facts}
        row["series_instance_uid"] = series.facts.series_instance_uid
        await session.execute(
            upsert(Series).values(row).on_conflict_do_update(index_elements=[Series.id], set_={"facts": facts})
        )
        await session.execute(delete(InstanceRow).where(InstanceRow.series_id == series_id))
        slices = [
            {
                "series_id": series_id,
                "sop_instance_uid": s.instance.sop_instance_uid,
                "facility_id": upload.facility_id,
                "index": index,
                "key": s.key,
                "source": s.source,
                "facts": s.instance.model_dump(mode="json"),
            }
            for index, s in enumerate(series.slices)
        ]
        await session.execute(insert(InstanceRow), slices)
    everything = await session.scalars(select(Series.facts).where(Series.study_id == study.id).order_by(Series.id))
    assert upload.completed_at is not None
    received = StudyReceived(
        study_id=study.id,
        version=study.version,
        upload_id=upload.id,
        study_instance_uid=study.study_instance_uid,
        priority="urgent" if upload.priority == URGENT else "routine",
        models=upload.models,
        series=[SeriesFacts.model_validate(facts) for facts in everything],
        upload_ms=_ms(upload.created_at, upload.completed_at),
        import_ms=import_ms,
        submitted_at=upload.created_at,
    )
    await outbox.tell(session, study, received)
    return study


async def _next_version(session: AsyncSession, upload: Upload, new: NewStudy) -> Study:
    """Raise a study's version, or enter a new study; StudyMoved when another upload came first."""
    if new.known is None:
        row = {
            "id": new.id,
            "facility_id": upload.facility_id,
            "study_instance_uid": new.first.study_instance_uid,
            "patient_id": new.first.patient_id,
            "study_date": new.first.study_date,
            "version": 1,
        }
        statement = upsert(Study).values(row).on_conflict_do_nothing().returning(Study)
        study = (await session.scalars(statement)).one_or_none()
    else:
        unmoved = update(Study).where(Study.id == new.id, Study.version == new.known.version)
        raised = unmoved.values(version=Study.version + 1, updated_at=now()).returning(Study)
        study = (await session.scalars(raised)).one_or_none()
    if study is None:
        raise StudyMoved
    return study


def _why_nothing(refused: Refusals) -> tuple[str, str]:
    """Return one code and sentence for an upload of which no file was taken."""
    reasons = {why.code: why.code.sentence for why in refused.values()}
    if len(reasons) == 1:
        ((code, sentence),) = reasons.items()
        return code.value, sentence
    return "nothing_accepted", "None of the files is a CT slice that could be taken; each has its reason."


def _ms(start: datetime, end: datetime) -> int:
    return round((end - start).total_seconds() * 1000)
