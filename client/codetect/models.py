"""What the server answers, typed. Unknown members are passed over, so that an older client reads a newer server."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Priority = Literal["routine", "urgent"]
AnalysisStatus = Literal["queued", "running", "completed", "failed", "cancelled"]
UploadState = Literal["open", "importing", "done", "refused", "expired"]
FINAL: frozenset[AnalysisStatus] = frozenset({"completed", "failed", "cancelled"})


class Model(BaseModel):
    """A value; it never changes."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


Item = TypeVar("Item", bound=Model)


class Page(Model, Generic[Item]):
    """A part of a list; `next` is the cursor of the part after it."""

    items: list[Item]
    next: str | None = None


class Reason(Model):
    """A stable code and a sentence."""

    code: str
    detail: str | None = None


class Me(Model):
    """Who is logged in."""

    id: UUID
    role: str
    name: str
    email: str | None = None


class Facility(Model):
    """The facility behind a host name."""

    slug: str
    name: str
    login_methods: list[str] = []


class Tokens(Model):
    """What a program gets after it has proved who it is (RFC 6749, section 5.1)."""

    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(None, repr=False)
    token_type: str = "Bearer"  # noqa: S105 - its kind
    expires_in: int = 600


class Challenge(Model):
    """The answer to a right password: a second factor is due, or has to be set up first."""

    mfa_token: str | None = Field(None, repr=False)
    methods: list[str] | None = None
    enrolment_token: str | None = Field(None, repr=False)


class Enrolment(Model):
    """The secret to put into an authenticator application."""

    secret: str = Field(repr=False)
    otpauth_uri: str = Field(repr=False)
    qr_svg: str | None = Field(None, repr=False)


class Enrolled(Tokens):
    """Tokens, and the recovery codes: they are shown this once."""

    recovery_codes: list[str] = Field(repr=False)


class PostPolicy(Model):
    """Where files are posted, and the form fields that allow it."""

    url: str
    fields: dict[str, str] = Field(repr=False)


class OpenUpload(Model):
    """An upload that takes files: file 17 goes to the key `<key_prefix>000017`; sizes in bytes."""

    id: UUID
    state: UploadState = "open"
    post: PostPolicy
    key_prefix: str
    max_file_bytes: int
    max_files: int
    max_total_bytes: int
    expires_at: datetime


class UploadedStudy(Model):
    """A study as an upload left it."""

    study_id: UUID
    version: int = 1
    series: int | None = None
    instances: int | None = None


class UploadedFile(Model):
    """The outcome of one file."""

    number: int
    state: Literal["pending", "accepted", "kept", "refused"]
    code: str | None = None
    detail: str | None = None
    study_id: UUID | None = None


class Upload(Model):
    """How far an upload is."""

    id: UUID
    state: UploadState
    priority: Priority = "routine"
    models: list[str] | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    finished_at: datetime | None = None
    files_total: int = 0
    files_done: int = 0
    studies: list[UploadedStudy] = []
    files: list[UploadedFile] = []
    error: Reason | None = None


class StudySeries(Model):
    """A series of a study."""

    series_id: UUID
    modality: str | None = None
    plane: str | None = None
    slices: int | None = None
    convolution_kernel: str | None = None


class Study(Model):
    """A study under its pseudonyms."""

    id: UUID
    study_instance_uid: str
    patient_id: str
    study_date: str | None = None
    version: int
    created_at: datetime
    instances: int | None = None
    stored_bytes: int | None = None
    legal_hold: bool = False
    expires_at: datetime | None = None
    series: list[StudySeries] = []


class Erasure(Model):
    """A study that is erased; `emptied_at`: its images are removed."""

    study_id: UUID
    requested_at: datetime
    emptied_at: datetime | None = None
    done_at: datetime | None = None


class ModelRef(Model):
    """The model that made an analysis."""

    name: str
    version: str | None = None
    sha256: str | None = None
    title: str | None = None
    preprocessing: dict[str, Any] | None = None


class Peak(Model):
    """Where a slice argues most for a finding: its number and pixel, from 0; mm in the patient (DICOM's LPS)."""

    slice: int
    column: int
    row: int
    position_mm: list[float] | None = None


class Finding(Model):
    """One label's outcome for a study; probability in 0..1, calibrated."""

    label: str
    probability: float
    threshold: float | None = None
    positive: bool
    peak: Peak | None = None


class SliceScore(Model):
    """What the model said of one slice, by label."""

    slice: int
    probabilities: dict[str, float] = {}


class Document(Model):
    """A result as a DICOM file: `sr` a structured report, `sc` a picture, `pm` heatmaps as a parametric map."""

    kind: str
    sop_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str | None = None
    bytes: int | None = None
    sha256: str | None = None


class Timings(Model):
    """Milliseconds each part took; None: not there yet."""

    upload_ms: int | None = None
    import_ms: int | None = None
    queued_ms: int | None = None
    inference_ms: int | None = None
    total_ms: int | None = None


class Cost(Model):
    """What an analysis took: processor and GPU time in ms, bytes from and to the object store."""

    cpu_ms: int
    gpu_ms: int
    bytes_read: int
    bytes_written: int


class OutOfDistribution(Model):
    """How far a study lies from what the model was trained on."""

    score: float
    flagged: bool


class Analysis(Model):
    """One model's look at one version of one study."""

    model_config = ConfigDict(extra="allow")

    id: UUID
    study_id: UUID
    study_version: int = 1
    upload_id: UUID | None = None
    series_id: UUID | None = None
    series_reason: str | None = None
    status: AnalysisStatus
    priority: Priority = "routine"
    model: ModelRef
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    slices_total: int | None = None
    slices_done: int | None = None
    slices_analysed: int | None = None
    findings: list[Finding] = []
    warnings: list[Reason] = []
    top_slices: list[int] = []
    top_scores: list[SliceScore] = []
    out_of_distribution: OutOfDistribution | None = None
    provider: str | None = None
    cost: Cost | None = None
    timings: Timings = Timings()
    error: Reason | None = None
    documents: list[Document] = []
    superseded: bool = False
    tags: list[str] = []
    folder: str | None = None
    disclaimer: str | None = None

    @property
    def final(self) -> bool:
        """Whether nothing more will come of it by itself."""
        return self.status in FINAL


class Slice(Model):
    """One slice of an analysis, from feet to head."""

    n: int
    sop_instance_uid: str | None = None
    position_mm: list[float] | None = None
    analysed: bool
    probabilities: dict[str, float] = {}
    peaks: dict[str, Peak] = {}


class RegisteredModel(Model):
    """A model bundle that can be asked for."""

    model_config = ConfigDict(extra="allow")

    name: str
    version: str
    sha256: str | None = None
    title: str | None = None
    active: bool = True
    serves: bool | None = None
    signed_by: str | None = None
    created_at: datetime | None = None
    card: dict[str, Any] = {}


class Rollout(Model):
    """A version that takes part: active, as a shadow or as a canary; at one facility, or (none) at all."""

    name: str
    version: str
    kind: str
    facility_id: UUID | None = None
    share: int | None = None
    since: datetime
    before: str | None = None


class Compared(Model):
    """How a candidate's results compare with the shown ones: of one facility, or (none) of all together."""

    facility_id: UUID | None = None
    against: str
    label: str
    studies: int
    agreement: float
    mean_absolute_difference: float
    positive_shown: int
    positive_candidate: int
    positive_both: int


class Comparison(Model):
    """A candidate beside what was shown; `states` says how many of its analyses stand where."""

    name: str
    version: str
    overall: list[Compared]
    items: list[Compared]
    states: list[dict[str, Any]] = []


class OpenedFacility(Model):
    """A facility, as the operator sees it."""

    id: UUID
    slug: str


class LiveEvent(Model):
    """Something that happened, as it happens.

    Besides CloudEvents types there are two of our own: `ready` (what happens from here on is told) and `resync`
    (something was missed: read again what you show).
    """

    type: str
    time: datetime | None = None
    cursor: str | None = None
    data: dict[str, Any] = {}
