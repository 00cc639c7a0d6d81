"""What the routes of feedback take and give."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from codetect_inference.feedback.models import Feedback, FeedbackState, Opinion, Ruling, Saying, Says, WaitingFor
from codetect_inference.models import Analysis
from codetect_inference.schemas import PRINTABLE

MULTILINE = r"^[^\x00-\x08\x0b-\x1f]*$"
Label = Annotated[str, StringConstraints(max_length=40, pattern=PRINTABLE)]
Coordinate = Annotated[float, Field(ge=-10_000, le=10_000, allow_inf_nan=False)]


class Said(BaseModel):
    """Whether a label is there, and where it is seen."""

    model_config = ConfigDict(extra="forbid")

    says: Says = Field(description="`unsure`: can't be told.")
    slices: list[Annotated[int, Field(ge=0, le=100_000)]] = Field(
        default_factory=list, max_length=200, description="Numbers of the slices that show it, from 0."
    )
    place_mm: tuple[Coordinate, Coordinate, Coordinate] | None = Field(
        None, description="Where: patient coordinates in mm, as a slice's `position_mm`."
    )
    comment: str | None = Field(
        None,
        max_length=2000,
        pattern=MULTILINE,
        description="In words; sealed. What plainly holds an identifier is refused.",
    )


class SaidOfFinding(Said):
    """One finding of the analysis."""

    label: Label


class FeedbackRequest(BaseModel):
    """What a reader says of an analysis's findings."""

    model_config = ConfigDict(extra="forbid")

    findings: Annotated[list[SaidOfFinding], Field(min_length=1, max_length=40)]

    @model_validator(mode="after")
    def _once_each(self) -> "FeedbackRequest":
        if len({one.label for one in self.findings}) < len(self.findings):
            raise ValueError("a label may come once")
        return self


class FeedbackOut(BaseModel):
    """Where the feedback on one finding stands."""

    id: UUID
    analysis_id: UUID
    study_id: UUID
    model: str
    model_version: str
    label: str
    model_says: Says
    probability: float = Field(description="The model's.")
    state: FeedbackState = Field(
        description="`waiting`: a second reader has to decide before it is exported as a label."
    )
    reason: WaitingFor | None = Field(description="Why a second reader is waited for.")
    says: Says | None = Field(description="What holds, and is exported; null: nothing is settled, or can't be told.")
    readers: int = Field(description="People whose opinion or decision counts.")
    opened_at: datetime
    decided_at: datetime | None
    superseded: bool = Field(description="The analysis has a newer one, which inherits nothing of this.")

    @classmethod
    def of(cls, row: Feedback, analysis: Analysis) -> "FeedbackOut":
        """From its row and the analysis's."""
        facts = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls.model_validate(
            facts
            | {
                "study_id": analysis.study_id,
                "model": analysis.model_name,
                "model_version": analysis.model_version,
                "superseded": analysis.superseded,
            }
        )


class FeedbackGivenOut(BaseModel):
    """The findings that something was said of now."""

    items: list[FeedbackOut]


class FeedbackPage(BaseModel):
    """Findings that something was said of, the oldest first, and the cursor of those that follow."""

    items: list[FeedbackOut]
    next: str | None


class SayingOut(BaseModel):
    """What somebody said."""

    reader: UUID
    says: Says
    slices: list[int]
    place_mm: tuple[float, float, float] | None
    commented: bool
    comment: str | None = Field(description="For whoever wrote it, and those with the right `identity` (audited).")
    at: datetime

    @classmethod
    def facts(cls, row: Saying, comment: str | None) -> dict[str, object]:
        """Its members from a row."""
        facts: dict[str, object] = {name: getattr(row, name) for name in ("reader", "says", "slices", "place_mm", "at")}
        return facts | {"commented": row.sealed_comment is not None, "comment": comment}


class OpinionOut(SayingOut):
    """A reader's."""

    superseded: bool = Field(description="The reader has said something newer.")


class RulingOut(SayingOut):
    """A second reader's decision."""

    reopened_at: datetime | None
    reopened_by: UUID | None


class FeedbackDetail(FeedbackOut):
    """With all that was said, the oldest first."""

    opinions: list[OpinionOut]
    rulings: list[RulingOut]

    @classmethod
    def with_all(
        cls,
        row: Feedback,
        analysis: Analysis,
        opinions: Iterable[tuple[Opinion, str | None]],
        rulings: Iterable[tuple[Ruling, str | None]],
    ) -> "FeedbackDetail":
        """From its rows, each with its comment if that may be shown."""
        return cls.model_validate(
            FeedbackOut.of(row, analysis).model_dump()
            | {
                "opinions": [SayingOut.facts(o, said) | {"superseded": o.superseded} for o, said in opinions],
                "rulings": [
                    SayingOut.facts(r, said) | {"reopened_at": r.reopened_at, "reopened_by": r.reopened_by}
                    for r, said in rulings
                ],
            }
        )


class FeedbackList(BaseModel):
    """The feedback on one analysis, a finding each."""

    items: list[FeedbackDetail]
    next: None = None


class FeedbackFilters(BaseModel):
    """What a list of feedback shows."""

    model_config = ConfigDict(extra="forbid")

    state: FeedbackState | None = Field(None, description="`waiting`: the worklist of second readers.")
    mine: Literal["decide"] | None = Field(None, description="`decide`: without what one has said something of.")
    label: Label | None = None
    model: str | None = Field(None, max_length=63, pattern=PRINTABLE)
    cursor: UUID | None = Field(None, description="`next` of the page before, same filters.")
    limit: int = Field(50, ge=1, le=200)


class LabelFilters(BaseModel):
    """Which labels are exported."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    label: Label | None = Field(None, description="One label alone, as a table to train on needs it.")
    model: str | None = Field(None, max_length=63, pattern=PRINTABLE, description="Only of this model's findings.")
    version: str | None = Field(None, max_length=63, pattern=PRINTABLE, description="Only of this version of it.")
    decided_from: AwareDatetime | None = Field(None, alias="from", description="Settled then or later.")
    decided_to: AwareDatetime | None = Field(None, alias="to", description="Settled before.")
