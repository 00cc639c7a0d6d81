"""What goes over the wire about facilities, access requests, invitations, terms and passwords."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from codetect_shared.tokens import Role
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from codetect_auth.access.invitations import MOST_AT_ONCE, Result
from codetect_auth.access.requests import Standing
from codetect_auth.access.states import InvitationState, RequestState
from codetect_auth.models import Status
from codetect_auth.passwords import MAX_LENGTH
from codetect_auth.schemas import KEPT, Email, Out, Password, Text, Token

Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$")]
NewPassword = Annotated[
    SecretStr,
    Field(min_length=1, max_length=4 * MAX_LENGTH, description="12 to 256 characters, 15 or more are better."),
]
Domains = Annotated[list[Annotated[str, Field(max_length=254)]], Field(max_length=50, examples=[["hospital.example"]])]
Wish = Literal[Role.ADMIN, Role.MEMBER, Role.VIEWER]


class FirstAdmin(BaseModel):
    """Who is to be a facility's admin."""

    email: Email
    name: Text


class NewFacility(BaseModel):
    """A facility to open."""

    slug: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Text
    mail_domains: Domains = []
    retention_days: int | None = Field(None, ge=1, le=36500, description="Its admins may change it; null: for good.")
    profile: Literal["seal", "forget"] | None = Field(None, description="What becomes of identities; null: `seal`.")
    first_admin: FirstAdmin | None = Field(None, description="Is sent an invitation.")


class FacilityChange(BaseModel):
    """What is to change; what isn't named stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1})
    name: Text | None = None
    mail_domains: Domains | None = None
    status: Literal[Status.ACTIVE, Status.SUSPENDED] | None = None
    reason: Reason | None = Field(None, description=KEPT)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_dump(exclude_none=True, exclude={"reason"}):
            raise ValueError("name at least one of name, mail_domains and status, and give it a value")
        return self


class Facility(Out):
    """A facility as the operator sees it. Retention and profile are what ingest last said."""

    id: UUID
    slug: str
    name: str
    status: str
    mail_domains: list[str]
    retention_days: int | None
    profile: str | None
    created_at: datetime


class ChecklistItem(Out):
    """A line of the checklist."""

    name: str
    done: bool
    todo: str


class Checklist(BaseModel):
    """What a new facility still lacks."""

    ready: bool
    items: list[ChecklistItem]


class NewAccessRequest(BaseModel):
    """Somebody from outside asks to belong to the facility."""

    email: Email
    name: Text
    role: Wish = Role.MEMBER
    reason: Reason


class LinkToken(BaseModel):
    """The token of a mailed link."""

    token: Token


class Confirmed(BaseModel):
    """What comes next: the admins decide, an invitation lies in the mailbox, or there is an account already."""

    state: Standing


class AccessRequest(Out):
    """A request as admins see it."""

    id: UUID
    email: str
    name: str
    role: Role
    reason: str
    state: RequestState
    created_at: datetime
    changed_at: datetime
    expires_at: datetime


class Approval(BaseModel):
    """How somebody is let in."""

    role: Wish | None = Field(None, description="A lesser one than was asked for; null: that one.")


class Rejection(BaseModel):
    """Why somebody isn't; they read it."""

    reason: Reason = Field(description=KEPT)


class NewInvitation(BaseModel):
    """Somebody to invite; what is wrong with one of a list is said in its outcome."""

    email: Annotated[str, Field(max_length=1000)]
    name: Annotated[str, Field(max_length=1000)]
    role: Annotated[str, Field(max_length=100)] = "member"


NewInvitations = NewInvitation | Annotated[list[NewInvitation], Field(min_length=1, max_length=MOST_AT_ONCE)]


class Invitation(Out):
    """An invitation as admins see it."""

    id: UUID
    email: str
    name: str
    role: Role
    state: InvitationState
    sent: int
    inviter: str
    request_id: UUID | None
    created_at: datetime
    changed_at: datetime
    expires_at: datetime


class InvitationOutcome(Out):
    """What became of one of those to invite."""

    email: str
    outcome: Result
    detail: str | None
    invitation: Invitation | None


class InvitationOutcomes(BaseModel):
    """In the order that was given."""

    items: list[InvitationOutcome]


class Acceptance(BaseModel):
    """Coming in: the mailed token, a password, and the terms that were read."""

    token: Token
    password: NewPassword
    terms_version: int


class EnrolmentToken(BaseModel):
    """With this a second factor is set up."""

    enrolment_token: str


class Step(Out):
    """Who did what, when; `by_role` may be a role, `link` (by mail), `clock` or `command`."""

    id: int
    at: datetime
    about: str
    about_id: UUID
    step: str
    was: str | None
    now: str | None
    by_id: UUID | None
    by_role: str
    reason: str | None


class TermsOut(Out):
    """A version of the terms of use."""

    version: int
    text: str
    published_at: datetime


class NewTerms(BaseModel):
    """A new version of the terms of use."""

    text: Annotated[str, Field(min_length=1, max_length=200_000, pattern=r"^[^\x00]+$")]


class TermsVersion(BaseModel):
    """The version that somebody agrees to."""

    version: Annotated[int, Field(ge=1, le=2**31 - 1)]


class PasswordChange(BaseModel):
    """The old password and the new one."""

    old: Password
    new: NewPassword


class ResetWish(BaseModel):
    """Whose password is forgotten."""

    email: Email


class Reset(BaseModel):
    """The mailed token and a new password."""

    token: Token
    password: NewPassword
