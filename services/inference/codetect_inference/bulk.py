"""One thing done with several analyses: what one can't take is told, and keeps none of the others from it."""

from uuid import UUID

from codetect_shared import outbox, topology
from codetect_shared.problems import Problem
from codetect_shared.tokens import Principal
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import queries, service, superseding
from codetect_inference.failures import TooManyTags
from codetect_inference.models import Analysis, Status
from codetect_inference.schemas import AnalysisOut, BulkChange, BulkItem, BulkOut, BulkRequest, Reason

MOST_TAGS = 20


async def do(session: AsyncSession, who: Principal, request: BulkRequest) -> BulkOut:
    """Do it with each, and say what became of each, in the order asked."""
    for study_id in sorted(await queries.studies_of(session, request.ids)):
        await superseding.hold(session, study_id)
    done: dict[UUID, tuple[Analysis, list[str]]] = {}
    refused: dict[UUID, Problem] = {}
    # In the order of ids, so that no two such requests wait for each other; audited last, as `audit.record` asks.
    for analysis_id in sorted(set(request.ids)):
        try:
            async with session.begin_nested():
                row = await queries.analysis(session, analysis_id, lock=True)
                changed = await _do(session, row, request)
                await session.flush()
                done[analysis_id] = row, changed
        except Problem as problem:
            refused[analysis_id] = problem
    for row, changed in done.values():
        await service.note(session, who, f"analysis.{request.do}", row, **({"changed": changed} if changed else {}))
    waiting = next((row for row, _ in done.values() if row.status == Status.QUEUED), None)
    if waiting:  # a worker that looked meanwhile passed over these rows
        await outbox.ask_to_look(session, topology.ANALYSES_TO_RUN, waiting)
    rows = {analysis_id: row for analysis_id, (row, _) in done.items()}
    return BulkOut(items=[_item(one, rows.get(one), refused.get(one)) for one in dict.fromkeys(request.ids)])


async def _do(session: AsyncSession, row: Analysis, request: BulkRequest) -> list[str]:
    """What of tags, folder and priority is new."""
    if request.do == "cancel":
        await service.stop(session, row)
    elif request.do == "rerun":
        await service.run_again(session, row)
    else:
        return await _organise(session, row, request.change)
    return []


async def _organise(session: AsyncSession, row: Analysis, change: BulkChange) -> list[str]:
    tags = [tag for tag in dict.fromkeys([*row.tags, *change.add_tags]) if tag not in change.remove_tags]
    if len(tags) > MOST_TAGS:
        raise TooManyTags
    folder = change.folder if "folder" in change.model_fields_set else row.folder
    return await service.keep(session, row, tags, folder, change.priority)


def _item(analysis_id: UUID, row: Analysis | None, problem: Problem | None) -> BulkItem:
    if row:
        return BulkItem(id=analysis_id, analysis=AnalysisOut.of(row))
    assert problem is not None
    return BulkItem(id=analysis_id, problem=Reason(code=problem.type.rpartition(":")[2], detail=str(problem)))
