"""HTTP: how a model version fares."""

from collections.abc import AsyncIterator
from typing import Annotated

from codetect_shared.db import Database
from codetect_shared.problems import responses
from codetect_shared.tokens import CurrentPrincipal, Role
from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import failures
from codetect_inference.model_routes import ModelName, ModelVersion
from codetect_inference.watch import reading
from codetect_inference.watch.schemas import Period, WatchOut

models = APIRouter(prefix="/api/v1/models", tags=["models"])


async def session_of(request: Request, who: CurrentPrincipal) -> AsyncIterator[AsyncSession]:
    """One's own facility's rows; operators' sums are over those of all, and nothing but sums is read (ADR 95)."""
    db: Database = request.app.state.db
    async with db.system() if who.role is Role.OPERATOR else db.facility(who.facility_id) as session:
        yield session


@models.get(
    "/{name}/{version}/watch",
    summary="Watch a model",
    responses=responses(failures.ModelNotFound, reading.PeriodInvalid),
)
async def watch_model(
    session: Annotated[AsyncSession, Depends(session_of, scope="function")],
    name: ModelName,
    version: ModelVersion,
    period: Annotated[Period, Query()],
) -> WatchOut:
    """Drift against the bundle's reference, studies unlike the training data, readers' agreement."""
    return await reading.watch(session, name, version, period)
