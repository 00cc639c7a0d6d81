"""What the API takes and gives about a facility's settings and the life of its studies."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from codetect_ingest.models import Others, Profile
from codetect_ingest.schemas import PRINTABLE

GIB = 2**30
LISTED = 200


class SettingsPatch(BaseModel):
    """What is to change; what isn't named stays as it is. null means: no limit."""

    model_config = ConfigDict(extra="forbid")

    profile: Profile = Field(Profile.SEAL, description="`forget` keeps no identity of what comes from now on.")
    others: Others = Field(Others.REFUSE, description="Sound DICOM files that aren't CT slices.")
    quiet_s: int = Field(30, ge=1, le=3600, description="Quiet seconds after which a study sent by STOW-RS is whole.")
    retention_days: int | None = Field(
        None, ge=1, le=36500, description="Studies are erased this long after they came."
    )
    quota_bytes: int | None = Field(None, ge=0, le=2**62)
    quota_studies: int | None = Field(None, ge=0, le=2**31 - 1)
    quota_jobs: int | None = Field(None, ge=0, le=2**31 - 1, description="Uploads and studies that may wait at once.")


class SettingsOut(BaseModel):
    """How a facility wants its images treated."""

    profile: Profile
    others: Others
    quiet_s: int
    retention_days: int | None
    quota_bytes: int | None
    quota_studies: int | None
    quota_jobs: int | None
    forgetting: bool = Field(description="Sealed identities are being erased; some are left yet.")


class Used(BaseModel):
    """What is used of what may be used; null: as much as there is room."""

    used: int
    quota: int | None


class UsageOut(BaseModel):
    """What a facility takes up. `bytes` counts DICOM files kept, and uploads that wait to be imported."""

    bytes: Used
    studies: Used
    jobs: Used


class ErasureOut(BaseModel):
    """A study that is erased: its rows are gone, its objects follow at once (`done_at`: looked through once more)."""

    model_config = ConfigDict(from_attributes=True)

    study_id: UUID
    requested_at: datetime
    emptied_at: datetime | None
    done_at: datetime | None


class IdentityOut(BaseModel):
    """Whose study this is, as the files said; dates YYYYMMDD as in DICOM."""

    study_id: UUID
    patient_name: str | None
    patient_id: str | None
    patient_birth_date: str | None
    patient_sex: str | None
    accession_number: str | None
    study_instance_uid: str | None
    study_date: str | None
    study_description: str | None


class IdentitiesRequest(BaseModel):
    """Studies whose identities are asked for."""

    ids: list[UUID] = Field(min_length=1, max_length=LISTED)


class IdentitiesOut(BaseModel):
    """Identities in the order asked; studies that aren't there, or whose identity isn't kept, are missing."""

    items: list[IdentityOut]


class FindRequest(BaseModel):
    """What a study is called elsewhere: one of the two."""

    model_config = ConfigDict(extra="forbid")

    accession_number: Annotated[str, Field(min_length=1, max_length=64, pattern=PRINTABLE)] | None = Field(
        None, description="Needs the right `identity`."
    )
    study_instance_uid: Annotated[str, Field(max_length=64, pattern=r"^[0-9]+(\.[0-9]+)*$")] | None = Field(
        None, description="The original one, for those with the right `identity`; or CoDetect's own, for all."
    )

    @model_validator(mode="after")
    def one(self) -> "FindRequest":
        """Raise ValueError unless one thing is asked for."""
        if (self.accession_number is None) == (self.study_instance_uid is None):
            raise ValueError("Give either an accession number or a StudyInstanceUID.")
        return self


class FoundOut(BaseModel):
    """The studies that are called so, newest first."""

    study_ids: list[UUID]


class ReferenceOut(BaseModel):
    """An upload's reference, as whoever opened it wrote it."""

    reference: str | None


class ReportOut(BaseModel):
    """What de-identification did to one file; never what stood there."""

    number: int
    report: dict[str, Any]
