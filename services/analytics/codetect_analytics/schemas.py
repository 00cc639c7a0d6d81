"""What the analytics routes answer with."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from codetect_analytics.queries import Dimension, Interval, Metric
from codetect_analytics.sketch import RELATIVE_ERROR

Count = Annotated[int, Field(ge=0)]
Milliseconds = Annotated[float, Field(ge=0, description=f"Within {RELATIVE_ERROR:.0%} of the exact value.")]


class AnalysisCounts(BaseModel):
    """Analyses by state."""

    queued: Count = 0
    running: Count = 0
    completed: Count = 0
    failed: Count = 0
    cancelled: Count = 0


class ModelCounts(BaseModel):
    """What became of a model's analyses."""

    model: str
    model_version: str
    completed: Count = 0
    failed: Count = 0
    cancelled: Count = 0


class FindingCounts(BaseModel):
    """How often a model found something, and how probable it was on average."""

    finding: str
    model: str
    model_version: str
    positive: Count = 0
    negative: Count = 0
    mean_probability: Annotated[float, Field(ge=0, le=1)]


class UploadCounts(BaseModel):
    """Uploads by the state they reached."""

    open: Count = 0
    importing: Count = 0
    done: Count = 0
    refused: Count = 0
    expired: Count = 0
    refused_by_code: dict[str, Count]
    bytes: Count = Field(0, description="Of the uploads that were completed by their client.")


class FileCounts(BaseModel):
    """Files by outcome."""

    accepted: Count = 0
    refused: Count = 0
    refused_by_code: dict[str, Count]


class StudyCounts(BaseModel):
    """Studies that came, got another version, or were erased."""

    new: Count = 0
    updated: Count = 0
    erased: Count = 0


class Quantiles(BaseModel):
    """Of how many values, and the durations that half, nine in ten and 99 of 100 of them don't exceed."""

    n: Count
    p50: Milliseconds
    p90: Milliseconds
    p99: Milliseconds


Counted = Annotated[
    str | None,
    Field(
        description="The live cursor of the newest event that these figures count for certain: who was told of a later "
        "one asks again. Offsets, before the dot, grow; null: nothing was counted yet."
    ),
]


class Summary(BaseModel):
    """A facility's figures over a time."""

    counted: Counted
    start: datetime = Field(serialization_alias="from", description="Rounded down to a quarter of an hour.")
    end: datetime = Field(serialization_alias="to", description="Rounded up to a quarter of an hour, not included.")
    now: AnalysisCounts = Field(description="Analyses by the state they are in now, whenever they were asked for.")
    analyses: AnalysisCounts = Field(description="How often an analysis reached each state in this time.")
    models: list[ModelCounts]
    findings: list[FindingCounts]
    uploads: UploadCounts
    files: FileCounts
    studies: StudyCounts
    turnaround_ms: dict[str, Quantiles] = Field(
        description="Of completed analyses: `queued`, `inference`, and `total` from the completed upload on."
    )


class Series(BaseModel):
    """One line of a chart."""

    key: dict[str, str | int] = Field(description="The value of each dimension; for `turnaround_ms` also `quantile`.")
    values: list[float | None] = Field(
        description="One for each of `times`; null where a mean or quantile has no data."
    )


class Timeseries(BaseModel):
    """The lines of a chart."""

    counted: Counted
    metric: Metric
    interval: Interval
    tz: str
    by: list[Dimension]
    start: datetime = Field(serialization_alias="from", description="Rounded down to a quarter of an hour.")
    end: datetime = Field(serialization_alias="to", description="Rounded up to a quarter of an hour, not included.")
    times: list[datetime] = Field(description="Beginnings of the hours, days, weeks or months, in UTC.")
    series: list[Series]
