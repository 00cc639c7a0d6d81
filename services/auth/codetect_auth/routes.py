"""Logging in, staying in, and what programs ask for tokens."""

from typing import Annotated, Any
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, NotFound, Unauthenticated, responses
from codetect_shared.tokens import CurrentPrincipal, Principal, Role, require
from fastapi import APIRouter, Depends, Form, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from codetect_auth import clients, login, people, schemas, sessions
from codetect_auth.access import terms
from codetect_auth.context import AuthDep, CallerDep
from codetect_auth.second_factor import CodeRefused
from codetect_auth.throttle import TooManyAttempts

Human = Annotated[Principal, require(Role.OPERATOR, Role.ADMIN, Role.MEMBER, Role.VIEWER)]
Basic = Annotated[HTTPBasicCredentials | None, Depends(HTTPBasic(auto_error=False, scheme_name="client"))]


def no_store(response: Response) -> None:
    """Tokens and secrets are kept by no cache (RFC 6749, section 5.1)."""
    response.headers["Cache-Control"] = "no-store"


router = APIRouter(tags=["access"], dependencies=[Depends(no_store)])
SECOND_STEP = responses(login.StepExpired, CodeRefused, TooManyAttempts, BadInput)


@router.get("/.well-known/jwks.json", tags=["access"])
async def get_jwks(auth: AuthDep) -> dict[str, Any]:
    """The public keys that access tokens are checked with (RFC 7517)."""
    return await auth.keys.jwks()


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
    """Second step: a code."""
    token, code = body.mfa_token.get_secret_value(), body.code.get_secret_value()
    return schemas.Tokens.model_validate(await login.finish(auth, caller, token, body.method, code))


@router.post("/api/v1/auth/totp/enrol", responses=SECOND_STEP)
async def enrol_totp(auth: AuthDep, caller: CallerDep, body: schemas.Enrol) -> schemas.Enrolment:
    """At the first login: the secret for an authenticator app."""
    enrolment = await login.enrol_totp(auth, caller, body.enrolment_token.get_secret_value())
    return schemas.Enrolment.model_validate(enrolment)


@router.post("/api/v1/auth/totp/confirm", responses=SECOND_STEP)
async def confirm_totp(auth: AuthDep, caller: CallerDep, body: schemas.Confirm) -> schemas.EnrolledTokens:
    """At the first login: a code of the new authenticator."""
    token, code = body.enrolment_token.get_secret_value(), body.code.get_secret_value()
    codes, tokens = await login.confirm_totp(auth, caller, token, code)
    return schemas.EnrolledTokens(recovery_codes=codes, **schemas.Tokens.model_validate(tokens).model_dump())


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
async def list_sessions(session: SessionDep, principal: Human) -> schemas.Page[schemas.SessionOut]:
    """My open logins."""
    rows = await sessions.list_sessions(session, UUID(principal.subject))
    items = [schemas.SessionOut.model_validate(row) for row in rows]
    return schemas.Page(items=[item.model_copy(update={"current": item.id == principal.session_id}) for item in items])


@router.delete("/api/v1/auth/sessions", status_code=204, responses=responses(Unauthenticated, Forbidden))
async def end_sessions(session: SessionDep, principal: Human) -> None:
    """End all my logins, this one too."""
    await sessions.end_sessions(session, UUID(principal.subject))


@router.delete(
    "/api/v1/auth/sessions/{session_id}",
    status_code=204,
    responses=responses(Unauthenticated, Forbidden, NotFound, BadInput),
)
async def end_session(session: SessionDep, principal: Human, session_id: UUID) -> None:
    """End one of my logins."""
    await sessions.end_session(session, UUID(principal.subject), session_id)


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
