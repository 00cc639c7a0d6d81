"""Settings of the ingest service, from the environment (`CODETECT_INGEST_...`)."""

import os

from codetect_shared.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict

MIB = 2**20


class Settings(ServiceSettings):
    """What ingest needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_INGEST_", extra="ignore", populate_by_name=True)

    port: int = Field(8102, description="Port the process listens on.")
    upload_minutes: float = Field(10, description="Time to post files with one policy; renewable.")
    upload_hours: float = Field(24, description="An upload that nobody renewed for so long is given up.")
    max_files: int = Field(5000, description="Files an upload may hold.")
    max_file_bytes: int = Field(512 * MIB, description="Size of one file.")
    max_total_bytes: int = Field(8192 * MIB, description="Size of an upload.")
    children: int = Field(os.cpu_count() or 1, description="Processes that read DICOM files side by side.")
    read_ahead_bytes: int = Field(
        2048 * MIB,
        description="Of an upload, so much is read into /tmp before it is completed, as it arrives; 0: none.",
    )
    destination_hosts: str = Field(
        "",
        description="Hosts that facilities may have results sent to, comma-separated: names, `*.domains`, addresses, "
        "networks; empty: any.",
    )
    quota_bytes: int | None = Field(None, description="Bytes a facility may keep; its admins can only set less.")
    quota_studies: int | None = Field(None, description="Studies a facility may keep; its admins can only set fewer.")
    quota_jobs: int | None = Field(None, description="Jobs of a facility that may wait; its admins can only set fewer.")
    storage_vacuum_url: str = Field(
        "", description="Asked (GET) after erasures, so that the object store frees what was deleted; empty: no need."
    )
    image_cache_bytes: int = Field(128 * MIB, description="Memory for the images that DICOMweb clients read last.")
