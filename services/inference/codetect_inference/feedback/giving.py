"""What readers do: agree or correct, decide as a second reader, reopen a decision."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from codetect_shared import audit, events
from codetect_shared.outbox import tell
from codetect_shared.tokens import Principal
from prometheus_client import Counter
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import queries
from codetect_inference.failures import FeedbackNotFound, NoSuchFinding, SecondReaderNeeded, WrongState
from codetect_inference.feedback.deciding import agrees, in_sample, outcome
from codetect_inference.feedback.models import SETTLED, Feedback, FeedbackState, Opinion, Ruling, Says
from codetect_inference.feedback.schemas import FeedbackRequest, Said, SaidOfFinding
from codetect_inference.feedback.sealing import facility_key, seal_comment
from codetect_inference.models import Analysis, Status
from codetect_inference.settings import Settings

GIVEN = Counter("codetect_feedback_total", "Opinions on findings.", ["model", "version", "label", "agrees"])
WORDS = {True: "yes", False: "no", None: "unsure"}


@dataclass(frozen=True)
class Desk:
    """Who says something, within one transaction."""

    session: AsyncSession
    settings: Settings
    who: Principal

    @property
    def reader(self) -> UUID:
        """The person's id."""
        return UUID(self.who.subject)


async def give(desk: Desk, analysis_id: UUID, said: FeedbackRequest) -> tuple[Analysis, list[Feedback]]:
    """Take a reader's opinion on findings, all of them or none.

    Raises AnalysisNotFound, WrongState, NoSuchFinding, HoldsIdentifier.
    """
    session = desk.session
    analysis = await queries.analysis(session, analysis_id, lock=True)
    if analysis.status != Status.COMPLETED:
        raise WrongState(f"The analysis is {analysis.status}: there is no finding to agree with yet.")
    rows = [await _give_one(desk, analysis, one) for one in said.findings]
    opinions = {one.label: one.says for one in said.findings}
    await note(desk.session, desk.who, "feedback.give", analysis, f"analysis/{analysis.id}", opinions)
    return analysis, rows


async def _give_one(desk: Desk, analysis: Analysis, said: SaidOfFinding) -> Feedback:
    session = desk.session
    row = await _of_finding(desk, analysis, said.label)
    if row.state == FeedbackState.ADJUDICATED:
        raise WrongState(f"{said.label} was decided by a second reader: reopen that first.")
    mine = (Opinion.feedback_id == row.id, Opinion.reader == desk.reader, ~Opinion.superseded)
    await session.execute(update(Opinion).where(*mine).values(superseded=True))
    opinion = Opinion(facility_id=analysis.facility_id, feedback_id=row.id, reader=desk.reader)
    await _keep(desk, analysis, opinion, said)
    await _settle(desk, row)
    given = events.FeedbackGiven(
        **_about(desk, analysis, row),
        says=said.says.value,
        model_says=row.model_says,
        agrees=(agreed := agrees(row.model_says, said.says)),
        state=row.state,
    )
    await tell(session, row, given)
    GIVEN.labels(analysis.model_name, analysis.model_version, row.label, WORDS[agreed]).inc()
    return row


async def _of_finding(desk: Desk, analysis: Analysis, label: str) -> Feedback:
    """The row of a finding, locked; made when nobody has said anything of it so far. Raises NoSuchFinding."""
    found = next((one for one in analysis.findings if one["label"] == label), None)
    if found is None:
        names = ", ".join(one["label"] for one in analysis.findings)
        raise NoSuchFinding(f"The analysis has no finding {label}: its labels are {names}.")
    facts = {
        "facility_id": analysis.facility_id,
        "analysis_id": analysis.id,
        "label": label,
        "model_says": Says.PRESENT if found["positive"] else Says.ABSENT,
        "probability": found["probability"],
        "state": FeedbackState.UNDECIDED,
    }
    await desk.session.execute(insert(Feedback).values(facts).on_conflict_do_nothing())
    its = select(Feedback).where(Feedback.analysis_id == analysis.id, Feedback.label == label)
    return (await desk.session.scalars(its.with_for_update())).one()


async def adjudicate(desk: Desk, feedback_id: UUID, said: Said) -> tuple[Analysis, Feedback]:
    """A second reader decides what holds, until somebody reopens it.

    Raises FeedbackNotFound, WrongState, SecondReaderNeeded, HoldsIdentifier.
    """
    analysis, row = await _find(desk, feedback_id)
    if row.state != FeedbackState.WAITING:
        raise WrongState(f"The feedback is {row.state}: nothing waits for a decision.")
    own = select(Opinion.id).where(Opinion.feedback_id == row.id, Opinion.reader == desk.reader).limit(1)
    if await desk.session.scalar(own):
        raise SecondReaderNeeded
    ruling = Ruling(facility_id=row.facility_id, feedback_id=row.id, reader=desk.reader)
    await _keep(desk, analysis, ruling, said)
    await _settle(desk, row)
    decided = events.FeedbackAdjudicated(
        **_about(desk, analysis, row),
        says=said.says.value,
        model_says=row.model_says,
        agrees=agrees(row.model_says, said.says),
    )
    await tell(desk.session, row, decided)
    await note(desk.session, desk.who, "feedback.adjudicate", analysis, f"feedback/{row.id}", {row.label: said.says})
    return analysis, row


async def reopen(desk: Desk, feedback_id: UUID) -> tuple[Analysis, Feedback]:
    """Take a decision back: opinions count again. Raises FeedbackNotFound, WrongState."""
    analysis, row = await _find(desk, feedback_id)
    if row.state != FeedbackState.ADJUDICATED:
        raise WrongState(f"The feedback is {row.state}: no decision is in force.")
    over = {"reopened_at": func.clock_timestamp(), "reopened_by": desk.reader}
    in_force = update(Ruling).where(Ruling.feedback_id == row.id, Ruling.reopened_at.is_(None))
    await desk.session.execute(in_force.values(over))
    await _settle(desk, row)
    reopened = events.FeedbackReopened(
        **_about(desk, analysis, row),
        state=row.state,
    )
    await tell(desk.session, row, reopened)
    await note(desk.session, desk.who, "feedback.reopen", analysis, f"feedback/{row.id}", {})
    return analysis, row


def _about(desk: Desk, analysis: Analysis, row: Feedback) -> dict[str, Any]:
    """What every event about feedback says: of which finding, and who said something."""
    return {
        "feedback_id": row.id,
        "analysis_id": analysis.id,
        "study_id": analysis.study_id,
        "model": analysis.model_name,
        "model_version": analysis.model_version,
        "label": row.label,
        "given_by": desk.reader,
    }


async def _find(desk: Desk, feedback_id: UUID) -> tuple[Analysis, Feedback]:
    """Feedback, locked, with its analysis, which is locked first as everywhere. Raises FeedbackNotFound."""
    its = select(Feedback.analysis_id).where(Feedback.id == feedback_id).scalar_subquery()
    analysis = await desk.session.scalar(select(Analysis).where(Analysis.id == its).with_for_update())
    row = await desk.session.scalar(select(Feedback).where(Feedback.id == feedback_id).with_for_update())
    if analysis is None or row is None:
        raise FeedbackNotFound
    return analysis, row


async def _keep(desk: Desk, analysis: Analysis, row: Opinion | Ruling, said: Said) -> None:
    """Fill a row with what somebody said. Raises NoSuchFinding for slices that aren't there, HoldsIdentifier."""
    if wrong := [n for n in said.slices if n >= analysis.slices_total]:
        raise NoSuchFinding(f"The series has slices 0 to {analysis.slices_total - 1}; there is no slice {wrong[0]}.")
    row.says, row.slices = said.says, sorted(set(said.slices))
    row.place_mm = list(said.place_mm) if said.place_mm else None
    desk.session.add(row)
    await desk.session.flush()
    if said.comment and said.comment.strip():
        key = await facility_key(desk.session, analysis.facility_id, desk.settings.master_key)
        seal_comment(key, row, said.comment.strip())
        await desk.session.flush()


async def _settle(desk: Desk, row: Feedback) -> None:
    """Write what opinions and decision come to into the feedback's row."""
    session = desk.session
    newest = select(Opinion.says, Opinion.reader).where(Opinion.feedback_id == row.id, ~Opinion.superseded)
    opinions = (await session.execute(newest)).all()
    in_force = select(Ruling.says, Ruling.reader).where(Ruling.feedback_id == row.id, Ruling.reopened_at.is_(None))
    ruling = (await session.execute(in_force)).one_or_none()
    found = outcome(
        Says(row.model_says),
        [Says(one.says) for one in opinions],
        Says(ruling.says) if ruling else None,
        sampled=in_sample(row.id, desk.settings.second_reads),
    )
    row.state, row.says, row.reason = found.state, found.says, found.reason
    heard = [one.reader for one in opinions if one.says != Says.UNSURE]
    row.readers = len({*heard, ruling.reader} if ruling else {*heard})
    row.decided_at = func.clock_timestamp() if found.state in SETTLED else None
    await session.flush()
    await session.refresh(row)


async def note(
    session: AsyncSession, who: Principal, action: str, analysis: Analysis, target: str, said: dict[str, Says]
) -> None:
    """Write down what somebody said, never their comment. Raises AuditUnavailable."""
    detail = {label: says.value for label, says in said.items()}
    await audit.record(session, who, action, study_id=analysis.study_id, target=target, detail=detail)
