"""Settings every process reads from its environment, with the names the operator's guide uses."""

import base64
from typing import Any, Self

from pydantic import AnyHttpUrl, Base64Bytes, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from codetect_shared.sealing import MasterKey

KEY_BYTES = 32


def _common(name: str, description: str, **rest: Any) -> Any:
    """A field that all services share: its variable has no service name in it."""
    return Field(validation_alias=f"CODETECT_{name}", description=description, **rest)


class ServiceSettings(BaseSettings):
    """What each service needs to stand: where it listens, and where its neighbours are.

    A service derives its own ``Settings`` with ``env_prefix="CODETECT_<NAME>_"``.
    """

    # A key with a character too few must not stand in a log for it.
    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Address the process listens on.")
    port: int = Field(description="Port the process listens on.")
    database_url: SecretStr = Field(description="Postgres URL of the role for requests (row-level security applies).")
    database_system_url: SecretStr = Field(
        description="Postgres URL of the role for relay, reaper and claims (BYPASSRLS)."
    )
    database_pool_size: int = Field(5, description="Connections kept open per role and process.")

    rabbitmq_url: SecretStr = _common("RABBITMQ_URL", "amqp:// URL of the broker.")
    storage_url: AnyHttpUrl = _common("STORAGE_URL", "Object store as the services reach it.")
    storage_public_url: AnyHttpUrl = _common(
        "STORAGE_PUBLIC_URL", "Object store as clients reach it (for presigned posts)."
    )
    storage_access_key: str = _common("STORAGE_ACCESS_KEY", "Access key of the object store.")
    storage_secret_key: SecretStr = _common("STORAGE_SECRET_KEY", "Secret key of the object store.")
    storage_bucket_prefix: str = _common("STORAGE_BUCKET_PREFIX", "Put before each bucket's name.", default="codetect-")
    storage_region: str = _common("STORAGE_REGION", "Region of the buckets.", default="us-east-1")
    base_domain: str = _common("BASE_DOMAIN", "Facilities are <slug>.<base domain>.", default="localhost")
    master_key: Base64Bytes = _common("MASTER_KEY", "Base64 of the 32 bytes that wrap all other keys.")
    master_keys_old: SecretStr = _common(
        "MASTER_KEYS_OLD",
        "Master keys of before (base64, comma-separated) that still open: docs/keys.md.",
        default=SecretStr(""),
    )
    issuer: str = _common("ISSUER", "`iss` of the access tokens.", default="codetect")
    auth_url: AnyHttpUrl = _common("AUTH_URL", "Address of the auth service (its JWKS).")
    log_level: str = _common("LOG_LEVEL", "debug, info, warning or error.", default="info")
    otlp_endpoint: str = _common("OTLP_ENDPOINT", "OTLP/HTTP address for traces; empty: none are sent.", default="")

    @model_validator(mode="after")
    def _with_predecessors(self) -> Self:
        """Keys of before go along with the present one."""
        try:
            old = [
                base64.b64decode(each, validate=True)
                for each in self.master_keys_old.get_secret_value().split(",")
                if each.strip()
            ]
        except ValueError:
            raise ValueError("CODETECT_MASTER_KEYS_OLD is a list of base64 texts, separated by commas") from None
        if any(len(key) != KEY_BYTES for key in (self.master_key, *old)):
            raise ValueError("a master key has 32 bytes (44 characters in base64)")
        self.master_key = MasterKey.of(self.master_key, old)
        return self
