"""Settings of the gateway, from the environment (`CODETECT_GATEWAY_...`)."""

from codetect_shared.settings import ServiceSettings
from pydantic import AnyHttpUrl, DirectoryPath, Field, FilePath
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """What the gateway needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_GATEWAY_", extra="ignore", populate_by_name=True)

    port: int = Field(8080, description="Port the process listens on.")
    tls_cert_file: FilePath | None = Field(None, description="Certificate chain (PEM), to serve https by itself.")
    tls_key_file: FilePath | None = Field(None, description="Its key (PEM).")
    ingest_url: AnyHttpUrl = Field(validation_alias="CODETECT_INGEST_URL", description="Address of ingest.")
    inference_url: AnyHttpUrl = Field(validation_alias="CODETECT_INFERENCE_URL", description="Address of inference.")
    analytics_url: AnyHttpUrl = Field(validation_alias="CODETECT_ANALYTICS_URL", description="Address of analytics.")

    web_dir: DirectoryPath | None = Field(
        None, description="Folder of the built web app; unset: what `make web` built beside the package."
    )
    trusted_proxies: str = Field(
        "", description="Addresses or networks, comma-separated, whose X-Forwarded-For and -Proto are believed."
    )
    metrics_networks: str = Field(
        "127.0.0.0/8,::1/128", description="Networks, comma-separated, that may read /metrics on the public port."
    )
    allowed_origins: str = Field(
        "", description="Origins, comma-separated, that may open /api/v1/live besides the facility's own host."
    )
    facility_fresh_s: float = Field(10, description="How long a host name's facility is believed before auth is asked.")
    rate_anonymous: int = Field(300, description="Requests a minute from one address without a valid token; 0: any.")
    rate_person: int = Field(6000, description="Requests a minute by one person or API client; 0: any number.")
    rate_pacs: int = Field(30_000, description="Requests a minute by one API client or person to DICOMweb; 0: any.")
    basic_fresh_s: float = Field(
        300, description="How long an API client that logs in with HTTP Basic is believed before auth is asked again."
    )
    connections_per_part: int = Field(200, description="Requests at once to one service behind the gateway.")
    connections_max: int = Field(12000, description="Connections held at once, sockets included; more get 503.")
    body_bytes: int = Field(2**20, description="Largest request body, but for DICOMweb and model bundles.")
    answer_timeout_s: float = Field(120, description="How long a service may take until it answers or goes on.")
    stall_timeout_s: float = Field(30, description="How long a client may send, or take, nothing in the midst of it.")

    ring_events: int = Field(20_000, description="Recent events held for sockets that come back.")
    socket_frames: int = Field(500, description="Frames that may wait for one socket before it counts as too slow.")
    sockets_per_person: int = Field(50, description="Sockets of one person or API client in one gateway process.")
    ticket_s: float = Field(30, description="How long a ticket for /api/v1/live is good.")
