"""Write notes on a study, read them, take them back."""

from uuid import UUID

from codetect_shared import audit
from codetect_shared.db import uuid7
from codetect_shared.identifiers import refuse_identifiers
from codetect_shared.problems import Conflict, NotFound
from codetect_shared.sealing import seal, unseal
from codetect_shared.tokens import Role
from sqlalchemy import func, select

from codetect_inference import queries, superseding
from codetect_inference.feedback.giving import Desk
from codetect_inference.feedback.sealing import facility_key
from codetect_inference.models import Analysis
from codetect_inference.notes.models import Note
from codetect_inference.notes.schemas import NoteOut

MOST = 200


class NoteNotFound(NotFound):
    """The study has no such note that you may take back."""


class TooManyNotes(Conflict):
    """A study can have 200 notes; take one back first."""


async def of_study(desk: Desk, analysis_id: UUID) -> list[NoteOut]:
    """All notes on the analysis's study, the oldest first; texts for whom they are. Raises AnalysisNotFound."""
    analysis = await queries.analysis(desk.session, analysis_id)
    its = select(Note).where(Note.study_id == analysis.study_id).order_by(Note.at, Note.id)
    notes = list(await desk.session.scalars(its))
    mine = {note.id for note in notes if str(note.writer) == desk.who.subject}
    shown = [note for note in notes if desk.who.sees_identities or note.id in mine]
    if len(shown) > len(mine):
        await _note(desk, "note.read", analysis)
    key = await facility_key(desk.session, desk.who.facility_id, desk.settings.master_key) if shown else b""
    texts = {note.id: unseal(key, note.sealed_text, f"notes/{note.id}").decode() for note in shown}
    return [NoteOut(id=note.id, writer=note.writer, at=note.at, text=texts.get(note.id)) for note in notes]


async def write(desk: Desk, analysis_id: UUID, text: str) -> NoteOut:
    """Keep one more note on the analysis's study. Raises AnalysisNotFound, HoldsIdentifier, TooManyNotes."""
    refuse_identifiers("note", text)
    # An erasure holds the study, too: whoever comes after it finds no analysis, and no note is left behind.
    await superseding.hold(desk.session, (await queries.analysis(desk.session, analysis_id)).study_id)
    analysis = await queries.analysis(desk.session, analysis_id, lock=True)
    count = select(func.count()).select_from(Note).where(Note.study_id == analysis.study_id)
    if (await desk.session.scalar(count) or 0) >= MOST:
        raise TooManyNotes
    note = Note(id=uuid7(), facility_id=desk.who.facility_id, study_id=analysis.study_id, writer=desk.reader)
    key = await facility_key(desk.session, note.facility_id, desk.settings.master_key)
    note.sealed_text = seal(key, text.encode(), f"notes/{note.id}")
    desk.session.add(note)
    await _note(desk, "note.write", analysis)
    await desk.session.flush()
    await desk.session.refresh(note)
    return NoteOut(id=note.id, writer=note.writer, at=note.at, text=text)


async def take_back(desk: Desk, analysis_id: UUID, note_id: UUID) -> None:
    """Remove a note of one's own; an admin, anybody's. Raises AnalysisNotFound, NoteNotFound."""
    analysis = await queries.analysis(desk.session, analysis_id)
    its = select(Note).where(Note.id == note_id, Note.study_id == analysis.study_id)
    if desk.who.role is not Role.ADMIN:
        its = its.where(Note.writer == desk.reader)
    note = await desk.session.scalar(its.with_for_update())
    if note is None:
        raise NoteNotFound
    await desk.session.delete(note)
    await _note(desk, "note.delete", analysis)


async def _note(desk: Desk, action: str, analysis: Analysis) -> None:
    await audit.record(desk.session, desk.who, action, study_id=analysis.study_id, target=f"analysis/{analysis.id}")
