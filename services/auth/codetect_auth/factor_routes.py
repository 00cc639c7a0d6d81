"""My second factors, and proving once more that it is me."""

from typing import Annotated
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import Forbidden, NotFound, Unauthenticated, responses
from codetect_shared.tokens import StepUpRequired
from fastapi import APIRouter, Body, Depends

from codetect_auth import factors, schemas, schemas_factors, step_up
from codetect_auth.context import AuthDep, CallerDep
from codetect_auth.routing import REFUSALS, FreshHuman, Human, no_store
from codetect_auth.steps import StepExpired
from codetect_auth.throttle import TooManyAttempts

Proof = Annotated[schemas_factors.CodeProof | schemas_factors.PasskeyProof, Body(discriminator="method")]

FRESH = (*REFUSALS, StepUpRequired)
ADDING = responses(*FRESH, step_up.ProofRefused, StepExpired, TooManyAttempts, factors.TooManyFactors)
router = APIRouter(prefix="/api/v1/auth", tags=["second factors"], dependencies=[Depends(no_store)])


@router.get("/factors", responses=responses(Unauthenticated, Forbidden))
async def list_factors(session: SessionDep, who: Human) -> schemas_factors.Factors:
    """My authenticator apps and passkeys, and how many recovery codes are left."""
    found, left = await factors.list_factors(session, UUID(who.subject))
    return schemas_factors.Factors(
        items=[schemas_factors.Factor.model_validate(each) for each in found], recovery_codes_left=left
    )


@router.patch("/factors/{factor_id}", responses=responses(*FRESH, NotFound))
async def rename_factor(
    session: SessionDep, who: FreshHuman, factor_id: UUID, body: schemas_factors.FactorChange
) -> schemas_factors.Factor:
    """Give one of my factors another name."""
    return schemas_factors.Factor.model_validate(await factors.rename(session, who, factor_id, body.name))


@router.delete("/factors/{factor_id}", status_code=204, responses=responses(*FRESH, NotFound, factors.LastFactor))
async def remove_factor(auth: AuthDep, session: SessionDep, who: FreshHuman, factor_id: UUID) -> None:
    """Remove one of my factors; the last one stays."""
    await factors.remove(auth, session, who, factor_id)


@router.post("/factors/totp", status_code=201, responses=ADDING)
async def start_totp(session: SessionDep, auth: AuthDep, who: FreshHuman) -> schemas_factors.FurtherEnrolment:
    """The secret for a further authenticator app."""
    token, made = await factors.start_totp(session, auth, who)
    enrolment = schemas.Enrolment.model_validate(made)
    return schemas_factors.FurtherEnrolment(factor_token=token, **enrolment.model_dump())


@router.post("/factors/totp/confirm", status_code=201, responses=ADDING)
async def add_totp(
    auth: AuthDep, caller: CallerDep, who: FreshHuman, body: schemas_factors.FurtherConfirm
) -> schemas_factors.Factor:
    """A first code of the further authenticator app."""
    token, code = body.factor_token.get_secret_value(), body.code.get_secret_value()
    return schemas_factors.Factor.model_validate(await factors.confirm_totp(auth, caller, who, token, code, body.name))


@router.post("/passkeys/options", responses=ADDING)
async def ask_for_new_passkey(
    session: SessionDep, caller: CallerDep, who: FreshHuman
) -> schemas_factors.PasskeyOptions:
    """What to ask the browser for a further passkey."""
    return schemas_factors.PasskeyOptions(public_key=await factors.start_passkey(session, caller, who))


@router.post("/passkeys", status_code=201, responses=ADDING)
async def add_passkey(
    auth: AuthDep, caller: CallerDep, who: FreshHuman, body: schemas_factors.NewPasskey
) -> schemas_factors.Factor:
    """The further passkey."""
    made = await factors.confirm_passkey(auth, caller, who, body.credential.model_dump(), body.name)
    return schemas_factors.Factor.model_validate(made)


@router.post("/recovery-codes", status_code=201, responses=responses(*FRESH))
async def renew_recovery_codes(auth: AuthDep, who: FreshHuman) -> schemas_factors.RecoveryCodes:
    """New recovery codes; the old ones are gone."""
    return schemas_factors.RecoveryCodes(recovery_codes=await factors.renew_recovery_codes(auth, who))


@router.post("/step-up/options", responses=responses(Unauthenticated, Forbidden))
async def ask_to_step_up(auth: AuthDep, caller: CallerDep, who: Human) -> schemas_factors.PasskeyOptions:
    """What to ask the browser for one of my passkeys."""
    return schemas_factors.PasskeyOptions(public_key=await step_up.ask(auth, caller, who))


@router.post("/step-up", responses=responses(*REFUSALS, step_up.ProofRefused, TooManyAttempts))
async def prove(auth: AuthDep, caller: CallerDep, who: Human, body: Proof) -> schemas_factors.AccessToken:
    """Prove that it is me: this access token, and those of later refreshes, open what is dangerous for ten minutes."""
    if isinstance(body, schemas_factors.CodeProof):
        token = await step_up.with_code(auth, who, body.method, body.code.get_secret_value())
    else:
        token = await step_up.with_passkey(auth, caller, who, body.credential.model_dump())
    return schemas_factors.AccessToken(access_token=token)
