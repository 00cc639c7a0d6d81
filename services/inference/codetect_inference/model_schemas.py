"""What the API takes and gives about models."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from codetect_inference.bundle import Bundle
from codetect_inference.models import Kind, Model

EVERYWHERE = "The facility that it concerns; null: all that have none of their own."


class ModelOut(BaseModel):
    """A registered model and its card."""

    name: str
    version: str
    sha256: str = Field(description="Of bundle.json, which pins every file of the bundle.")
    title: str
    active: bool = Field(description="In service. A version taken out of it reads no new studies, whatever is set.")
    serves: bool = Field(description="It reads new studies of the facility that asks, all or a share of them.")
    signed_by: str | None = Field(
        description="Fingerprint of the key that signed it; null: before signatures were asked for."
    )
    created_at: datetime
    card: Bundle

    @classmethod
    def of(cls, row: Model, serves: bool) -> "ModelOut":
        """From its row."""
        facts: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        more = {"title": row.manifest["title"], "card": row.manifest, "serves": serves}
        return cls.model_validate(facts | more)


class ModelList(BaseModel):
    """All registered models."""

    items: list[ModelOut]
    next: None = None


class ModelChange(BaseModel):
    """Whether a version is in service."""

    active: bool


class Where(BaseModel):
    """At which facility something is to hold."""

    model_config = ConfigDict(extra="forbid")

    facility_id: UUID | None = Field(None, description=EVERYWHERE)


class CanaryWish(Where):
    """A share of the studies, and where."""

    share: int = Field(ge=0, le=100, description="Percent of the studies; the same study always gets the same version.")


class RolloutOut(BaseModel):
    """A version that takes part now."""

    name: str
    version: str
    kind: Kind
    facility_id: UUID | None = Field(description=EVERYWHERE)
    share: int | None = Field(description="Percent of the studies that a canary reads.")
    since: datetime
    before: str | None = Field(description="Of an active version: the one that a roll back brings back.")


class RolloutList(BaseModel):
    """What takes part where: active versions, shadows and canaries."""

    items: list[RolloutOut]
    next: None = None


class ComparisonOut(BaseModel):
    """How a candidate's results compare with those that were shown, for one facility, version and label."""

    facility_id: UUID | None = Field(description="null: all facilities together.")
    against: str = Field(description="The version whose results were shown.")
    label: str
    studies: int
    agreement: float = Field(description="Share of the studies with the same verdict, 0 to 1.")
    mean_absolute_difference: float = Field(description="Of the two probabilities.")
    positive_shown: int
    positive_candidate: int
    positive_both: int


class ShadowState(BaseModel):
    """How many of a facility's shadow analyses stand where."""

    facility_id: UUID
    status: str
    analyses: int


class Comparison(BaseModel):
    """A candidate's shadow analyses beside the shown ones: over all facilities, by facility, and how far it is."""

    name: str
    version: str
    overall: list[ComparisonOut]
    items: list[ComparisonOut]
    states: list[ShadowState]
