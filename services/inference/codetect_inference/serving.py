"""Which version of a model reads which study: the active one, a canary for its share, a shadow beside."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference.models import Analysis, Kind, Model, Rollout, Status

PERCENT = 100
NEWEST_FIRST = (Rollout.created_at.desc(), Rollout.id.desc())


@dataclass
class Serving:
    """What takes part at one facility, by the model's name."""

    active: dict[str, Model] = field(default_factory=dict)
    canary: dict[str, tuple[Model, int]] = field(default_factory=dict)
    shadow: dict[str, Model] = field(default_factory=dict)

    def shown(self, name: str, study_id: UUID) -> Model | None:
        """The version whose result people see."""
        canary, share = self.canary.get(name, (None, 0))
        return canary if canary and name in self.active and place(name, study_id) < share else self.active.get(name)

    def hidden(self, name: str, study_id: UUID) -> Model | None:
        """The version that reads the study besides, for nobody to see."""
        shown, shadow = self.shown(name, study_id), self.shadow.get(name)
        return shadow if shown and shadow and shadow.id != shown.id else None


def place(name: str, study_id: UUID) -> float:
    """Where a study stands among all, in 0 to 100: always the same, so that a growing share only adds studies."""
    digest = hashlib.sha256(f"{name}/{study_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64 * PERCENT


async def serving(session: AsyncSession, facility_id: UUID) -> Serving:
    """What takes part at a facility: its own say before that for all; of activations the newest in service."""
    found = Serving()
    for rollout, model in await standing(session, facility_id):
        match rollout.kind:
            case Kind.ACTIVE:
                found.active.setdefault(rollout.name, model)
            case Kind.CANARY:
                found.canary.setdefault(rollout.name, (model, rollout.share))
            case Kind.SHADOW:
                found.shadow.setdefault(rollout.name, model)
    return found


async def standing(session: AsyncSession, facility_id: UUID) -> Sequence[tuple[Rollout, Model]]:
    """What concerns a facility and hasn't ended, its own first, the newest first."""
    concerned = or_(Rollout.for_facility.is_(None), Rollout.for_facility == facility_id)
    statement = taking_part(concerned).order_by(Rollout.for_facility.is_(None), *NEWEST_FIRST)
    return [(rollout, model) for rollout, model in await session.execute(statement)]


def taking_part(*those: ColumnElement[bool]) -> Select[Rollout, Model]:
    """What hasn't ended, of versions in service."""
    joined = select(Rollout, Model).join(Model, Model.id == Rollout.model_id)
    return joined.where(Rollout.ended_at.is_(None), Model.active, *those)


async def in_use(session: AsyncSession) -> list[Model]:
    """Every version that new studies of some facility may need, the active ones first; for a system session."""
    newest: dict[tuple[str, str, UUID | None], Model] = {}
    for rollout, model in await session.execute(taking_part().order_by(*NEWEST_FIRST)):
        newest.setdefault((rollout.kind, rollout.name, rollout.for_facility), model)
    ordered = sorted(newest.items(), key=lambda one: list(Kind).index(Kind(one[0][0])))
    return list({model.id: model for _, model in ordered}.values())


def use(analysis: Analysis, model: Model) -> None:
    """Name the version that reads: with its hash, and with what it makes of a slice first."""
    analysis.model_id, analysis.model_version = model.id, model.version
    analysis.model_sha256, analysis.model_title = model.sha256, model.manifest["title"]
    analysis.preprocessing = model.manifest["preprocessing"]


async def fall_back(session: AsyncSession, row: Analysis) -> bool:
    """Give an analysis whose version can't be loaded to the newest other one that was activated; False: there is none.

    One that has read the study already, or is about to, has nothing to add, and an older one has less: then there is
    none. A shadow's is left alone: that its version can't be loaded is what there is to know.
    """
    if row.shadow_for:
        return False
    others = select(Analysis.model_id, Analysis.status).where(
        Analysis.study_id == row.study_id, Analysis.study_version == row.study_version, Analysis.id != row.id
    )
    states = {each.model_id: each.status for each in await session.execute(others)}
    for rollout, model in await standing(session, row.facility_id):
        if rollout.kind != Kind.ACTIVE or model.name != row.model_name or model.id == row.model_id:
            continue
        match states.get(model.id):
            case None:
                use(row, model)
                await session.flush()
                return True
            case Status.FAILED | Status.CANCELLED:
                continue
            case _:
                return False
    return False
