"""Where the local stack keeps its state, which ports it takes, and which servers others provide."""

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[3]


class Trouble(Exception):
    """Something a person has to put right; the text says what and how."""


def private_file(path: Path, text: str) -> Path:
    """Write a file for its owner's eyes only, whole or not at all."""
    fresh = path.with_name(f"{path.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    return fresh.replace(path)


class Settings(BaseSettings):
    """Read from the environment; a port given by name isn't shifted by the offset."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_", extra="ignore")

    state_dir: Path = Field(default=ROOT / ".local", description="Folder of data, logs, secrets and mail")
    port_offset: int = Field(default=0, ge=0, le=7000, description="Added to every port that isn't set by name")
    replicas: int = Field(default=1, ge=1, le=3, description="How many of every service process run")
    run_as: str = Field(default="codetect", description="User of servers and services when root starts the stack")
    base_domain: str = Field(default="localhost", description="Domain below which every facility has its host name")

    host: str | None = Field(
        default=None, description="Name by which others reach this machine; facilities lie below it"
    )
    tls: Literal["self", "files"] | None = Field(
        default=None, description="Where the certificate for that name is from"
    )
    tls_cert: Path | None = Field(default=None, description="TLS=files: the certificate chain, PEM")
    tls_key: Path | None = Field(default=None, description="TLS=files: its key, PEM")
    listen: str = Field(default="0.0.0.0", description="Address the public doors listen on when there is a HOST")  # noqa: S104
    https_port: int = Field(default=8443, description="The public door with TLS, when there is a HOST")
    s3_https_port: int = Field(default=18443, description="Object store with TLS, for clients, when there is a HOST")

    # Ports lie below 20000, where tests begin to look for theirs (ports.py), and far below those that Linux gives to
    # outgoing connections, of which any could hold one of ours at the moment we start.
    gateway_port: int = Field(default=8080, description="The one public door")
    auth_port: int = Field(default=8101, description="auth API")
    ingest_port: int = Field(default=8102, description="ingest API")
    inference_port: int = Field(default=8103, description="inference API")
    analytics_port: int = Field(default=8104, description="analytics API")
    mailer_port: int = Field(default=8111, description="Health and metrics of the mailer")
    importer_port: int = Field(default=8112, description="Health and metrics of the importer")
    worker_port: int = Field(default=8113, description="Health and metrics of the worker")
    projector_port: int = Field(default=8114, description="Health and metrics of the projector")
    postgres_port: int = Field(default=15432, description="PostgreSQL")
    rabbitmq_port: int = Field(default=15682, description="RabbitMQ, AMQP 0.9.1")
    rabbitmq_dist_port: int = Field(default=15683, description="RabbitMQ's Erlang distribution")
    epmd_port: int = Field(default=15684, description="RabbitMQ's port mapper, our own")
    s3_port: int = Field(default=18333, description="Object store, S3")
    s3_internal_port: int = Field(default=18340, description="First of the object store's seven inner ports")
    smtp_port: int = Field(default=12525, description="The sink that keeps outgoing mail")
    orthanc_port: int = Field(default=18042, description="Orthanc, HTTP")
    orthanc_dicom_port: int = Field(default=14242, description="Orthanc, DICOM: C-STORE and C-ECHO")

    demo_models: str = Field(
        default="covid-ct-densenet169",
        description="Which bundles of the folder models the demo registers: names, split by commas, or all",
    )
    pacs: bool = Field(default=False, description="Whether Orthanc runs too and forwards what it receives")
    pacs_modalities: str = Field(
        default='{"storescu": ["STORESCU", "127.0.0.1", 104]}',
        description="Who may send to Orthanc, as its DicomModalities: AE title, address, port",
    )
    pacs_delete: bool = Field(default=False, description="Whether Orthanc forgets what CoDetect has stored")

    postgres_admin_url: str | None = Field(
        default=None, description="A PostgreSQL of yours (superuser) in place of ours"
    )
    rabbitmq_url: str | None = Field(default=None, description="A RabbitMQ of yours in place of ours")
    storage_url: str | None = Field(default=None, description="An S3 server of yours in place of ours")
    storage_public_url: str | None = Field(default=None, description="The same server as clients reach it")
    storage_access_key: str | None = Field(default=None, description="Access key of your S3 server")
    storage_secret_key: str | None = Field(default=None, description="Secret key of your S3 server")
    storage_bucket_prefix: str = Field(default="codetect-", description="What the names of the four buckets begin with")

    @model_validator(mode="before")
    @classmethod
    def _below_the_host(cls, given: Any) -> Any:
        """Facilities' names lie below the machine's, where it has one."""
        if isinstance(given, dict) and given.get("host"):
            given["host"] = given["host"].strip().strip(".").lower()
            given["base_domain"] = given["host"]
        return given

    @property
    def address(self) -> str:
        """Scheme, base domain and port of the public door."""
        if self.host:
            return f"https://{{}}.{self.host}:{self.port('https')}"
        return f"http://{{}}.{self.base_domain}:{self.port('gateway')}"

    @classmethod
    def of(cls, state: Path) -> "Settings":
        """The settings a stack was last started with, whatever this process's environment says."""
        return cls.model_construct(**json.loads((state / "settings.json").read_text()), state_dir=state)

    def save(self) -> None:
        """Keep them beside the state for `of`."""
        own = self.model_dump(mode="json", exclude_unset=True, exclude={"state_dir"})
        private_file(self.state / "settings.json", json.dumps(own, indent=1))

    @property
    def state(self) -> Path:
        """The state folder, absolute."""
        return self.state_dir.absolute()

    def port(self, name: str, replica: int = 0) -> int:
        """The port of a server or process; replicas count up in steps of 20, clear of the neighbours."""
        value: int = getattr(self, f"{name}_port")
        return value + (0 if f"{name}_port" in self.model_fields_set else self.port_offset) + 20 * replica
