"""Settings of the auth service, from the environment (`CODETECT_AUTH_...`)."""

from codetect_shared.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """What auth needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_AUTH_", extra="ignore", populate_by_name=True)

    port: int = Field(8101, description="Port the process listens on.")
    hash_threads: int = Field(2, description="Passwords hashed at once; each takes 19 MiB and some 40 ms.")
    key_days: int = Field(30, ge=1, description="A key that signs access tokens is followed by another after so long.")
    session_idle_hours: int = Field(12, description="A login ends when it isn't used for so long.")
    webhook_networks: str = Field(
        "", description="Networks inside the house, comma-separated, that webhooks may reach too, also by plain http."
    )
    session_days: int = Field(30, description="A login ends after so many days in any case.")
