"""What the API takes and gives."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from codetect_shared.events import Cost, Finding, Priority
from codetect_shared.jobs import URGENT
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from codetect_inference.bundle import Preprocessing
from codetect_inference.explain import DISCLAIMER, UNLIKE_FROM
from codetect_inference.models import Analysis, Status

PRINTABLE = r"^[^\x00-\x1f]*$"  # Postgres takes no NUL
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50, pattern=PRINTABLE)]
Folder = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=PRINTABLE)]


class ModelUsed(BaseModel):
    """The model of an analysis; version and hash are missing when no such model is registered."""

    name: str
    version: str | None
    sha256: str | None
    title: str | None
    preprocessing: Preprocessing | None = Field(None, description="How a slice becomes the model's input.")


class Reason(BaseModel):
    """A stable code, and a sentence for people."""

    code: str
    detail: str


class PeakOut(BaseModel):
    """Where a slice argues most for a finding; the heatmap there is full."""

    slice: int = Field(description="Number within the series, from 0.")
    column: int = Field(description="Pixel of the original slice, from 0 at its left.")
    row: int = Field(description="From 0 at its top.")
    position_mm: tuple[float, float, float] | None = Field(
        None, description="x, y, z in the patient (DICOM's LPS), in the series' frame of reference."
    )


class FindingOut(Finding):
    """One label's outcome, and where its likeliest slice argues most for it."""

    peak: PeakOut | None = Field(None, description="null: nothing on it does; or a result of before this was told.")


class SliceScore(BaseModel):
    """What the model said of one slice."""

    slice: int
    probabilities: dict[str, float] = Field(description="By label, calibrated.")


class DocumentOut(BaseModel):
    """The result as a DICOM file, also among the study's own by DICOMweb."""

    kind: Literal["sr", "sc", "pm"] = Field(description="Structured report, picture, or parametric map.")
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    bytes: int
    sha256: str


class OutOfDistribution(BaseModel):
    """How unlike the training images a study is, as a multiple of what the model's maker allows; flagged from 1 on."""

    score: float
    flagged: bool

    @classmethod
    def of(cls, score: float | None) -> "OutOfDistribution | None":
        """None of models that can't tell."""
        return None if score is None else cls(score=score, flagged=score >= UNLIKE_FROM)


class Timings(BaseModel):
    """Milliseconds; `total_ms` from submission to result."""

    upload_ms: int | None
    import_ms: int | None
    queued_ms: int | None
    inference_ms: int | None
    total_ms: int | None


class AnalysisOut(BaseModel):
    """An analysis: one model's reading of one version of a study."""

    id: UUID
    study_id: UUID
    study_version: int
    upload_id: UUID
    series_id: UUID | None
    series_reason: str | None = Field(description="Why this series was chosen among the study's.")
    status: Status
    priority: Priority
    model: ModelUsed
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    attempts: int
    slices_total: int = Field(description="Slices of the series.")
    slices_done: int = Field(description="Slices read, or passed over since they show no lung.")
    slices_analysed: int | None = Field(description="Slices the model read.")
    findings: list[FindingOut]
    warnings: list[Reason]
    top_slices: list[int] = Field(description="Numbers of the slices that argue most for the findings.")
    top_scores: list[SliceScore] = Field(description="What the model said of these.")
    out_of_distribution: OutOfDistribution | None = Field(None, description="Given by models that can tell.")
    provider: str | None = Field(description="ONNX Runtime's execution provider that ran the model.")
    cost: Cost | None = Field(None, description="Of results from 2026-11-26 on; `slices_analysed` belongs to it.")
    timings: Timings
    error: Reason | None
    documents: list[DocumentOut] = Field(description="Fetch one as .../documents/{n}, from 0.")
    superseded: bool = Field(
        description="A newer version of the study has its own analysis, or a newer analysis of the same version has "
        "taken this one's place: a result's only when it has a result too."
    )
    tags: list[str]
    folder: str | None
    disclaimer: str = DISCLAIMER

    @classmethod
    def of(cls, row: Analysis) -> "AnalysisOut":
        """From its row."""
        error = Reason(code=row.error_code, detail=row.error_detail or "") if row.error_code else None
        return cls.model_validate(
            {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
            | {
                "series_id": row.series["series_id"] if row.series else None,
                "priority": "urgent" if row.priority == URGENT else "routine",
                "model": {
                    "name": row.model_name,
                    "version": row.model_version or None,
                    "sha256": row.model_sha256,
                    "title": row.model_title,
                    "preprocessing": row.preprocessing,
                },
                "timings": {name: getattr(row, name) for name in Timings.model_fields},
                "error": error,
                "cost": {name: getattr(row, name) for name in Cost.model_fields} if row.cpu_ms is not None else None,
                "out_of_distribution": OutOfDistribution.of(row.unlikeness),
            }
        )


class AnalysisPage(BaseModel):
    """Analyses, and the cursor of those that follow."""

    items: list[AnalysisOut]
    next: str | None


class AnalysisRequest(BaseModel):
    """Ask for one model's reading of a study's newest version."""

    study_id: UUID
    model: str = Field(
        min_length=1,
        max_length=63,
        pattern=PRINTABLE,
        description="A registered model's name; its newest version reads.",
    )


class AnalysisChange(BaseModel):
    """How an analysis is kept; what isn't sent stays as it is."""

    model_config = ConfigDict(extra="forbid")

    tags: Annotated[list[Tag], Field(max_length=20)] | None = None
    folder: Folder | None = Field(None, description="null takes it out of its folder.")
    priority: Priority | None = Field(None, description="Urgent ones that wait are read first.")


class BulkChange(BaseModel):
    """How several are kept; what isn't sent stays as it is."""

    model_config = ConfigDict(extra="forbid")

    add_tags: Annotated[list[Tag], Field(max_length=20)] = []
    remove_tags: Annotated[list[Tag], Field(max_length=20)] = []
    folder: Folder | None = Field(None, description="null takes them out of their folders.")
    priority: Priority | None = None


class BulkRequest(BaseModel):
    """What to do with several analyses."""

    model_config = ConfigDict(extra="forbid")

    ids: list[UUID] = Field(min_length=1, max_length=200)
    do: Literal["organise", "cancel", "rerun"]
    change: BulkChange = Field(BulkChange(), description="For `organise`.")


class BulkItem(BaseModel):
    """What became of one of them: the analysis as it is now, or why it stays as it was."""

    id: UUID
    analysis: AnalysisOut | None = None
    problem: Reason | None = None


class BulkOut(BaseModel):
    """What became of each, in the order asked."""

    items: list[BulkItem]


class Counted(BaseModel):
    """A value, and how many analyses have it."""

    value: str
    count: int


class Facets(BaseModel):
    """What the facility's analyses can be filtered by, each by name."""

    tags: list[Counted]
    folders: list[Counted]
    findings: list[Counted] = Field(description="Labels that were found positive.")


class Filters(BaseModel):
    """What a list of analyses shows."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    q: str | None = Field(
        None,
        max_length=200,
        pattern=PRINTABLE,
        description="Words that all occur in model, status, findings, tags, folder or ids.",
    )
    status: list[Status] | None = Field(None, max_length=len(Status), description="One of these.")
    positive: bool | None = Field(
        None, description="Whether there is a positive finding; `false` asks for results without one."
    )
    finding: str | None = Field(None, max_length=40, pattern=PRINTABLE, description="A label that was found positive.")
    feedback: Literal["none", "undecided", "agreed", "waiting", "adjudicated"] | None = Field(
        None, description="Where readers' feedback on one of its findings stands; `none`: nobody said anything."
    )
    study_id: UUID | None = None
    upload_id: UUID | None = None
    tag: Tag | None = None
    folder: Folder | None = None
    mine: bool = Field(False, description="Of studies that the asker sent in, or asked for.")
    created_from: AwareDatetime | None = Field(None, alias="from", description="Created then or later.")
    created_to: AwareDatetime | None = Field(None, alias="to", description="Created before.")
    sort: Literal["-created_at", "created_at", "-finished_at", "finished_at"] = Field(
        "-created_at", description="By `finished_at`, only finished analyses are listed."
    )
    urgent_first: bool = Field(False, description="Urgent ones before all others; each in the order of `sort`.")
    cursor: str | None = Field(None, max_length=300, description="`next` of the page before, same filters.")
    limit: int = Field(50, ge=1, le=200)


class SliceOut(BaseModel):
    """One slice of the series that was read."""

    n: int = Field(description="Number within the series, from 0, feet to head.")
    sop_instance_uid: str
    position_mm: tuple[float, float, float]
    analysed: bool = Field(description="Whether the model read it: it shows lung.")
    probabilities: dict[str, float] = Field(description="By label; empty when the slice wasn't analysed.")
    peaks: dict[str, PeakOut] = Field(description="By label, where something on the slice argues for it.")


class SliceList(BaseModel):
    """All slices of the series, in order, and how the images lie in the patient (PS3.3 C.7.6.2)."""

    items: list[SliceOut]
    rows: int
    columns: int
    pixel_spacing_mm: tuple[float, float] | None = Field(
        description="Between rows, between columns; null: not known, so nothing can be measured."
    )
    orientation: tuple[float, float, float, float, float, float] = Field(
        description="Directions (LPS) of rising columns and of rising rows."
    )
