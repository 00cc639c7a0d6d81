"""What operators decide about versions: activate one, run one beside as a shadow, give one a share, go back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from codetect_shared import audit, events
from codetect_shared.db import one_at_a_time
from codetect_shared.outbox import tell
from codetect_shared.tokens import Principal
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import queries, serving
from codetect_inference.failures import NothingBefore, NotTakingPart
from codetect_inference.models import Kind, Model, Rollout
from codetect_inference.serving import NEWEST_FIRST


@dataclass(frozen=True)
class Wish:
    """How a version is to take part, and at which facility; none: at all."""

    kind: Kind
    for_facility: UUID | None = None
    share: int = 0


@dataclass(frozen=True)
class Standing:
    """A version that takes part; of an active one, the version that a roll back brings back."""

    rollout: Rollout
    model: Model
    before: str | None = None


def target(row: Model) -> str:
    """How the audit log names a version."""
    return f"model/{row.name}/{row.version}"


async def is_first(session: AsyncSession, name: str) -> bool:
    """Whether no version of this name was ever activated for all."""
    await _lock(session, name)
    there = select(Rollout.id).where(
        Rollout.name == name, Rollout.kind == Kind.ACTIVE, Rollout.for_facility.is_(None), Rollout.ended_at.is_(None)
    )
    return await session.scalar(there.limit(1)) is None


async def enter(session: AsyncSession, who: Principal, row: Model, wish: Wish, facts: dict[str, Any]) -> Standing:
    """Have a version take part from now on; `facts` of its trial run go into the audit log. Asked twice, once done."""
    await _lock(session, row.name)
    here = await _here(session, row.name, wish.for_facility)
    there = next((one for one in here if one.rollout.kind == wish.kind), None)
    if there and there.model.id == row.id and there.rollout.share == wish.share:
        return there
    replaced = there.model.version if there else None
    for one in here:
        promoted = wish.kind is Kind.ACTIVE and one.rollout.kind != Kind.ACTIVE and one.model.id == row.id
        if promoted or (wish.kind is not Kind.ACTIVE and one.rollout.kind == wish.kind):
            one.rollout.ended_at = func.clock_timestamp()
    await session.flush()
    rollout = Rollout(
        facility_id=who.facility_id,
        name=row.name,
        for_facility=wish.for_facility,
        kind=wish.kind,
        model_id=row.id,
        share=wish.share,
    )
    session.add(rollout)
    await session.flush()
    await session.refresh(rollout)
    about = _about(row, who, wish.for_facility)
    match wish.kind:
        case Kind.ACTIVE:
            await tell(session, row, events.ModelActivated(**about, replaced=replaced))
        case Kind.SHADOW:
            await tell(session, row, events.ModelShadowStarted(**about))
        case Kind.CANARY:
            await tell(session, row, events.ModelCanaryStarted(**about, share=wish.share))
    action = {Kind.ACTIVE: "model.activate", Kind.SHADOW: "model.shadow", Kind.CANARY: "model.canary"}[wish.kind]
    detail = (
        {**_where(wish.for_facility), "share": wish.share} if wish.kind is Kind.CANARY else _where(wish.for_facility)
    )
    await audit.record(session, who, action, target=target(row), detail=detail | facts)
    return next(one for one in await _here(session, row.name, wish.for_facility) if one.rollout.id == rollout.id)


async def end_candidates(session: AsyncSession, who: Principal, row: Model) -> None:
    """A version that goes out of service is neither shadow nor canary any more, so that another may take the place."""
    await _lock(session, row.name)
    for rollout, model in await _standing(session, Rollout.model_id == row.id, Rollout.kind != Kind.ACTIVE):
        await _end(session, who, Standing(rollout, model))


async def stop(session: AsyncSession, who: Principal, name: str, version: str, wish: Wish) -> None:
    """End a shadow or a canary. Raises NotTakingPart."""
    row = await queries.model(session, name, version)
    await _lock(session, name)
    for one in await _here(session, name, wish.for_facility):
        if one.rollout.kind == wish.kind and one.model.id == row.id:
            return await _end(session, who, one)
    raise NotTakingPart


async def roll_back(session: AsyncSession, who: Principal, name: str, for_facility: UUID | None) -> Standing:
    """Undo the newest step that people notice: a canary ends; else the version serves that served before.

    It isn't tried first: it ran here. Raises NothingBefore.
    """
    await _lock(session, name)
    here = await _here(session, name, for_facility)
    active = [one for one in here if one.rollout.kind == Kind.ACTIVE]
    # a share of 0 keeps a place out of a canary for all: that is no step to undo
    canary = next((one for one in here if one.rollout.kind == Kind.CANARY and one.rollout.share), None)
    if canary:
        await _end(session, who, canary)
    elif active and active[0].before:
        await _end_active(session, who, active[0], for_facility)
    else:
        raise NothingBefore
    left = [*await _here(session, name, for_facility), *await _here(session, name, None)]
    standing = next((one for one in left if one.rollout.kind == Kind.ACTIVE), None)
    if standing is None:
        raise NothingBefore
    return standing


async def everywhere(session: AsyncSession) -> list[Standing]:
    """All that takes part now, as the operator's facility sees it."""
    return list(_current(await _standing(session)))


async def _end_active(session: AsyncSession, who: Principal, one: Standing, for_facility: UUID | None) -> None:
    one.rollout.ended_at = func.clock_timestamp()
    await session.flush()
    about = _about(one.model, who, for_facility)
    await tell(session, one.model, events.ModelRolledBack(**about, back_to=one.before or ""))
    detail = {**_where(for_facility), "back_to": one.before}
    await audit.record(session, who, "model.roll-back", target=target(one.model), detail=detail)


async def _end(session: AsyncSession, who: Principal, one: Standing) -> None:
    """A shadow or a canary is over."""
    one.rollout.ended_at = func.clock_timestamp()
    await session.flush()
    about = _about(one.model, who, one.rollout.for_facility)
    shadow = one.rollout.kind == Kind.SHADOW
    over = events.ModelShadowEnded(**about) if shadow else events.ModelCanaryEnded(**about)
    await tell(session, one.model, over)
    action = "model.shadow-end" if shadow else "model.canary-end"
    await audit.record(session, who, action, target=target(one.model), detail=_where(one.rollout.for_facility))


async def _here(session: AsyncSession, name: str, for_facility: UUID | None) -> list[Standing]:
    """What takes part at exactly one place."""
    rows = await _standing(session, Rollout.name == name, _said_of(for_facility))
    return [one for one in _current(rows) if one.rollout.for_facility == for_facility]


def _said_of(for_facility: UUID | None) -> Any:
    """What is said of one facility, and of all."""
    everywhere = Rollout.for_facility.is_(None)
    return everywhere if for_facility is None else everywhere | (Rollout.for_facility == for_facility)


async def _standing(session: AsyncSession, *those: Any) -> list[tuple[Rollout, Model]]:
    statement = serving.taking_part(*those).order_by(Rollout.name, Rollout.for_facility.nulls_first(), *NEWEST_FIRST)
    return [(rollout, model) for rollout, model in await session.execute(statement)]


def _current(rows: Iterable[tuple[Rollout, Model]]) -> Iterable[Standing]:
    """Of activations at one place the newest, with what lies below it: there, or else what holds for all."""
    places: dict[tuple[str, str, UUID | None], list[tuple[Rollout, Model]]] = {}
    for rollout, model in rows:
        places.setdefault((rollout.name, rollout.kind, rollout.for_facility), []).append((rollout, model))
    for (name, kind, place), lying in places.items():
        rollout, model = lying[0]
        below = lying[1:] or (places.get((name, kind, None), []) if place else [])
        back = below[0][1] if below and kind == Kind.ACTIVE else None
        yield Standing(rollout, model, back.version if back and back.signed_by else None)


async def _lock(session: AsyncSession, name: str) -> None:
    await one_at_a_time(session, f"rollouts/{name}")


def _about(row: Model, who: Principal, for_facility: UUID | None) -> dict[str, Any]:
    return {
        "model_id": row.id,
        "name": row.name,
        "version": row.version,
        "for_facility": for_facility,
        "by": UUID(who.subject),
    }


def _where(for_facility: UUID | None) -> dict[str, Any]:
    return {"facility_id": str(for_facility) if for_facility else None}
