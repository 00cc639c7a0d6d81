"""Settings of the auth service, from the environment (`CODETECT_AUTH_...`)."""

from pathlib import Path

from codetect_shared.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """What auth needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_AUTH_", extra="ignore", populate_by_name=True)

    port: int = Field(8101, description="Port the process listens on.")
    hash_threads: int = Field(2, description="Passwords hashed at once; each takes 19 MiB and some 40 ms.")
    session_idle_hours: int = Field(12, description="A login ends when it isn't used for so long.")
    breached_passwords_file: Path | None = Field(
        None, description="Stolen passwords: SHA-1 hashes in order, a line each, as Have I Been Pwned offers; optional."
    )
    session_days: int = Field(30, description="A login ends after so many days in any case.")
    facility_url: str = Field(
        "https://{facility}.{domain}",
        validation_alias="CODETECT_FACILITY_URL",
        description="How browsers reach a facility; slug and base domain are put in. Links in mails begin so.",
    )

    def url(self, slug: str, path: str) -> str:
        """A page of a facility's, as its people reach it."""
        return self.facility_url.format(facility=slug, domain=self.base_domain).rstrip("/") + path
