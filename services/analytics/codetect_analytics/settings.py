"""Settings of the analytics service, from the environment (`CODETECT_ANALYTICS_...`)."""

from codetect_shared.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """What the analytics API needs."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_ANALYTICS_", extra="ignore", populate_by_name=True)

    port: int = Field(8104, description="Port the process listens on (the projector: 8114).")


class ProjectorSettings(Settings):
    """The same for the projector, whose port serves health and metrics only."""

    port: int = Field(8114, description="Port the process listens on.")
