"""Tables of auth: facilities, people and what they prove themselves with, logins, API clients, signing keys."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from codetect_shared import topology
from codetect_shared.db import TYPES, AggregateRow, FacilityRow
from codetect_shared.jobs import JobRow, Jobs
from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The tables of this service."""

    type_annotation_map = TYPES


class Status(StrEnum):
    """Whether a facility or a person may work."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"  # a person who is gone; the row stays for what points to it, without name and address


class Purpose(StrEnum):
    """What a step is for: the second of a login, a factor to set up at the first one, or a further factor."""

    MFA = "mfa"
    ENROL = "enrol"
    ADD = "add"


class Facility(Base, AggregateRow):
    """A hospital or group with a host name of its own, `<slug>.<base domain>`. Its id is its own facility id."""

    __tablename__ = "facilities"

    slug: Mapped[str]
    name: Mapped[str]
    status: Mapped[str] = mapped_column(default=Status.ACTIVE)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    mail_domains: Mapped[list[str]] = mapped_column(default=list)
    # What other services told: ingest keeps these settings, inference analyses.
    retention_days: Mapped[int | None]
    profile: Mapped[str | None]
    settings_sequence: Mapped[int] = mapped_column(default=0)
    first_analysed_at: Mapped[datetime | None]


class Person(Base, AggregateRow):
    """Somebody who belongs to one facility; `email_key` is the case-folded address that a login is found by."""

    __tablename__ = "people"

    email: Mapped[str]
    email_key: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    status: Mapped[str] = mapped_column(default=Status.ACTIVE)
    password_hash: Mapped[str | None]
    rights: Mapped[list[str]] = mapped_column(default=list)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class FactorRow(FacilityRow):
    """A second factor, whatever its kind."""

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime | None]


class TotpFactor(Base, FactorRow):
    """A confirmed authenticator; `last_step` is the newest time step whose code was used, so that a code works once."""

    __tablename__ = "totp_factors"

    sealed_secret: Mapped[bytes]
    last_step: Mapped[int]


class Passkey(Base, FactorRow):
    """A person's passkey (WebAuthn); `sign_count` only grows, where the authenticator counts at all."""

    __tablename__ = "passkeys"

    credential_id: Mapped[bytes]
    public_key: Mapped[bytes]
    sign_count: Mapped[int] = mapped_column(BigInteger)
    transports: Mapped[list[str]]


class PasskeyChallenge(Base, FacilityRow):
    """A question that a passkey answers once; `bound_to` is the step or the login it was asked in."""

    __tablename__ = "passkey_challenges"

    challenge: Mapped[bytes]
    purpose: Mapped[str]
    bound_to: Mapped[UUID | None]
    expires_at: Mapped[datetime]


class RecoveryCode(Base, FacilityRow):
    """One of a person's codes for a lost factor. All codes of a batch share one salt, so that a try costs one hash."""

    __tablename__ = "recovery_codes"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    salt: Mapped[bytes]
    code_hash: Mapped[bytes]
    used_at: Mapped[datetime | None]


class LoginChallenge(Base, FacilityRow):
    """The second step of a login that has begun: a code of the factor at hand, or a factor to set up."""

    __tablename__ = "login_challenges"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    purpose: Mapped[str]
    token_hash: Mapped[bytes]
    sealed_secret: Mapped[bytes | None]
    attempts: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Session(Base, AggregateRow):
    """A login, and the family of refresh tokens that carries it on; `proven_at` is when its person last proved it."""

    __tablename__ = "sessions"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    address: Mapped[str]
    device: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    used_at: Mapped[datetime] = mapped_column(server_default=func.now())
    proven_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None]


class RefreshToken(Base, FacilityRow):
    """One refresh token; `parent_id` is the one it was given for."""

    __tablename__ = "refresh_tokens"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    parent_id: Mapped[UUID | None]
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiClient(Base, FacilityRow):
    """A program that works for a facility; its id is its client id, and `created_by` is the person who owns it.

    After a rotation the secret of before is good until `previous_until`.
    """

    __tablename__ = "api_clients"

    name: Mapped[str]
    secret_hash: Mapped[bytes]
    scopes: Mapped[list[str]]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    previous_hash: Mapped[bytes | None]
    previous_until: Mapped[datetime | None]
    rotated_at: Mapped[datetime | None]
    suspended_at: Mapped[datetime | None]


class AccessRequest(Base, AggregateRow):
    """Somebody from outside asks to belong to a facility (`access.states` has the states)."""

    __tablename__ = "access_requests"

    email: Mapped[str]
    email_key: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    reason: Mapped[str]
    state: Mapped[str]
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Invitation(Base, AggregateRow):
    """Somebody may come in with the link that was mailed; `sent` counts the links, of which the newest works."""

    __tablename__ = "invitations"

    email: Mapped[str]
    email_key: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    state: Mapped[str]
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime]
    sent: Mapped[int] = mapped_column(default=1)
    invited_by: Mapped[UUID | None]
    inviter: Mapped[str]
    request_id: Mapped[UUID | None] = mapped_column(ForeignKey("access_requests.id"))
    accepted_by: Mapped[UUID | None] = mapped_column(ForeignKey("people.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class AccessStep(Base):
    """Who did what when to whom: kept for good, never changed; ids and reasons, no names."""

    __tablename__ = "access_steps"

    id: Mapped[int] = mapped_column(primary_key=True)
    facility_id: Mapped[UUID]
    about: Mapped[str]
    about_id: Mapped[UUID]
    step: Mapped[str]
    was: Mapped[str | None]
    now: Mapped[str | None]
    by_id: Mapped[UUID | None]
    by_role: Mapped[str]
    reason: Mapped[str | None]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class PasswordReset(Base, FacilityRow):
    """A mailed link with which a person may set another password."""

    __tablename__ = "password_resets"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    token_hash: Mapped[bytes]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Terms(Base):
    """What people agree to; the highest version is the one in force."""

    __tablename__ = "terms"

    version: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    published_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    published_by: Mapped[UUID | None]


class TermsAcceptance(Base, FacilityRow):
    """A person agreed to a version of the terms."""

    __tablename__ = "terms_acceptances"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id"))
    version: Mapped[int] = mapped_column(ForeignKey("terms.version"))
    accepted_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class MailState(StrEnum):
    """Where a mail stands."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    BOUNCED = "bounced"


class Mail(Base, JobRow):
    """A mail of one cause; the letter is sealed, and forgotten once it is sent or has failed for good.

    `address_key` is a keyed hash of the address it goes to, `tried_at` when it was last on its way to the mail server,
    `handed_over_at` when its text was: with `state` still `queued` nobody knows whether the server has it (ADR 88).
    `handovers` counts how often that was so.
    """

    __tablename__ = "mails"
    __table_args__ = (UniqueConstraint("facility_id", "cause"),)

    kind: Mapped[str]
    cause: Mapped[str]
    sealed_letter: Mapped[bytes | None]
    state: Mapped[str] = mapped_column(server_default=MailState.QUEUED)
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    sent_at: Mapped[datetime | None]
    address_key: Mapped[bytes | None]
    tried_at: Mapped[datetime | None]
    handed_over_at: Mapped[datetime | None]
    handovers: Mapped[int] = mapped_column(default=0)


class Refusal(Base, AggregateRow):
    """Access tokens issued until `since` are refused: those of a login, of a person or program, or of the facility."""

    __tablename__ = "refusals"

    subject: Mapped[UUID | None]
    session_id: Mapped[UUID | None]
    since: Mapped[int] = mapped_column(BigInteger)


class SigningKeyRow(Base):
    """A key that access tokens are signed with, from `signs_from` until a younger one does."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    sealed_private: Mapped[bytes]
    public_jwk: Mapped[dict[str, Any]]
    signs_from: Mapped[datetime]
    verifies_until: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Throttle(Base):
    """How often something secret was guessed at lately, and when the next guess is looked at."""

    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(primary_key=True)
    attempts: Mapped[int]
    next_at: Mapped[datetime]
    touched_at: Mapped[datetime]


MAILS = Jobs(Mail, topology.MAILS_TO_SEND, lease_s=60, max_attempts=40)
