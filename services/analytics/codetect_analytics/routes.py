"""Charts and totals over HTTP."""

from datetime import UTC, datetime
from typing import Annotated

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, Unauthenticated, responses
from codetect_shared.tokens import CurrentPrincipal
from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from codetect_analytics import queries, service
from codetect_analytics.queries import Dimension, Interval, Metric
from codetect_analytics.schemas import Summary, Timeseries

PROBLEMS = responses(Unauthenticated, Forbidden, BadInput)
router = APIRouter(prefix="/api/v1/analytics", tags=["analytics"], responses=PROBLEMS)

LIMITS = {"ge": datetime(2000, 1, 1, tzinfo=UTC), "lt": datetime(2200, 1, 1, tzinfo=UTC)}
From = Annotated[
    AwareDatetime | None, Query(alias="from", description="RFC 3339; the default depends on `to`.", **LIMITS)
]
To = Annotated[
    AwareDatetime | None, Query(alias="to", description="RFC 3339, not included; now if not given.", **LIMITS)
]
By = Annotated[
    list[Dimension],
    Query(
        max_length=2,
        description="What to split by, repeated for a second dimension. "
        + " ".join(f"`{metric}`: {', '.join(source.dimensions())}." for metric, source in queries.SOURCES.items())
        + " Not split by `state`, `outcome`, `stage`, `change`: only what is completed, positive, total, new counts.",
    ),
]
Zone = Annotated[
    str,
    Query(
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$",
        description="The time zone that hours, days, weeks and months are cut in.",
        examples=["Europe/Berlin"],
    ),
]


@router.get("/summary")
async def analytics_summary(
    session: SessionDep, principal: CurrentPrincipal, start: From = None, end: To = None
) -> Summary:
    """All figures of the facility over a time, the last 30 days if none is given."""
    return await service.summary(session, principal.facility_id, start, end)


@router.get("/timeseries")
async def analytics_timeseries(
    session: SessionDep,
    principal: CurrentPrincipal,
    metric: Metric,
    interval: Interval = "day",
    by: By = [],  # noqa: B006 - FastAPI copies it
    start: From = None,
    end: To = None,
    tz: Zone = "UTC",
) -> Timeseries:
    """One metric in hours (the last 48), days (30), weeks from Monday on (26) or months (12); at most 1,000 at once.

    What a facility costs: `slices`, `cpu_ms`, `gpu_ms`, `bytes_read`, `bytes_written` of completed analyses, by month.
    """
    return await service.timeseries(session, principal.facility_id, metric, interval, by, start, end, tz)
