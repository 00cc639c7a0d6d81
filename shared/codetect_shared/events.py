"""The catalogue of events: everything that happens in CoDetect and is told to others.

A payload holds ids and small facts, never pixels, names or other PHI. `docs/asyncapi.yaml` is generated from here.
"""

import re
from datetime import datetime
from typing import Any, ClassVar, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Priority = Literal["routine", "urgent"]
SUBMITTED_BY = "Subject of who sent the study or asked for the analysis; none: told before it was known."


class Event(BaseModel):
    """Something that happened. `StudyReceived` has the CloudEvents type `codetect.study.received.v1`.

    Where the first word is not whom it happened to, the class says: `class FactorsReset(Event, to="person")`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")
    type: ClassVar[str]
    aggregate: ClassVar[str]

    def __init_subclass__(cls, to: str = "") -> None:
        """Take the argument that pydantic hands on below."""

    @classmethod
    def __pydantic_init_subclass__(cls, to: str = "", **_: Any) -> None:
        """Derive type and aggregate from the class's name and enter it into the catalogue."""
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).lower().split()
        cls.aggregate, *past = [to, *words] if to else words
        cls.type = f"codetect.{cls.aggregate}.{'_'.join(past)}.v1"
        CATALOGUE[cls.type] = cls


CATALOGUE: dict[str, type[Event]] = {}


class Finding(BaseModel):
    """One label's outcome for a study; probability in 0..1, calibrated."""

    label: str
    probability: float
    threshold: float
    positive: bool


class Cost(BaseModel):
    """What an analysis took: time of the processor and of the GPU, and bytes from and to the object store."""

    cpu_ms: int = Field(ge=0, description="Of the threads that read, prepare, ran (on a CPU) and wrote for it.")
    gpu_ms: int = Field(ge=0, description="Wall time of its share of the runs on a GPU.")
    bytes_read: int = Field(ge=0)
    bytes_written: int = Field(ge=0)


class SeriesFacts(BaseModel):
    """What inference needs to choose among a study's series and to read one."""

    series_id: UUID
    series_instance_uid: str
    modality: str
    plane: Literal["axial", "coronal", "sagittal", "oblique"]
    slices: int
    rows: int
    columns: int
    convolution_kernel: str | None = None
    body_part: str | None = None
    slice_thickness_mm: float | None = None
    irregularities: dict[str, float] = Field(
        default_factory=dict,
        description="missing_slices (how many), uneven_spacing (mm), gantry_tilt (degrees), overlapping_phases.",
    )
    manifest_key: str
    volume_key: str
    volume_sha256: str


class ResultDocument(BaseModel):
    """A DICOM file that says what an analysis found: a report, or pictures of it. It lies in the bucket `results`."""

    kind: Literal["sr", "sc", "pm"]
    key: str
    sha256: str
    bytes: int
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    series_number: int
    instance_number: int = 1
    modality: str


class FacilityOpened(Event):
    """A facility got its own host name."""

    facility_id: UUID
    slug: str
    retention_days: int | None = Field(None, description="How long the operator wants studies kept; none: said later.")
    profile: Literal["seal", "forget"] | None = Field(None, description="What becomes of identities; none: said later.")
    opened_by: UUID | None = Field(None, description="The operator; none: a command of the machine's owner.")


class FacilityChanged(Event):
    """A facility got another name, or other mail domains."""

    facility_id: UUID
    changed_by: UUID | None = None


class FacilitySuspended(Event):
    """A facility's people can no longer work."""

    facility_id: UUID


class FacilityReactivated(Event):
    """The people of a facility that was suspended may work again."""

    facility_id: UUID


class FacilityAdministered(Event):
    """An operator did something in a facility that its admins should know."""

    facility_id: UUID
    step: str
    by: UUID | None = Field(None, description="The operator; none: a command of the machine's owner.")


class SettingsChanged(Event):
    """How a facility wants its images treated, as it is now; ingest tells it."""

    facility_id: UUID
    retention_days: int | None
    profile: Literal["seal", "forget"]


class RequestConfirmed(Event):
    """Somebody asks to belong to a facility, and the mailbox is theirs."""

    request_id: UUID
    role: str


class RequestApproved(Event):
    """An admin let somebody in who had asked."""

    request_id: UUID
    decided_by: UUID | None
    role: str


class RequestRejected(Event):
    """An admin refused somebody who had asked."""

    request_id: UUID
    decided_by: UUID | None


class InvitationSent(Event):
    """An invitation was mailed, the first time or again."""

    invitation_id: UUID
    role: str
    invited_by: UUID | None


class InvitationAccepted(Event):
    """Somebody came in who was invited."""

    invitation_id: UUID
    person_id: UUID


class InvitationRevoked(Event):
    """An invitation was taken back."""

    invitation_id: UUID
    revoked_by: UUID | None


class PersonAdded(Event):
    """A person belongs to a facility from now on."""

    person_id: UUID
    role: str


class PersonChanged(Event):
    """A person was given a right or lost one, or got another role."""

    person_id: UUID
    changed_by: UUID | None = Field(None, description="The admin; none: a command of the machine's owner.")


class PersonSuspended(Event):
    """A person may not work for now."""

    person_id: UUID
    changed_by: UUID | None = None


class PersonReactivated(Event):
    """A person who was suspended may work again."""

    person_id: UUID
    changed_by: UUID | None = None


class PersonSecured(Event):
    """A person set another password; all their other logins ended."""

    person_id: UUID


class PersonRemoved(Event):
    """A person belongs to the facility no longer; their name and address are forgotten."""

    person_id: UUID
    removed_by: UUID | None = None


class PersonAuthenticated(Event):
    """A person logged in with two factors."""

    person_id: UUID
    method: str


class FactorAdded(Event, to="person"):
    """A person set up a second factor, or got new recovery codes."""

    person_id: UUID
    kind: Literal["totp", "passkey", "recovery_codes"]


class FactorRemoved(Event, to="person"):
    """A person removed one of several second factors."""

    person_id: UUID
    kind: Literal["totp", "passkey"]


class FactorsReset(Event, to="person"):
    """All of a person's second factors, recovery codes and logins ended; they set up a factor at the next login."""

    person_id: UUID
    by: UUID | None = Field(description="The admin, or the operator; none: a command of the machine's owner.")


class SessionEnded(Event):
    """A login ended: its access token is refused, its WebSockets are closed."""

    session_id: UUID
    person_id: UUID


class AccessRefused(Event):
    """The access tokens that somebody, or a whole facility, has so far are refused, and WebSockets are closed."""

    subject: UUID | None = Field(None, description="The person or the API client; none: everybody of the facility.")
    since: int = Field(description="Tokens issued until then (seconds since 1970) are refused.")


class UploadOpened(Event):
    """A client may post files now."""

    upload_id: UUID
    priority: Priority
    submitted_by: UUID | None = Field(None, description=SUBMITTED_BY)


class UploadCompleted(Event):
    """The listing of an upload is frozen; its import is due."""

    upload_id: UUID
    files: int
    bytes: int


class UploadImported(Event):
    """Every file of an upload has its outcome; `refused` counts files by code."""

    upload_id: UUID
    files: int
    accepted: int
    refused: dict[str, int] = Field(default_factory=dict)
    studies: list[UUID]
    import_ms: int


class UploadRefused(Event):
    """Nothing of an upload could be taken."""

    upload_id: UUID
    code: str
    refused: dict[str, int] = Field(default_factory=dict)


class UploadExpired(Event):
    """An upload was never completed."""

    upload_id: UUID


class StudyReceived(Event):
    """A study, or a new version of a known one, is ready to be analysed."""

    study_id: UUID
    version: int
    upload_id: UUID
    study_instance_uid: str = Field(description="The pseudonymous UID.")
    priority: Priority
    models: list[str] | None = Field(None, description="Names of the models asked for; none: the facility's own.")
    series: list[SeriesFacts]
    upload_ms: int
    import_ms: int
    submitted_at: datetime
    submitted_by: UUID | None = Field(None, description=SUBMITTED_BY)


class StudyErased(Event):
    """A study's images and rows are gone for good."""

    study_id: UUID


class ModelRegistered(Event):
    """A model bundle can be used from now on."""

    model_id: UUID
    name: str
    version: str
    sha256: str


class ModelActivated(Event):
    """A version of a model reads new studies from now on, at one facility or at all."""

    model_id: UUID
    name: str
    version: str
    for_facility: UUID | None = Field(description="None: all facilities that have no version of their own.")
    by: UUID = Field(description="The operator.")
    replaced: str | None = Field(description="The version that served there before.")


class ModelRolledBack(Event):
    """A version of a model reads no more new studies: the one that served before does again."""

    model_id: UUID
    name: str
    version: str
    for_facility: UUID | None
    by: UUID
    back_to: str = Field(description="The version that serves again.")


class ModelShadowStarted(Event):
    """A version of a model reads new studies beside the one that serves; nobody sees what it finds."""

    model_id: UUID
    name: str
    version: str
    for_facility: UUID | None
    by: UUID


class ModelShadowEnded(Event):
    """A shadow reads no more new studies."""

    model_id: UUID
    name: str
    version: str
    for_facility: UUID | None
    by: UUID


class ModelCanaryStarted(Event):
    """A version of a model reads a share of the new studies, or another share."""

    model_id: UUID
    name: str
    version: str
    for_facility: UUID | None
    by: UUID
    share: int = Field(description="Percent of the studies.")


class ModelCanaryEnded(Event):
    """A canary reads no more new studies."""

    model_id: UUID
    name: str
    version: str
    for_facility: UUID | None
    by: UUID


class AnalysisQueued(Event):
    """An analysis waits for a worker."""

    analysis_id: UUID
    study_id: UUID
    study_version: int
    upload_id: UUID
    model: str
    model_version: str
    priority: Priority
    submitted_by: UUID | None = Field(None, description=SUBMITTED_BY)


class AnalysisStarted(Event):
    """A worker took an analysis."""

    analysis_id: UUID
    study_id: UUID
    upload_id: UUID
    model: str
    model_version: str
    attempt: int
    queued_ms: int


class AnalysisProgressed(Event):
    """A worker got further; told at most twice a second."""

    analysis_id: UUID
    study_id: UUID
    upload_id: UUID
    slices_done: int
    slices_total: int


class AnalysisCompleted(Event):
    """An analysis has its result."""

    analysis_id: UUID
    study_id: UUID
    study_version: int = Field(0, description="0 in what was told before it was known.")
    upload_id: UUID
    model: str
    model_version: str
    findings: list[Finding]
    warnings: list[str] = Field(default_factory=list, description="Codes of the warnings.")
    unlikeness: float | None = Field(
        None,
        description="How unlike the training data the study is; from 1 on out of distribution. None: can't be told.",
    )
    documents: list[ResultDocument] = Field(
        default_factory=list, description="The result as DICOM, under the study's pseudonymous UID."
    )
    slices_total: int
    slices_analysed: int
    provider: str
    cost: Cost | None = Field(None, description="None in what was told before it was known.")
    queued_ms: int
    inference_ms: int
    total_ms: int
    priority: Priority = Field(
        "routine", description="As it was asked for; routine in what was told before it was known."
    )
    submitted_by: UUID | None = Field(None, description=SUBMITTED_BY)


class AnalysisFailed(Event):
    """An analysis ended without a result; `code` says why."""

    analysis_id: UUID
    study_id: UUID
    upload_id: UUID
    model: str
    model_version: str
    code: str
    priority: Priority = Field("routine", description="As in AnalysisCompleted.")
    submitted_by: UUID | None = Field(None, description=SUBMITTED_BY)


class AnalysisCancelled(Event):
    """A person stopped an analysis."""

    analysis_id: UUID
    study_id: UUID
    upload_id: UUID
    model: str
    model_version: str


class AnalysisOrganised(Event):
    """Somebody changed an analysis's tags, its folder or its priority; what they wrote isn't told."""

    analysis_id: UUID
    study_id: UUID
    upload_id: UUID
    changed: list[Literal["tags", "folder", "priority"]]


Says = Literal["present", "absent", "unsure"]
ReviewState = Literal["undecided", "agreed", "waiting", "adjudicated"]
READER = "Subject of who said it."


class FeedbackGiven(Event):
    """A reader agreed with a finding or corrected it; the newest opinion of a person counts."""

    feedback_id: UUID
    analysis_id: UUID
    study_id: UUID
    model: str
    model_version: str
    label: str
    says: Says
    model_says: Says
    agrees: bool | None = Field(None, description="With the model; none: the reader can't tell.")
    state: ReviewState = Field(description="`waiting`: a second reader must decide before it is exported as a label.")
    given_by: UUID | None = Field(None, description=READER)


class FeedbackAdjudicated(Event):
    """A second reader decided on a finding; that is final until somebody reopens it."""

    feedback_id: UUID
    analysis_id: UUID
    study_id: UUID
    model: str
    model_version: str
    label: str
    says: Says
    model_says: Says
    agrees: bool | None = Field(None, description="With the model; none: the second reader can't tell either.")
    given_by: UUID | None = Field(None, description=READER)


class FeedbackReopened(Event):
    """A decision on a finding holds no longer."""

    feedback_id: UUID
    analysis_id: UUID
    study_id: UUID
    model: str
    model_version: str
    label: str
    state: ReviewState
    given_by: UUID | None = Field(None, description=READER)


class ModelDrifted(Event):
    """What a model version is given in a facility, or what it says to it, is no longer spread as in its reference.

    Told once when a band is crossed, and again only after the measure came back.
    """

    facility_id: UUID
    model: str
    model_version: str
    measure: str = Field(description="input_mean, input_spread, distance or score:<label>.")
    band: Literal["moderate", "major"]
    psi: float = Field(description="Population stability index against the bundle's reference.")
    studies: int
    slices: int


class AuditRecorded(Event):
    """Somebody did something, or looked at something, that is written down; `number` has no gaps within facility and
    service. It goes to auth alone, which chains it, and not into the stream.
    """

    facility_id: UUID
    service: str
    number: int
    at: datetime
    subject: str = Field(description="Id of a person or an API client; else a word for who it was.")
    role: str
    session_id: UUID | None = None
    action: str
    outcome: Literal["success", "refused", "failure"]
    target: str | None = Field(None, description="What it was done to, as `analysis/<id>`.")
    study_id: UUID | None = None
    address: str | None = Field(None, description="Where the request came from.")
    request_id: str | None = None
    detail: dict[str, Any] = Field(default_factory=dict, description="Small facts, no PHI.")
