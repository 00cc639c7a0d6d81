"""HTTP: notes on a study, beside its results."""

from uuid import UUID

from codetect_shared.identifiers import HoldsIdentifier
from codetect_shared.problems import Forbidden, responses
from fastapi import APIRouter

from codetect_inference import failures
from codetect_inference.feedback.routes import DeskDep, reader
from codetect_inference.notes import keeping
from codetect_inference.notes.schemas import NoteList, NoteOut, NoteRequest

notes = APIRouter(prefix="/api/v1/analyses", tags=["notes"])


@notes.get("/{analysis_id}/notes", summary="Get the notes on a study", responses=responses(failures.AnalysisNotFound))
async def list_notes(desk: DeskDep, analysis_id: UUID) -> NoteList:
    """What people wrote of this analysis's study, on whichever of its analyses."""
    return NoteList(items=await keeping.of_study(desk, analysis_id))


@notes.post(
    "/{analysis_id}/notes",
    summary="Write a note",
    status_code=201,
    dependencies=[reader],
    responses=responses(Forbidden, failures.AnalysisNotFound, HoldsIdentifier, keeping.TooManyNotes),
)
async def write_note(desk: DeskDep, analysis_id: UUID, body: NoteRequest) -> NoteOut:
    """It is sealed, read by its writer and those with the right `identity`, and erased with the study."""
    return await keeping.write(desk, analysis_id, body.text)


@notes.delete(
    "/{analysis_id}/notes/{note_id}",
    summary="Take a note back",
    status_code=204,
    dependencies=[reader],
    responses=responses(Forbidden, failures.AnalysisNotFound, keeping.NoteNotFound),
)
async def take_note_back(desk: DeskDep, analysis_id: UUID, note_id: UUID) -> None:
    """One's own; admins can take back anybody's. It goes for good."""
    await keeping.take_back(desk, analysis_id, note_id)
