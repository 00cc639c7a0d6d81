"""What the route about a model's life takes and gives."""

import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from codetect_inference.watch.measures import Band


class Period(BaseModel):
    """Days, in UTC."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    start: datetime.date | None = Field(None, alias="from", description="First day; default: 30 days before `to`.")
    end: datetime.date | None = Field(None, alias="to", description="Day after the last; default: tomorrow.")


class MeasureOut(BaseModel):
    """How one measure is spread, slice by slice, against the bundle's reference."""

    measure: str
    band: Band = Field(description="PSI below 0.1 `stable`, below 0.25 `moderate`, else `major`.")
    psi: float | None = Field(description="Population stability index; null: too few studies to say.")
    slices: int
    studies: int
    edges: list[float] = Field(description="Between the bins.")
    expected: list[float] = Field(description="Share of each bin in the reference.")
    seen: list[float] = Field(description="Share of each bin in this time; empty: nothing was seen.")


class UnlikeOut(BaseModel):
    """Studies that were unlike the training data."""

    studies: int
    flagged: int
    share: float | None


class AgreementOut(BaseModel):
    """What readers made of a label's findings, of analyses that ended in this time."""

    label: str
    confirmed: int = Field(description="Settled as the model said.")
    corrected: int = Field(description="Settled otherwise.")
    waiting: int = Field(description="For a second reader.")
    share: float | None = Field(description="Confirmed among the settled; null: none is.")


class DriftingOut(BaseModel):
    """A measure that was out of its reference's bounds at the last daily look."""

    facility_id: UUID
    measure: str
    band: Band
    psi: float
    studies: int
    since: datetime.date


class WatchOut(BaseModel):
    """How a model version fares: one's own facility's studies; for operators those of all."""

    model: str
    model_version: str
    start: datetime.date = Field(serialization_alias="from")
    end: datetime.date = Field(serialization_alias="to", description="Not included.")
    drift: str = Field(description="Whether drift can be told, in words.")
    reference: str | None = Field(description="What the reference was made from.")
    studies_needed: int
    measures: list[MeasureOut]
    out_of_distribution: UnlikeOut | None = Field(description="Null of models that can't tell.")
    agreement: list[AgreementOut]
    drifting: list[DriftingOut]
