"""From what readers say to what holds: pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from codetect_inference.feedback.models import FeedbackState, Says, WaitingFor

SAMPLE_BITS = 16


@dataclass(frozen=True)
class Outcome:
    """Where a finding stands. `says` is what may be exported as its label: None while nothing is settled."""

    state: FeedbackState
    says: Says | None = None
    reason: WaitingFor | None = None


def outcome(model_says: Says, opinions: Iterable[Says], ruling: Says | None, *, sampled: bool) -> Outcome:
    """What readers' newest opinions and a second reader's decision come to (docs/adr/0094).

    A decision ends it; any contradiction waits for one. Agreement with the model holds at once, but where the finding
    is in the sample: there a second reader must have said so, too.
    """
    if ruling:
        return Outcome(FeedbackState.ADJUDICATED, None if ruling == Says.UNSURE else ruling)
    said = [one for one in opinions if one != Says.UNSURE]
    if not said:
        return Outcome(FeedbackState.UNDECIDED)
    if set(said) != {model_says}:
        return Outcome(FeedbackState.WAITING, reason=WaitingFor.DISAGREEMENT)
    if sampled and len(said) < 2:
        return Outcome(FeedbackState.WAITING, reason=WaitingFor.SAMPLE)
    return Outcome(FeedbackState.AGREED, model_says)


def in_sample(feedback_id: UUID, share: float) -> bool:
    """Whether an agreement is read a second time: by the random end of its id, so that it stays as it is."""
    return (feedback_id.int & ((1 << SAMPLE_BITS) - 1)) < share * (1 << SAMPLE_BITS)


def agrees(model_says: str, says: str) -> bool | None:
    """Whether a reader agrees with the model; None: the reader can't tell."""
    return None if says == Says.UNSURE else says == model_says
