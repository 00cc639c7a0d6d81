"""Logging in, staying in, and what programs ask for tokens."""

import hashlib
import json
from typing import Annotated, Any
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, NotFound, Unauthenticated, responses
from codetect_shared.tokens import TRUST_PATH, CurrentPrincipal, Role
from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from codetect_auth import clients, devices, enrolment, login, people, revocations, schemas, schemas_factors, sessions
from codetect_auth.access import terms
from codetect_auth.context import Auth, AuthDep, CallerDep
from codetect_auth.passkeys import PasskeyRefused
from codetect_auth.routing import Human, no_store
from codetect_auth.second_factor import CodeRefused
from codetect_auth.steps import StepExpired
from codetect_auth.throttle import TooManyAttempts

Basic = Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False, scheme_name="client"))]


router = APIRouter(tags=["access"], dependencies=[Depends(no_store)])
SECOND_STEP = responses(StepExpired, CodeRefused, TooManyAttempts, BadInput)
WITH_PASSKEY = responses(StepExpired, PasskeyRefused, TooManyAttempts, BadInput)


@router.get("/.well-known/jwks.json", tags=["access"])
async def get_jwks(auth: AuthDep) -> dict[str, Any]:
    """The public keys that access tokens are checked with (RFC 7517)."""
    return await auth.keys.jwks()


@router.get(TRUST_PATH, include_in_schema=False)
async def get_trust(auth: AuthDep, request: Request) -> Response:
    """For the services, not through the gateway: the public keys, and whose tokens are refused (docs/adr/0045)."""
    body = json.dumps(await trust(auth), separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type="application/json", headers={"ETag": etag})


async def trust(auth: Auth) -> dict[str, Any]:
    """What access tokens are checked against."""
    async with auth.db.system() as session:
        return await auth.keys.jwks() | {"refused": await revocations.refused(session)}


@router.get("/api/v1/facility", responses=responses(NotFound))
async def get_facility(caller: CallerDep) -> schemas.PublicFacility:
    """The facility this host name belongs to; a suspended one is gone, by which the gateway knows."""
    facility = caller.active_facility()
    if facility is None:
        raise NotFound("No facility has this host name.")
    return schemas.PublicFacility.model_validate(facility)


@router.post(
    "/api/v1/auth/login",
    response_model_exclude_none=True,
    responses=responses(login.LoginRefused, TooManyAttempts, BadInput),
)
async def log_in(auth: AuthDep, caller: CallerDep, body: schemas.Login) -> schemas.SecondStep:
    """First step: e-mail address and password."""
    step = await login.begin(auth, caller, body.email, body.password.get_secret_value())
    return schemas.SecondStep.model_validate(step)


@router.post("/api/v1/auth/mfa", responses=SECOND_STEP)
async def give_second_factor(auth: AuthDep, caller: CallerDep, body: schemas.Mfa) -> schemas.Tokens:
    """Second step: a code; with a passkey, see /auth/passkeys/login."""
    token, code = body.mfa_token.get_secret_value(), body.code.get_secret_value()
    return schemas.Tokens.model_validate(await login.finish(auth, caller, token, body.method, code))


@router.post("/api/v1/auth/totp/enrol", responses=SECOND_STEP)
async def enrol_totp(auth: AuthDep, caller: CallerDep, body: schemas.Enrol) -> schemas.Enrolment:
    """At the first login: the secret for an authenticator app."""
    made = await enrolment.enrol_totp(auth, caller, body.enrolment_token.get_secret_value())
    return schemas.Enrolment.model_validate(made)


@router.post("/api/v1/auth/totp/confirm", responses=SECOND_STEP)
async def confirm_totp(auth: AuthDep, caller: CallerDep, body: schemas.Confirm) -> schemas.EnrolledTokens:
    """At the first login: a code of the new authenticator."""
    token, code = body.enrolment_token.get_secret_value(), body.code.get_secret_value()
    codes, tokens = await enrolment.confirm_totp(auth, caller, token, code)
    return schemas.EnrolledTokens(recovery_codes=codes, **schemas.Tokens.model_validate(tokens).model_dump())


@router.post("/api/v1/auth/passkeys/enrol/options", responses=WITH_PASSKEY)
async def ask_to_enrol_passkey(auth: AuthDep, caller: CallerDep, body: schemas.Enrol) -> schemas_factors.PasskeyOptions:
    """At the first login, instead of an authenticator app: what to ask the browser for a passkey."""
    options = await enrolment.enrol_passkey(auth, caller, body.enrolment_token.get_secret_value())
    return schemas_factors.PasskeyOptions(public_key=options)


@router.post("/api/v1/auth/passkeys/enrol", responses=WITH_PASSKEY)
async def enrol_passkey(
    auth: AuthDep, caller: CallerDep, body: schemas_factors.PasskeyEnrolment
) -> schemas.EnrolledTokens:
    """At the first login: the new passkey."""
    token, credential = body.enrolment_token.get_secret_value(), body.credential.model_dump()
    codes, tokens = await enrolment.confirm_passkey(auth, caller, token, credential, body.name)
    return schemas.EnrolledTokens(recovery_codes=codes, **schemas.Tokens.model_validate(tokens).model_dump())


@router.post("/api/v1/auth/passkeys/login/options", responses=responses(StepExpired, BadInput))
async def ask_for_passkey(
    auth: AuthDep, caller: CallerDep, body: schemas_factors.PasskeyLoginStart
) -> schemas_factors.PasskeyOptions:
    """What to ask the browser: as the second step of a login, or, without `mfa_token`, for all of it."""
    token = body.mfa_token.get_secret_value() if body.mfa_token else None
    return schemas_factors.PasskeyOptions(public_key=await login.ask_for_passkey(auth, caller, token))


@router.post("/api/v1/auth/passkeys/login", responses=WITH_PASSKEY)
async def log_in_with_passkey(auth: AuthDep, caller: CallerDep, body: schemas_factors.PasskeyLogin) -> schemas.Tokens:
    """Log in with a passkey: the second step; or alone, since a device and what unlocks it are two factors."""
    credential = body.credential.model_dump()
    if body.mfa_token:
        tokens = await login.finish_with_passkey(auth, caller, body.mfa_token.get_secret_value(), credential)
    else:
        tokens = await login.log_in_with_passkey(auth, caller, credential)
    return schemas.Tokens.model_validate(tokens)


@router.post("/api/v1/auth/refresh", responses=responses(sessions.RefreshRefused, sessions.RefreshUnderWay, BadInput))
async def refresh(auth: AuthDep, caller: CallerDep, body: schemas.Refresh) -> schemas.Tokens:
    """New tokens for a refresh token, which works once."""
    tokens = await sessions.refresh(auth, caller, body.refresh_token.get_secret_value())
    return schemas.Tokens.model_validate(tokens)


@router.post("/api/v1/auth/logout", status_code=204, responses=responses(BadInput))
async def log_out(auth: AuthDep, caller: CallerDep, body: schemas.Refresh) -> None:
    """End the login that a refresh token belongs to."""
    await sessions.log_out(auth, caller, body.refresh_token.get_secret_value())


@router.get("/api/v1/auth/me", responses=responses(Unauthenticated))
async def get_me(session: SessionDep, principal: CurrentPrincipal) -> schemas.Me:
    """Who the access token speaks for."""
    who, facility = await people.who_is(session, principal)
    due = None if principal.role is Role.API_CLIENT else await terms.due(session, who.id)
    return schemas.Me(
        id=who.id,
        role=principal.role,
        name=who.name,
        email=getattr(who, "email", None),
        scopes=sorted(principal.scopes),
        rights=getattr(who, "rights", []),
        facility=schemas.PublicFacility.model_validate(facility),
        terms_due=due,
    )


@router.get("/api/v1/auth/sessions", responses=responses(Unauthenticated, Forbidden))
async def list_sessions(auth: AuthDep, session: SessionDep, principal: Human) -> schemas.Page[schemas.SessionOut]:
    """My open logins."""
    rows = await sessions.list_sessions(session, UUID(principal.subject), auth.settings.session_idle_hours)
    items = [schemas.SessionOut.model_validate(row) for row in rows]
    more = [{"current": item.id == principal.session_id, "device": devices.in_words(item.device)} for item in items]
    return schemas.Page(items=[item.model_copy(update=rest) for item, rest in zip(items, more, strict=True)])


@router.delete("/api/v1/auth/sessions", status_code=204, responses=responses(Unauthenticated, Forbidden, BadInput))
async def end_sessions(
    session: SessionDep,
    principal: Human,
    others: Annotated[bool, Query(description="Keep the one that asks.")] = False,
) -> None:
    """End all my logins, this one too unless only `others` are meant."""
    but = principal.session_id if others else None
    await sessions.end_sessions(session, UUID(principal.subject), who=principal, but=but)


@router.delete(
    "/api/v1/auth/sessions/{session_id}",
    status_code=204,
    responses=responses(Unauthenticated, Forbidden, NotFound, BadInput),
)
async def end_session(session: SessionDep, principal: Human, session_id: UUID) -> None:
    """End one of my logins."""
    await sessions.end_session(session, principal, session_id)


@router.post(
    "/oauth/token",
    responses=responses(clients.ClientRefused, clients.GrantUnsupported, clients.ScopeRefused, BadInput),
)
async def create_token(
    auth: AuthDep,
    caller: CallerDep,
    basic: Basic,
    grant_type: Annotated[str, Form(max_length=100)] = "",
    client_id: Annotated[str, Form(max_length=100)] = "",
    client_secret: Annotated[str, Form(max_length=200)] = "",
    scope: Annotated[str, Form(max_length=200)] = "",
) -> schemas.ClientTokens:
    """An API client's access token; id and secret in the form, or as HTTP Basic (RFC 6749, section 2.3.1)."""
    if basic:
        client_id, client_secret = basic.username, basic.password
    token, scopes = await clients.client_token(auth, caller, grant_type, client_id, client_secret, scope)
    return schemas.ClientTokens(access_token=token, scope=" ".join(scopes))
