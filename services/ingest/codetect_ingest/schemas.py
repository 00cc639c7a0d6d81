"""What the API takes and gives."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from codetect_shared.events import Priority
from codetect_shared.jobs import URGENT
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

from codetect_ingest.models import DeliveryState, FileState, State, Study, Upload, UploadFile, View

PRINTABLE = r"^[^\x00-\x1f]*$"  # Postgres takes no NUL
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=PRINTABLE)]


class UploadRequest(BaseModel):
    """Open an upload."""

    reference: str | None = Field(
        None,
        max_length=200,
        pattern=PRINTABLE,
        description="Free text of your own, sealed. Refused (`holds-identifier`) where it plainly holds a patient's "
        "identifier: a name, a date, a number of six digits or more, a UID, an e-mail address; a UUID is none.",
    )
    models: list[ModelName] | None = Field(
        None, max_length=16, description="Models to read with; none: the facility's."
    )
    priority: Priority = "routine"


class Post(BaseModel):
    """A presigned POST (multipart/form-data): the fields first, then `key`, then `file`."""

    url: str
    fields: dict[str, str]


class UploadOpenedOut(BaseModel):
    """Where and until when to post files: file 17 goes to `key_prefix` + `000017`."""

    id: UUID
    state: State
    post: Post
    key_prefix: str
    max_file_bytes: int
    max_files: int
    max_total_bytes: int
    expires_at: datetime


class Claim(BaseModel):
    """What the client posted."""

    file_count: int = Field(ge=0)
    total_bytes: int = Field(ge=0)


class StudyOfUpload(BaseModel):
    """A study that an upload brought slices of."""

    study_id: UUID
    version: int
    series: int
    instances: int


class FileOut(BaseModel):
    """A file's outcome; code and sentence where it was refused."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    state: FileState
    code: str | None
    detail: str | None
    study_id: UUID | None


class Reason(BaseModel):
    """A stable code, and a sentence for people."""

    code: str
    detail: str


class UploadOut(BaseModel):
    """An upload, and what has become of each file so far."""

    id: UUID
    state: State
    priority: Priority
    models: list[str] | None
    created_at: datetime
    expires_at: datetime
    completed_at: datetime | None
    finished_at: datetime | None
    files_total: int
    files_done: int
    studies: list[StudyOfUpload]
    files: list[FileOut]
    error: Reason | None

    @classmethod
    def of(cls, row: Upload, files: list[UploadFile]) -> "UploadOut":
        """From its rows."""
        named = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name)}
        return cls.model_validate(
            named
            | {
                "priority": "urgent" if row.priority == URGENT else "routine",
                "files": [FileOut.model_validate(file) for file in files],
                "error": Reason(code=row.error_code, detail=row.error_detail or "") if row.error_code else None,
            }
        )


class SeriesOut(BaseModel):
    """A series in its newest version."""

    series_id: UUID
    series_instance_uid: str
    modality: str
    plane: str
    slices: int
    rows: int
    columns: int
    convolution_kernel: str | None
    body_part: str | None
    slice_thickness_mm: float | None
    irregularities: dict[str, float] = Field(
        {}, description="What is odd of the series: missing slices, uneven steps (mm), tilt (degrees), phases."
    )


class StudyOut(BaseModel):
    """A study under its pseudonyms; dates are shifted."""

    id: UUID
    study_instance_uid: str
    patient_id: str
    study_date: str | None = Field(description="YYYYMMDD, moved by a number of days that is the patient's own.")
    version: int
    created_at: datetime
    updated_at: datetime
    instances: int
    stored_bytes: int
    legal_hold: bool = Field(description="Nothing erases the study while it is held.")
    expires_at: datetime | None = Field(description="When the facility's retention erases it; null: never.")
    series: list[SeriesOut]

    @classmethod
    def of(cls, study: Study, series: list[SeriesOut], retention_days: int | None) -> "StudyOut":
        """From its row, the series to show, and how long the facility keeps studies."""
        kept = retention_days is not None and not study.legal_hold
        expires_at = study.created_at + timedelta(days=retention_days or 0) if kept else None
        named = {name: getattr(study, name) for name in cls.model_fields if name not in ("series", "expires_at")}
        return cls.model_validate(named | {"series": series, "expires_at": expires_at})


class StudyPage(BaseModel):
    """A part of the list; `next` is the cursor of the part after it."""

    items: list[StudyOut]
    next: str | None


class DestinationIn(BaseModel):
    """A DICOMweb server to send results to; `url` is its base, to which `/studies` is added."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=PRINTABLE)]
    url: AnyHttpUrl
    username: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)] | None = None
    password: SecretStr | None = Field(None, max_length=500)
    view: View = View.ORIGINAL
    enabled: bool = True


class Switch(BaseModel):
    """On or off."""

    enabled: bool


class DestinationOut(BaseModel):
    """A destination of results."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    url: str
    view: View
    enabled: bool
    created_at: datetime


class DestinationList(BaseModel):
    """All destinations of a facility."""

    items: list[DestinationOut]


class DeliveryOut(BaseModel):
    """A result on its way to a destination."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    destination_id: UUID
    study_id: UUID
    analysis_id: UUID
    state: DeliveryState
    attempts: int
    available_at: datetime | None = Field(description="When it is tried next.")
    last_status: int | None = Field(description="What the server last answered.")
    last_error: str | None
    created_at: datetime
    delivered_at: datetime | None


class Retried(BaseModel):
    """How many deliveries are sent again."""

    deliveries: int


class DeliveryPage(BaseModel):
    """A part of the list; `next` is the cursor of the part after it."""

    items: list[DeliveryOut]
    next: str | None
