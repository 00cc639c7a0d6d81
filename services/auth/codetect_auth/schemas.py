"""What goes over the wire."""

from datetime import datetime
from typing import Annotated, Generic, Literal, Self, TypeVar, get_args
from uuid import UUID

from codetect_shared.tokens import LIFETIME_S, Right, Role, Scope
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, model_validator

from codetect_auth.clients import LONGEST_GRACE_H
from codetect_auth.models import Status
from codetect_auth.passwords import MAX_LENGTH
from codetect_auth.second_factor import CodeMethod, Method

Item = TypeVar("Item")
LoginMethod = Literal["password+totp", "password+passkey", "passkey"]
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
KEPT = "The facility's admins read it with the step, which is kept for good: name nobody in it."
Email = Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^\x00-\x1f\x7f]+$")]
Password = Annotated[SecretStr, Field(min_length=1, max_length=MAX_LENGTH)]
Token = Annotated[SecretStr, Field(min_length=1, max_length=200)]
Code = Annotated[SecretStr, Field(min_length=1, max_length=40)]


class Out(BaseModel):
    """Read from rows and dataclasses."""

    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[Item]):
    """A part of a list; `next` is the cursor of the part after it."""

    items: list[Item]
    next: str | None = None


class PublicFacility(Out):
    """What a login page needs to know."""

    slug: str
    name: str
    login_methods: list[LoginMethod] = list(get_args(LoginMethod))


class Login(BaseModel):
    """The first step."""

    email: Email
    password: Password


class SecondStep(Out):
    """What follows: a code for `mfa_token`, or a second factor to set up with `enrolment_token`."""

    mfa_token: str | None = None
    methods: list[Method] | None = None
    enrolment_token: str | None = None


class Mfa(BaseModel):
    """The second step."""

    mfa_token: Token
    method: CodeMethod
    code: Code


class Enrol(BaseModel):
    """Asks for a new authenticator's secret."""

    enrolment_token: Token


class Enrolment(Out):
    """An authenticator to set up."""

    secret: str
    otpauth_uri: str
    qr_svg: str


class Confirm(BaseModel):
    """A first code of the new authenticator."""

    enrolment_token: Token
    code: Code


class Tokens(Out):
    """What a program gets (RFC 6749, section 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - its kind
    expires_in: int = LIFETIME_S
    refresh_token: str


class EnrolledTokens(Tokens):
    """The tokens of a first login, with the recovery codes, which are shown this once."""

    recovery_codes: list[str]


class ClientTokens(BaseModel):
    """What an API client gets; it asks again instead of refreshing."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - its kind
    expires_in: int = LIFETIME_S
    scope: str


class Refresh(BaseModel):
    """A refresh token to exchange or to end."""

    refresh_token: Token


class Member(Out):
    """A person of the facility."""

    id: UUID
    email: str
    name: str
    role: Role
    rights: list[Right]
    status: str
    created_at: datetime


class MemberChange(BaseModel):
    """What a person is to have instead; what isn't named stays. `rights` are all of them, not only new ones."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})
    role: Literal[Role.ADMIN, Role.MEMBER, Role.VIEWER] = Role.MEMBER
    rights: Annotated[list[Right], Field(max_length=10)] = []
    status: Literal[Status.ACTIVE, Status.SUSPENDED] = Status.ACTIVE

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one of role, rights and status")
        return self


class FactorReset(BaseModel):
    """Why somebody's factors end; operators must say."""

    reason: Text | None = Field(None, description=KEPT)


class Me(BaseModel):
    """Who is logged in. An API client has no e-mail address; `scopes` are the token's, `rights` the next one's."""

    id: UUID
    role: Role
    name: str
    email: str | None = None
    scopes: list[str] = []
    rights: list[Right] = []
    facility: PublicFacility
    terms_due: int | None = Field(None, description="The version of the terms to agree to; null: agreed.")


class SessionOut(Out):
    """A login of mine."""

    id: UUID
    device: str = Field(description="In words, where the browser is known.")
    address: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime
    current: bool = False


class NewApiClient(BaseModel):
    """An API client to make."""

    name: Text
    scopes: Annotated[list[Scope], Field(min_length=1)] = [Scope.READ, Scope.WRITE]
    expires_at: AwareDatetime | None = Field(None, description="In a year if not given.")


class ApiClient(Out):
    """A program that works for the facility."""

    client_id: Annotated[UUID, Field(validation_alias="id")]
    name: str
    scopes: list[str]
    owner_id: Annotated[UUID | None, Field(validation_alias="created_by")]
    created_at: datetime
    rotated_at: datetime | None
    suspended_at: datetime | None
    expires_at: datetime | None


class ApiClientChange(BaseModel):
    """What is to be different with an API client; what isn't named stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})
    owner_id: UUID | None = Field(None, description="The person who is to own it.")
    suspended: bool | None = Field(None, description="true: it gets no tokens until it is taken up again.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.owner_id is None and self.suspended is None:
            raise ValueError("name at least one of owner_id and suspended")
        return self


class Rotation(BaseModel):
    """How an API client's secret is replaced."""

    grace_hours: int = Field(24, ge=0, le=LONGEST_GRACE_H, description="How long the secret of before lasts.")
    expires_at: AwareDatetime | None = Field(None, description="When the new one ends; in a year if not given.")


class ApiClientWithSecret(ApiClient):
    """With the secret, which is shown this once."""

    client_secret: str
