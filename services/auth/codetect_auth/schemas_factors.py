"""What goes over the wire about second factors; passkeys as WebAuthn Level 3 writes them in JSON."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from codetect_shared.tokens import LIFETIME_S
from pydantic import BaseModel, Field

from codetect_auth.factors import Kind
from codetect_auth.schemas import Code, Enrolment, Out, Text, Token
from codetect_auth.second_factor import CodeMethod

Base64Url = Annotated[str, Field(max_length=65536, pattern=r"^[A-Za-z0-9_-]+$")]


class AttestationResponse(BaseModel):
    """What `navigator.credentials.create()` has made, as WebAuthn's JSON has it."""

    clientDataJSON: Base64Url  # noqa: N815 - their name
    attestationObject: Base64Url  # noqa: N815
    transports: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] = []


class AssertionResponse(BaseModel):
    """What `navigator.credentials.get()` has signed, as WebAuthn's JSON has it."""

    clientDataJSON: Base64Url  # noqa: N815
    authenticatorData: Base64Url  # noqa: N815
    signature: Base64Url
    userHandle: Base64Url | None = None  # noqa: N815


class NewCredential(BaseModel):
    """`RegistrationResponseJSON` (WebAuthn Level 3): `credential.toJSON()`."""

    id: Base64Url
    rawId: Base64Url  # noqa: N815
    type: Literal["public-key"]
    response: AttestationResponse


class Credential(BaseModel):
    """`AuthenticationResponseJSON` (WebAuthn Level 3): `credential.toJSON()`."""

    id: Base64Url
    rawId: Base64Url  # noqa: N815
    type: Literal["public-key"]
    response: AssertionResponse


class PasskeyOptions(BaseModel):
    """What a browser is asked: `PublicKeyCredential.parse...OptionsFromJSON(public_key)`."""

    public_key: dict[str, Any]


class PasskeyLoginStart(BaseModel):
    """Asks to log in with a passkey: as the second step, or, without `mfa_token`, in place of the password too."""

    mfa_token: Token | None = None


class PasskeyLogin(PasskeyLoginStart):
    """The browser's answer."""

    credential: Credential


class PasskeyEnrolment(BaseModel):
    """The first passkey, at the first login."""

    enrolment_token: Token
    credential: NewCredential
    name: Text = "Passkey"


class NewPasskey(BaseModel):
    """A further passkey."""

    credential: NewCredential
    name: Text = "Passkey"


class Factor(Out):
    """A second factor of mine."""

    id: UUID
    kind: Kind
    name: str
    created_at: datetime
    used_at: datetime | None


class Factors(BaseModel):
    """All my second factors."""

    items: list[Factor]
    next: None = None
    recovery_codes_left: int


class FactorChange(BaseModel):
    """Another name for a factor."""

    name: Text


class RecoveryCodes(BaseModel):
    """New ones, shown this once."""

    recovery_codes: list[str]


class CodeProof(BaseModel):
    """That it is me: a code."""

    method: CodeMethod
    code: Code


class PasskeyProof(BaseModel):
    """That it is me: a passkey."""

    method: Literal["passkey"]
    credential: Credential


class AccessToken(BaseModel):
    """An access token of the same login; its refresh token stays."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - its kind
    expires_in: int = LIFETIME_S


class FurtherEnrolment(Enrolment):
    """A further authenticator to set up."""

    factor_token: str


class FurtherConfirm(BaseModel):
    """A first code of the further authenticator."""

    factor_token: Token
    code: Code
    name: Text | None = None
