"""Selects over figures. All read a range of one facility's rows by primary key: their cost hangs on the range alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Table, and_, cast, func, literal, select
from sqlalchemy.dialects.postgresql import INTERVAL

from codetect_analytics import models

Interval = Literal["hour", "day", "week", "month"]
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Metric(StrEnum):
    """What can be charted."""

    ANALYSES = "analyses"
    FINDINGS = "findings"
    PROBABILITY = "probability"
    TURNAROUND_MS = "turnaround_ms"
    SLICES = "slices"
    CPU_MS = "cpu_ms"
    GPU_MS = "gpu_ms"
    BYTES_READ = "bytes_read"
    BYTES_WRITTEN = "bytes_written"
    UPLOADS = "uploads"
    UPLOADED_BYTES = "uploaded_bytes"
    FILES = "files"
    STUDIES = "studies"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    FEEDBACK = "feedback"


class Dimension(StrEnum):
    """What a metric can be split by."""

    STATE = "state"
    MODEL = "model"
    MODEL_VERSION = "model_version"
    FINDING = "finding"
    OUTCOME = "outcome"
    BIN = "bin"
    STAGE = "stage"
    CODE = "code"
    CHANGE = "change"


@dataclass(frozen=True)
class Source:
    """Where a metric comes from. `unsplit`: what alone is counted unless the chart is split by that dimension."""

    table: Table
    sums: tuple[str, ...] = ("n",)
    unsplit: dict[str, str] = field(default_factory=dict)

    def dimensions(self) -> list[str]:
        """What it can be split by."""
        names = [column.name for column in self.table.primary_key]
        return [name for name in names if name not in ("facility_id", "at", "bucket")]


COSTS = (Metric.SLICES, Metric.CPU_MS, Metric.GPU_MS, Metric.BYTES_READ, Metric.BYTES_WRITTEN)
COMPLETED = {"state": "completed"}
SOURCES = {
    Metric.ANALYSES: Source(models.analyses, unsplit=COMPLETED),
    Metric.FINDINGS: Source(models.findings, unsplit={"outcome": "positive"}),
    Metric.PROBABILITY: Source(models.findings, ("n", "probability_ppm")),
    Metric.TURNAROUND_MS: Source(models.durations, unsplit={"stage": "total"}),
    **{metric: Source(models.costs, (metric.value,)) for metric in COSTS},
    Metric.UPLOADS: Source(models.uploads, unsplit={"state": "done"}),
    Metric.UPLOADED_BYTES: Source(models.uploads, ("bytes",)),
    Metric.FILES: Source(models.files),
    Metric.STUDIES: Source(models.studies, unsplit={"change": "new"}),
    Metric.OUT_OF_DISTRIBUTION: Source(models.likeness, unsplit={"outcome": "unlike"}),
    Metric.FEEDBACK: Source(models.feedback),
}


@dataclass(frozen=True)
class Span:
    """One facility's time from `start` to before `end`."""

    facility_id: UUID
    start: datetime
    end: datetime

    def of(self, table: Table) -> ColumnElement[bool]:
        """The rows of a figure that lie in it."""
        at = table.c["at"]
        return and_(table.c.facility_id == self.facility_id, at >= self.start, at < self.end)


def totals(span: Span, table: Table, *by: str) -> Select[Any]:
    """Sums over a span, by dimensions."""
    keys = [table.c[name] for name in by]
    sums = [func.sum(c).label(c.name) for c in table.c if not c.primary_key]
    return select(*keys, *sums).where(span.of(table)).group_by(*keys).order_by(*keys)


def current(facility_id: UUID) -> Select[Any]:
    """How many analyses are in each state now."""
    t = models.states
    return select(t.c.state, func.sum(t.c.n).label("n")).where(t.c.facility_id == facility_id).group_by(t.c.state)


def quantiles(span: Span) -> Select[Any]:
    """Buckets of the quantiles of durations, by stage."""
    return _quantiles([models.durations.c.stage], span.of(models.durations))


def _quantiles(keys: Sequence[ColumnElement[Any]], where: ColumnElement[bool]) -> Select[Any]:
    """The quantile q of n values is the one of rank q(n - 1), counted from 0."""
    t = models.durations
    counted = select(*keys, t.c.bucket, func.sum(t.c.n).label("n")).where(where).group_by(*keys, t.c.bucket).cte()
    own = [counted.c[str(key.key)] for key in keys]
    ranked = select(
        *own,
        counted.c.bucket,
        func.sum(counted.c.n).over(partition_by=own, order_by=counted.c.bucket).label("upto"),
        func.sum(counted.c.n).over(partition_by=own).label("n"),
    ).cte()
    own = [ranked.c[column.name] for column in own]
    found = [
        func.min(ranked.c.bucket).filter(ranked.c.upto > q * (ranked.c.n - 1)).label(name)
        for name, q in QUANTILES.items()
    ]
    return select(*own, func.max(ranked.c.n).label("n"), *found).group_by(*own).order_by(*own)


def series(span: Span, metric: Metric, by: Sequence[str], interval: Interval, tz: str) -> Select[Any]:
    """A row for each time with something in it and each combination of dimensions."""
    source = SOURCES[metric]
    table = source.table
    time = func.date_trunc(interval, table.c["at"], tz).label("time")
    keys = [time, *(table.c[name] for name in by)]
    alone = [table.c[name] == value for name, value in source.unsplit.items() if name not in by]
    where = and_(span.of(table), *alone)
    if metric is Metric.TURNAROUND_MS:
        return _quantiles(keys, where)
    sums = [func.sum(table.c[name]).label(name) for name in source.sums]
    return select(*keys, *sums).where(where).group_by(*keys).order_by(*keys)


def times(span: Span, interval: Interval, tz: str) -> Select[Any]:
    """The beginnings of all hours, days, weeks or months that a span touches.

    Hours go by the clock of the world, the others by the one on the wall: where midnight is skipped, a day begins at
    one o'clock, and the next at midnight again.
    """
    step = cast(literal(f"1 {interval}"), INTERVAL)
    start, last = literal(span.start), literal(span.end) - cast(literal("1 microsecond"), INTERVAL)
    if interval == "hour":
        return select(func.generate_series(func.date_trunc(interval, start, tz), last, step, tz).label("time"))
    first = func.date_trunc(interval, func.timezone(tz, start))
    walls = func.generate_series(first, func.timezone(tz, last), step)
    return select(func.timezone(tz, walls).label("time"))
