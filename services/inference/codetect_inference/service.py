"""What can be done with analyses: ask for one, run it, settle it, organise it, forget it."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from codetect_shared import audit, events, outbox
from codetect_shared.jobs import PRIORITIES, UNAWAITED, URGENT, LeaseLost
from codetect_shared.tokens import Principal
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import queries, serving, shadows, superseding
from codetect_inference.choose import choose_series
from codetect_inference.explain import Explanation
from codetect_inference.failures import SENTENCES, ModelNotFound, StudyNotFound, WrongState
from codetect_inference.models import ANALYSES, Analysis, Erasure, Model, Removal, Status, Study, now
from codetect_inference.notes.models import Note
from codetect_inference.schemas import AnalysisChange
from codetect_inference.stops import tell_stopped
from codetect_inference.watch.counting import count
from codetect_inference.watch.measures import Tallies


async def receive_study(session: AsyncSession, facility_id: UUID, event: events.StudyReceived) -> None:
    """A study is ready: remember its newest version and queue an analysis for each model asked for."""
    facts = {
        "version": event.version,
        "study_instance_uid": event.study_instance_uid,
        "upload_id": event.upload_id,
        "submitted_by": event.submitted_by,
        "priority": PRIORITIES[event.priority],
        "series": [one.model_dump(mode="json") for one in event.series],
    }
    known = insert(Study).values(id=event.study_id, facility_id=facility_id, erased=False, **facts)
    newer = known.on_conflict_do_update(
        index_elements=[Study.id], set_=facts, where=(Study.version < event.version) & ~Study.erased
    )
    await session.execute(newer)
    study = (await session.scalars(select(Study).where(Study.id == event.study_id).with_for_update())).one()
    if study.erased:
        return
    current = await serving.serving(session, facility_id)
    names = current.active if event.models is None else dict.fromkeys(event.models)
    for name in names or ["default"]:
        analysis = Analysis(
            facility_id=facility_id,
            study_id=event.study_id,
            study_version=event.version,
            upload_id=event.upload_id,
            submitted_by=event.submitted_by,
            model_name=name,
            priority=PRIORITIES[event.priority],
            submitted_at=event.submitted_at,
            upload_ms=event.upload_ms,
            import_ms=event.import_ms,
            superseded=event.version < study.version,
        )
        await _add(session, analysis, current.shown(name, study.id), event.series)
        await _shadow(session, analysis, current.hidden(name, study.id), event.series)


async def ask(session: AsyncSession, who: Principal, study_id: UUID, model_name: str) -> tuple[Analysis, bool]:
    """One model's analysis of a study's newest version, and whether it is new."""
    study = await session.scalar(select(Study).where(Study.id == study_id, ~Study.erased).with_for_update())
    if study is None:
        raise StudyNotFound
    current = await serving.serving(session, who.facility_id)
    model = current.shown(model_name, study_id)
    if model is None:
        raise ModelNotFound
    there = await session.scalar(
        select(Analysis).where(
            Analysis.study_id == study_id, Analysis.study_version == study.version, Analysis.model_id == model.id
        )
    )
    if there:
        return there, False
    analysis = Analysis(
        facility_id=who.facility_id,
        study_id=study_id,
        study_version=study.version,
        upload_id=study.upload_id,
        submitted_by=UUID(who.subject),
        model_name=model_name,
        priority=study.priority,
    )
    series = [events.SeriesFacts.model_validate(one) for one in study.series]
    await _add(session, analysis, model, series)
    await _shadow(session, analysis, current.hidden(model_name, study_id), series)
    await note(session, who, "analysis.ask", analysis, model=model.name, version=model.version)
    return analysis, True


async def note(session: AsyncSession, who: Principal, action: str, row: Analysis, **detail: Any) -> None:
    """Write down what somebody did with an analysis. Raises AuditUnavailable."""
    await audit.record(session, who, action, study_id=row.study_id, target=f"analysis/{row.id}", detail=detail)


async def _add(
    session: AsyncSession, analysis: Analysis, model: Model | None, series: list[events.SeriesFacts]
) -> None:
    """Put a new analysis before older ones of its study and model, and queue it; or say why it can't run."""
    await superseding.hold(session, analysis.study_id)
    if not analysis.superseded:
        await superseding.make_way(session, analysis)
    choice = choose_series(series)
    if model:
        serving.use(analysis, model)
    if choice:
        analysis.series, analysis.series_reason = choice.series.model_dump(mode="json"), choice.reason
        analysis.slices_total = choice.series.slices
    session.add(analysis)
    await session.flush()
    if model and choice:
        await _queue(session, analysis)
    else:
        await _tell_queued(session, analysis)
        unknown = "no_model" if analysis.model_name == "default" else "unknown_model"
        await fail(session, analysis, unknown if model is None else "no_usable_series")


async def _shadow(
    session: AsyncSession, shown: Analysis, model: Model | None, series: list[events.SeriesFacts]
) -> None:
    """Have a candidate read the same version of the study, for nobody to see."""
    if model is None or shown.series is None:
        return
    async with shadows.behind(session, shown.facility_id) as hidden:
        same = select(Analysis.id).where(
            Analysis.study_id == shown.study_id,
            Analysis.study_version == shown.study_version,
            Analysis.model_id == model.id,
        )
        if await session.scalar(same):
            return
        analysis = Analysis(
            facility_id=hidden,
            shadow_for=shown.facility_id,
            study_id=shown.study_id,
            study_version=shown.study_version,
            upload_id=shown.upload_id,
            model_name=shown.model_name,
            priority=UNAWAITED,
            superseded=shown.superseded,
        )
        await _add(session, analysis, model, series)


async def tell(session: AsyncSession, analysis: Analysis, event: events.Event) -> None:
    """Record an event about an analysis; nobody is told of a shadow."""
    if analysis.shadow_for is None:
        await outbox.tell(session, analysis, event)


async def _queue(session: AsyncSession, analysis: Analysis) -> None:
    await ANALYSES.enqueue(session, analysis)
    await _tell_queued(session, analysis)


async def _tell_queued(session: AsyncSession, a: Analysis) -> None:
    told = events.AnalysisQueued(
        analysis_id=a.id,
        study_id=a.study_id,
        study_version=a.study_version,
        upload_id=a.upload_id,
        model=a.model_name,
        model_version=a.model_version,
        priority=_priority(a),
        submitted_by=a.submitted_by,
    )
    await tell(session, a, told)


async def start(session: AsyncSession, job: Analysis) -> None:
    """A worker took it."""
    row = await _held(session, job)
    row.move(Status.RUNNING)
    row.started_at, row.slices_done = now(), 0
    row.queued_ms = _ms(row.queued_at, row.started_at)
    started = events.AnalysisStarted(
        analysis_id=row.id,
        study_id=row.study_id,
        upload_id=row.upload_id,
        model=row.model_name,
        model_version=row.model_version,
        attempt=row.attempts,
        queued_ms=row.queued_ms,
    )
    await tell(session, row, started)


async def fall_back(session: AsyncSession, job: Analysis) -> bool:
    """The version that served before takes over an analysis whose own can't be loaded here; False: there is none."""
    await superseding.hold(session, job.study_id)
    row = await _held(session, job)
    if not await serving.fall_back(session, row):
        return False
    for name in ("model_id", "model_version", "model_sha256", "model_title", "preprocessing"):
        setattr(job, name, getattr(row, name))
    return True


async def unsigned(session: AsyncSession, job: Analysis) -> bool:
    """Whether an analysis' version was registered before bundles were signed."""
    return bool(await session.scalar(select(Model.signed_by.is_(None)).where(Model.id == job.model_id)))


async def progress(session: AsyncSession, job: Analysis, slices_done: int) -> None:
    """A worker got further, or only looks whether it may go on. Raises LeaseLost when it may not."""
    row = await _held(session, job)
    if slices_done > row.slices_done:
        row.slices_done = slices_done
        progressed = events.AnalysisProgressed(
            analysis_id=row.id,
            study_id=row.study_id,
            upload_id=row.upload_id,
            slices_done=slices_done,
            slices_total=row.slices_total,
        )
        await tell(session, row, progressed)


async def _held(session: AsyncSession, job: Analysis) -> Analysis:
    """The row of a job that is still this worker's. Raises LeaseLost when it was cancelled, erased or taken over."""
    mine = select(Analysis).where(
        Analysis.id == job.id, Analysis.fence == job.fence, Analysis.available_at.is_not(None)
    )
    row = await session.scalar(mine.with_for_update())
    if row is None:
        raise LeaseLost(str(job.id))
    return row


async def complete(
    session: AsyncSession,
    job: Analysis,
    explanation: Explanation,
    counts: Tallies,
    *,
    maps_key: str,
    documents: list[events.ResultDocument],
    provider: str,
    cost: events.Cost,
) -> None:
    """Commit a result, guarded by the job's fence; an erased study's analysis has no row, so it can't be settled."""
    await superseding.hold(session, job.study_id)
    row = await ANALYSES.settle(session, job)
    row.superseded = await superseding.settle(session, row)
    row.move(Status.COMPLETED)
    row.finished_at = now()
    row.inference_ms = _ms(row.started_at or row.finished_at, row.finished_at)
    row.total_ms = _ms(row.submitted_at, row.finished_at)
    findings = [events.Finding.model_validate(one, from_attributes=True) for one in explanation.findings]
    row.findings = [asdict(one) for one in explanation.findings]
    row.positive = [one.label for one in findings if one.positive]
    row.warnings = [{"code": one.code, "detail": one.detail} for one in explanation.warnings]
    row.top_slices, row.unlikeness = list(explanation.top_slices), explanation.unlikeness
    row.top_scores = [asdict(one) for one in explanation.top_scores]
    row.slices_done, row.slices_analysed = row.slices_total, len(explanation.probabilities)
    row.maps_key, row.provider = maps_key, provider
    row.documents = [one.model_dump() for one in documents]
    row.cpu_ms, row.gpu_ms = cost.cpu_ms, cost.gpu_ms
    row.bytes_read, row.bytes_written = cost.bytes_read, cost.bytes_written
    completed = events.AnalysisCompleted(
        analysis_id=row.id,
        study_id=row.study_id,
        study_version=row.study_version,
        upload_id=row.upload_id,
        model=row.model_name,
        model_version=row.model_version,
        findings=findings,
        warnings=[one.code for one in explanation.warnings],
        unlikeness=explanation.unlikeness,
        documents=documents,
        slices_total=row.slices_total,
        slices_analysed=row.slices_analysed,
        provider=provider,
        cost=cost,
        queued_ms=row.queued_ms or 0,
        inference_ms=row.inference_ms,
        total_ms=row.total_ms,
        priority=_priority(row),
        submitted_by=row.submitted_by,
    )
    await tell(session, row, completed)
    await count(session, row, counts)


async def fail(session: AsyncSession, row: Analysis, code: str) -> None:
    """It ends without a result; the code has its sentence in `failures`."""
    row.move(Status.FAILED)
    row.finished_at = now()
    row.total_ms = _ms(row.submitted_at, row.finished_at)
    row.error_code, row.error_detail = code, SENTENCES[code]
    failed = events.AnalysisFailed(
        analysis_id=row.id,
        study_id=row.study_id,
        upload_id=row.upload_id,
        model=row.model_name,
        model_version=row.model_version,
        code=code,
        priority=_priority(row),
        submitted_by=row.submitted_by,
    )
    await tell(session, row, failed)


async def rerun(session: AsyncSession, who: Principal, analysis_id: UUID) -> Analysis:
    """Queue a failed or cancelled analysis again."""
    row = await queries.analysis(session, analysis_id, lock=True)
    await run_again(session, row)
    await note(session, who, "analysis.rerun", row)
    return row


async def run_again(session: AsyncSession, row: Analysis) -> None:
    """Queue it once more. Raises WrongState."""
    if row.model_id is None or row.series is None:
        raise WrongState(
            "It would fail the same way; ask for an analysis with a registered model, or send more images."
        )
    row.move(Status.QUEUED)
    row.submitted_at = row.queued_at = now()
    row.started_at = row.finished_at = row.error_code = row.error_detail = None
    row.upload_ms = row.import_ms = row.queued_ms = row.total_ms = None
    row.slices_done = 0
    await _queue(session, row)


async def cancel(session: AsyncSession, who: Principal, analysis_id: UUID) -> Analysis:
    """Stop a waiting or running analysis; its worker begins no further batch."""
    row = await queries.analysis(session, analysis_id, lock=True)
    await stop(session, row)
    await note(session, who, "analysis.cancel", row)
    return row


async def stop(session: AsyncSession, row: Analysis) -> None:
    """End one that waits or runs. Raises WrongState."""
    row.move(Status.CANCELLED)
    row.finished_at = now()
    row.available_at = row.lease_until = None
    await tell_stopped(session, row.id)
    cancelled = events.AnalysisCancelled(
        analysis_id=row.id,
        study_id=row.study_id,
        upload_id=row.upload_id,
        model=row.model_name,
        model_version=row.model_version,
    )
    await tell(session, row, cancelled)


async def organise(session: AsyncSession, who: Principal, analysis_id: UUID, change: AnalysisChange) -> Analysis:
    """Set tags, folder and priority."""
    row = await queries.analysis(session, analysis_id, lock=True)
    tags = row.tags if change.tags is None else change.tags
    folder = change.folder if "folder" in change.model_fields_set else row.folder
    changed = await keep(session, row, tags, folder, change.priority)
    await note(session, who, "analysis.organise", row, changed=changed)
    return row


async def keep(
    session: AsyncSession, row: Analysis, tags: Iterable[str], folder: str | None, priority: events.Priority | None
) -> list[str]:
    """Keep it under these; what of them is new, by name, which is told."""
    wanted = {
        "tags": list(dict.fromkeys(tags)),
        "folder": folder,
        "priority": row.priority if priority is None else PRIORITIES[priority],
    }
    changed = [name for name, value in wanted.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, wanted[name])
    if changed:
        organised = events.AnalysisOrganised.model_validate(
            {"analysis_id": row.id, "study_id": row.study_id, "upload_id": row.upload_id, "changed": changed}
        )
        await tell(session, row, organised)
    await session.flush()
    return changed


async def remove(session: AsyncSession, who: Principal, analysis_id: UUID) -> None:
    """Delete one analysis with its result objects."""
    await superseding.hold(session, (await queries.analysis(session, analysis_id)).study_id)
    row = await queries.analysis(session, analysis_id, lock=True)
    await _remove(session, row)
    await session.flush()
    async with shadows.behind(session, row.facility_id):
        same = Analysis.study_id == row.study_id, Analysis.study_version == row.study_version
        await _remove_all(session, *same, Analysis.model_name == row.model_name)
    await note(session, who, "analysis.delete", row)


async def erase_study(session: AsyncSession, facility_id: UUID, event: events.StudyErased) -> None:
    """A study is gone: so is everything read from it, and what is still being read is stopped."""
    study_id = event.study_id
    gone = {"erased": True, "series": [], "version": 0, "upload_id": study_id, "submitted_by": None, "priority": 0}
    gone["study_instance_uid"] = None
    erased = insert(Study).values(id=study_id, facility_id=facility_id, **gone)
    await session.execute(erased.on_conflict_do_update(index_elements=[Study.id], set_=gone))
    await session.execute(insert(Erasure).values(id=study_id, facility_id=facility_id).on_conflict_do_nothing())
    await superseding.hold(session, study_id)
    await session.execute(delete(Note).where(Note.study_id == study_id))
    await _remove_all(session, Analysis.study_id == study_id)
    async with shadows.behind(session, facility_id):
        await _remove_all(session, Analysis.study_id == study_id)


async def _remove_all(session: AsyncSession, *those: ColumnElement[bool]) -> None:
    for row in await session.scalars(select(Analysis).where(*those).with_for_update()):
        await _remove(session, row)


async def _remove(session: AsyncSession, row: Analysis) -> None:
    if row.status in (Status.QUEUED, Status.RUNNING):
        await stop(session, row)
    session.add(Removal(facility_id=row.facility_id, prefix=row.results_prefix))
    await session.delete(row)


def _priority(row: Analysis) -> events.Priority:
    return "urgent" if row.priority == URGENT else "routine"


def _ms(since: datetime, until: datetime) -> int:
    return max(0, round((until - since).total_seconds() * 1000))
