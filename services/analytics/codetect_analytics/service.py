"""Answers made from figures."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from codetect_shared.problems import BadInput
from sqlalchemy import RowMapping, Select, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_analytics import models, queries, sketch
from codetect_analytics.fold import quarter
from codetect_analytics.queries import Dimension, Interval, Metric, Span
from codetect_analytics.schemas import (
    AnalysisCounts,
    FileCounts,
    FindingCounts,
    ModelCounts,
    Quantiles,
    Series,
    StudyCounts,
    Summary,
    Timeseries,
    UploadCounts,
)

MOST_TIMES = 1000
STEP = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=31),
}
DEFAULT = {"hour": 48, "day": 30, "week": 26, "month": 12}
UNKNOWN_ZONE = "22023"


class RangeInvalid(BadInput):
    """The times don't make a range that can be shown."""


class DimensionInvalid(BadInput):
    """This metric can't be split that way."""


class ZoneUnknown(BadInput):
    """There is no such time zone."""


def span(facility_id: UUID, start: datetime | None, end: datetime | None, step: timedelta, default: int) -> Span:
    """The quarters of an hour that a range touches; without times, the last `default` steps."""
    end = end or datetime.now(UTC)
    start = start or end - default * step
    if start >= end:
        raise RangeInvalid("`from` must be before `to`.")
    found = Span(facility_id, quarter(start), quarter(end - timedelta(microseconds=1)) + timedelta(minutes=15))
    if found.end - found.start > MOST_TIMES * step:
        raise RangeInvalid(
            f"At most {MOST_TIMES} {next(name for name in STEP if STEP[name] == step)}s can be shown at once."
        )
    return found


async def summary(session: AsyncSession, facility_id: UUID, start: datetime | None, end: datetime | None) -> Summary:
    """All figures of a facility over a time."""
    over = span(facility_id, start, end, STEP["day"], 30)
    counted = await _counted(session)

    async def rows(select: Select[*tuple[Any, ...]]) -> Sequence[RowMapping]:
        return (await session.execute(select)).mappings().all()

    by_model = await rows(queries.totals(over, models.analyses, "model", "model_version", "state"))
    findings = await rows(queries.totals(over, models.findings, "finding", "model", "model_version", "outcome"))
    uploads = await rows(queries.totals(over, models.uploads, "state", "code"))
    files = _sums(await rows(queries.totals(over, models.files, "outcome")), "outcome")
    studies = await rows(queries.totals(over, models.studies, "change"))
    accepted = files.pop("accepted", 0)
    return Summary(
        counted=counted,
        start=over.start,
        end=over.end,
        now=AnalysisCounts(**_sums(await rows(queries.current(facility_id)), "state")),
        analyses=AnalysisCounts(**_sums(by_model, "state")),
        models=[ModelCounts(**counts) for counts in _spread(by_model, ("model", "model_version"), "state")],
        findings=_findings(findings),
        uploads=UploadCounts(
            **_sums(uploads, "state"),
            refused_by_code={row["code"]: row["n"] for row in uploads if row["code"]},
            bytes=sum(row["bytes"] for row in uploads),
        ),
        files=FileCounts(accepted=accepted, refused=sum(files.values()), refused_by_code=files),
        studies=StudyCounts(**_sums(studies, "change")),
        turnaround_ms={
            row["stage"]: Quantiles(n=row["n"], **_durations(row)) for row in await rows(queries.quantiles(over))
        },
    )


async def timeseries(
    session: AsyncSession,
    facility_id: UUID,
    metric: Metric,
    interval: Interval,
    by: Sequence[Dimension],
    start: datetime | None,
    end: datetime | None,
    tz: str,
) -> Timeseries:
    """A metric's value in each hour, day, week or month, in one line for each combination of dimensions."""
    allowed = queries.SOURCES[metric].dimensions()
    if wrong := [dimension.value for dimension in by if dimension not in allowed]:
        raise DimensionInvalid(f"`{metric}` can be split by {', '.join(allowed)}; not by {', '.join(wrong)}.")
    over = span(facility_id, start, end, STEP[interval], DEFAULT[interval])
    counted = await _counted(session)
    try:
        times = list(await session.scalars(queries.times(over, interval, tz)))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == UNKNOWN_ZONE:
            raise ZoneUnknown(f"`{tz}` is not the name of a time zone, such as Europe/Berlin.") from error
        raise
    lines: dict[tuple[tuple[str, str | int], ...], dict[datetime, float]] = {}
    for row in (await session.execute(queries.series(over, metric, by, interval, tz))).mappings():
        key = tuple((dimension.value, row[dimension]) for dimension in by)
        for more, value in _values(metric, row).items():
            lines.setdefault((*key, *more), {})[row["time"]] = value
    times = sorted({*times, *(time for line in lines.values() for time in line)})
    nothing = None if metric in (Metric.PROBABILITY, Metric.TURNAROUND_MS) else 0
    return Timeseries(
        counted=counted,
        metric=metric,
        interval=interval,
        tz=tz,
        by=list(by),
        start=over.start,
        end=over.end,
        times=times,
        series=[Series(key=dict(key), values=[line.get(t, nothing) for t in times]) for key, line in lines.items()],
    )


async def _counted(session: AsyncSession) -> str | None:
    """Up to where was counted before the figures are read: what is read later counts at least as much."""
    offset, anchor = (await session.execute(select(models.cursor.c.offset, models.cursor.c.anchor))).one()
    return f"{offset}.{anchor.hex[-8:]}" if anchor else None


def _values(metric: Metric, row: RowMapping) -> dict[tuple[tuple[str, str | int], ...], float]:
    """The values in a row, by what their lines' keys have besides the dimensions."""
    if metric is Metric.TURNAROUND_MS:
        return {(("quantile", name),): value for name, value in _durations(row).items()}
    if metric is Metric.PROBABILITY:
        return {(): _mean_probability(row)}
    return {(): row[queries.SOURCES[metric].sums[0]]}


def _durations(row: RowMapping) -> dict[str, float]:
    return {name: round(sketch.value(row[name]), 1) for name in queries.QUANTILES}


def _mean_probability(row: Mapping[Any, Any]) -> float:
    return round(float(row["probability_ppm"] / row["n"]) / 1_000_000, 6)


def _sums(rows: Iterable[RowMapping], by: str) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for row in rows:
        sums[row[by]] += int(row["n"])
    return dict(sums)


def _spread(rows: Iterable[RowMapping], keys: tuple[str, ...], by: str) -> list[dict[str, Any]]:
    """One dictionary for each combination of `keys`, with a member for each value of `by`."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        found.setdefault(key, dict(zip(keys, key, strict=True)))[row[by]] = row["n"]
    return list(found.values())


def _findings(rows: Sequence[RowMapping]) -> list[FindingCounts]:
    keys = ("finding", "model", "model_version")
    sums: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in rows:
        sums[tuple(row[name] for name in keys)].update({"n": row["n"], "probability_ppm": row["probability_ppm"]})
    means = {key: _mean_probability(both) for key, both in sums.items()}
    return [
        FindingCounts(**counts, mean_probability=means[tuple(counts[name] for name in keys)])
        for counts in _spread(rows, keys, "outcome")
    ]
