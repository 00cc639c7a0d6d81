"""HTTP: feedback on an analysis, the second readers' worklist, and the table of labels."""

from typing import Annotated, Any
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.identifiers import HoldsIdentifier
from codetect_shared.problems import Forbidden, responses
from codetect_shared.tokens import CurrentPrincipal, Role, require
from fastapi import APIRouter, Depends, Query, Request, Response

from codetect_inference import failures
from codetect_inference.feedback import giving, reading
from codetect_inference.feedback.giving import Desk
from codetect_inference.feedback.schemas import (
    FeedbackFilters,
    FeedbackGivenOut,
    FeedbackList,
    FeedbackOut,
    FeedbackPage,
    FeedbackRequest,
    LabelFilters,
    Said,
)

of_analyses = APIRouter(prefix="/api/v1/analyses", tags=["feedback"])
feedback = APIRouter(prefix="/api/v1/feedback", tags=["feedback"])
reader = require(Role.ADMIN, Role.MEMBER)
CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}, "description": "A CSV table."}}


def at_desk(request: Request, session: SessionDep, who: CurrentPrincipal) -> Desk:
    """Who says something, in the request's transaction."""
    return Desk(session, request.app.state.settings, who)


DeskDep = Annotated[Desk, Depends(at_desk)]


@of_analyses.post(
    "/{analysis_id}/feedback",
    summary="Agree with findings, or correct them",
    status_code=201,
    dependencies=[reader],
    responses=responses(
        Forbidden, failures.AnalysisNotFound, failures.WrongState, failures.NoSuchFinding, HoldsIdentifier
    ),
)
async def give_feedback(desk: DeskDep, analysis_id: UUID, body: FeedbackRequest) -> FeedbackGivenOut:
    """A reader's newest opinion on a finding counts; who disagrees brings it before a second reader."""
    analysis, rows = await giving.give(desk, analysis_id, body)
    return FeedbackGivenOut(items=[FeedbackOut.of(row, analysis) for row in rows])


@of_analyses.get(
    "/{analysis_id}/feedback",
    summary="Get the feedback on an analysis",
    responses=responses(failures.AnalysisNotFound),
)
async def get_feedback(request: Request, session: SessionDep, who: CurrentPrincipal, analysis_id: UUID) -> FeedbackList:
    """All that was said of its findings, what was said before included."""
    return FeedbackList(items=await reading.of_analysis(session, request.app.state.settings, who, analysis_id))


@feedback.get("", summary="List feedback")
async def list_feedback(
    session: SessionDep, who: CurrentPrincipal, filters: Annotated[FeedbackFilters, Query()]
) -> FeedbackPage:
    """Findings that something was said of, the oldest first; `state=waiting` is the second readers' worklist."""
    return await reading.page(session, who, filters)


@feedback.get(
    "/labels.csv",
    summary="Export labels",
    response_class=Response,
    dependencies=[require(Role.ADMIN, Role.API_CLIENT)],
    responses=CSV | responses(Forbidden),
)
async def export_labels(
    session: SessionDep, who: CurrentPrincipal, filters: Annotated[LabelFilters, Query()]
) -> Response:
    """What readers settled, by pseudonymous series: a table that training reads (docs/feedback.md)."""
    return Response(await reading.label_table(session, who, filters), media_type="text/csv")


@feedback.post(
    "/{feedback_id}/adjudicate",
    summary="Decide as a second reader",
    dependencies=[reader],
    responses=responses(
        Forbidden,
        failures.FeedbackNotFound,
        failures.WrongState,
        failures.SecondReaderNeeded,
        failures.NoSuchFinding,
        HoldsIdentifier,
    ),
)
async def adjudicate_feedback(desk: DeskDep, feedback_id: UUID, body: Said) -> FeedbackOut:
    """What holds from now on, until somebody reopens it; by somebody who said nothing of the finding before."""
    analysis, row = await giving.adjudicate(desk, feedback_id, body)
    return FeedbackOut.of(row, analysis)


@feedback.post(
    "/{feedback_id}/reopen",
    summary="Reopen a decision",
    dependencies=[reader],
    responses=responses(Forbidden, failures.FeedbackNotFound, failures.WrongState),
)
async def reopen_feedback(desk: DeskDep, feedback_id: UUID) -> FeedbackOut:
    """The decision stays on record; readers' opinions count again."""
    analysis, row = await giving.reopen(desk, feedback_id)
    return FeedbackOut.of(row, analysis)
