"""Settings of the auth service, from the environment (`CODETECT_AUTH_...`)."""

from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from codetect_shared.settings import ServiceSettings
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    """What auth needs beside what every service needs."""

    model_config = SettingsConfigDict(env_prefix="CODETECT_AUTH_", extra="ignore", populate_by_name=True)

    port: int = Field(8101, description="Port the process listens on.")
    hash_threads: int = Field(2, description="Passwords hashed at once; each takes 19 MiB and some 40 ms.")
    key_days: int = Field(30, ge=1, description="A key that signs access tokens is followed by another after so long.")
    session_idle_hours: int = Field(12, description="A login ends when it isn't used for so long.")
    breached_passwords_file: Path | None = Field(
        None, description="Stolen passwords: SHA-1 hashes in order, a line each, as Have I Been Pwned offers; optional."
    )
    webhook_networks: str = Field(
        "", description="Networks inside the house, comma-separated, that webhooks may reach too, also by plain http."
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


class Tls(StrEnum):
    """How the way to the mail server is kept private."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class MailerSettings(Settings):
    """What the mailer needs besides; its port serves health and metrics only."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    port: int = Field(8111, description="Port the process listens on.")
    smtp_host: str = Field("127.0.0.1", description="The mail server that takes our mails and carries them on.")
    smtp_port: int = Field(587, description="Its port: 587 for STARTTLS, 465 for implicit TLS.")
    smtp_tls: Tls = Field(
        Tls.STARTTLS, description="starttls, implicit, or none (only on loopback); the certificate is always checked."
    )
    smtp_ca_file: Path | None = Field(None, description="PEM file of who signed its certificate; empty: the system's.")
    smtp_user: str = Field("", description="Name to log in with; empty: no login.")
    smtp_password: SecretStr = Field(SecretStr(""), description="Password to log in with.")
    smtp_ehlo_name: str = Field("", description="What we call ourselves to it; empty: the domain mails come from.")
    smtp_timeout_s: float = Field(30, description="How long it may take to answer a command.")
    smtp_data_timeout_s: float = Field(
        600, description="How long it may take to say that it took a mail (RFC 5321, section 4.5.3.2.6)."
    )
    mail_from: str = Field("", description="Address that mails come from; empty: no-reply@<base domain>.")
    mail_reply_to: str = Field("", description="Address that answers go to; empty: none is named.")
    mail_bounce_address: str = Field(
        "",
        description="Address that reports of failed delivery go to, with +<tag> put in; empty: where mails come from.",
    )
    mail_language: str = Field("en", description="Language of mails to people who chose none: en or de.")
    mail_address_per_hour: int = Field(20, description="Mails to one address an hour; results count apart.")
    mail_facility_per_minute: int = Field(60, description="Mails of one facility a minute.")
    mail_give_up_hours: float = Field(72, description="A mail that couldn't be sent for so long has failed.")
    mail_group_minutes: float = Field(15, description="At most one mail of grouped results to a person in this time.")
    dkim_domain: str = Field("", description="Domain that signs mails; empty: the one they come from.")
    dkim_selector: str = Field(
        "codetect", description="Name of the RSA key in DNS; the Ed25519 key's ends in -ed25519."
    )
    dkim_key: SecretStr = Field(SecretStr(""), description="RSA key of 2048 bits or more, PEM; empty: see the file.")
    dkim_key_file: Path | None = Field(None, description="File of that key; empty, as the key is: mails aren't signed.")
    dkim_ed25519_key: SecretStr = Field(SecretStr(""), description="Ed25519 key to sign with besides, PEM.")
    dkim_ed25519_key_file: Path | None = Field(None, description="File of that key.")
    dns_server: str = Field("", description="host:port that `admin doctor` asks for DNS records; empty: the system's.")

    @model_validator(mode="after")
    def _plain_stays_at_home(self) -> Self:
        if self.smtp_tls is Tls.NONE and not is_loopback(self.smtp_host):
            raise ValueError("CODETECT_AUTH_SMTP_TLS=none is for a mail server on this machine's loopback alone")
        return self

    @property
    def sender(self) -> str:
        """The address that mails come from."""
        return self.mail_from or f"no-reply@{self.base_domain}"

    @property
    def sender_domain(self) -> str:
        """The domain that mails come from."""
        return self.sender.rpartition("@")[2]


def is_loopback(host: str) -> bool:
    """Whether this names the machine itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
