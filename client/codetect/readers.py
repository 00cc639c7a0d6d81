"""What the server answers about readers' feedback, and about how models fare, typed."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import ConfigDict

from codetect.models import Model

Says = Literal["present", "absent", "unsure"]
FeedbackState = Literal["undecided", "agreed", "waiting", "adjudicated"]


class Saying(Model):
    """What a reader said of a finding; `superseded`: something newer since, `reopened_at`: a decision taken back."""

    reader: UUID
    says: Says
    slices: list[int] = []
    place_mm: list[float] | None = None
    commented: bool = False
    comment: str | None = None
    at: datetime
    superseded: bool = False
    reopened_at: datetime | None = None


class Feedback(Model):
    """Where readers' feedback on one finding stands; `says` is what holds, once something does."""

    id: UUID
    analysis_id: UUID
    study_id: UUID | None = None
    model: str
    model_version: str
    label: str
    model_says: Says
    probability: float | None = None
    state: FeedbackState
    reason: str | None = None
    says: Says | None = None
    readers: int = 0
    opened_at: datetime | None = None
    decided_at: datetime | None = None
    superseded: bool = False
    opinions: list[Saying] = []
    rulings: list[Saying] = []


class Measure(Model):
    """How a measure of a model's inputs or scores is spread against its reference; `psi` None: too few studies."""

    measure: str
    band: str
    psi: float | None = None
    slices: int = 0
    studies: int = 0


class Agreement(Model):
    """What readers made of a label's findings."""

    label: str
    confirmed: int = 0
    corrected: int = 0
    waiting: int = 0
    share: float | None = None


class Unlike(Model):
    """Studies unlike a model's training data."""

    studies: int = 0
    flagged: int = 0
    share: float | None = None


class Watch(Model):
    """How a model version fares; `drift` says in words whether that can be told."""

    model_config = ConfigDict(extra="allow")

    model: str
    model_version: str
    drift: str = ""
    measures: list[Measure] = []
    out_of_distribution: Unlike | None = None
    agreement: list[Agreement] = []
