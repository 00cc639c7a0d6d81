"""Coming in, over HTTP."""

from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, NotFound, Problem, Unauthenticated, responses
from codetect_shared.tokens import StepUpRequired
from fastapi import APIRouter, Depends, Request

from codetect_auth import facility_schemas as shapes
from codetect_auth import schemas
from codetect_auth.access import getting_back, invitations, links, reading, requests, steps, terms
from codetect_auth.access.states import InvitationState, RequestState
from codetect_auth.context import AuthDep, CallerDep
from codetect_auth.models import Facility, Person
from codetect_auth.people import PersonExists
from codetect_auth.routing import (
    REFUSALS,
    Admin,
    Cursor,
    FacilityAdmin,
    FreshAdmin,
    FreshFacilityAdmin,
    FreshOperator,
    Human,
    Limit,
    no_store,
    page,
)
from codetect_auth.strength import PasswordRefused
from codetect_auth.throttle import TooManyAttempts

BY_LINK: tuple[type[Problem], ...] = (BadInput, NotFound, links.LinkGone, TooManyAttempts)
CHOOSING = (*BY_LINK, PasswordRefused)
router = APIRouter(prefix="/api/v1", tags=["coming in"], dependencies=[Depends(no_store)])


@router.post(
    "/access-requests",
    status_code=202,
    responses=responses(BadInput, NotFound, links.DomainNotAllowed, requests.NoRequestsHere, TooManyAttempts),
)
async def ask_for_access(auth: AuthDep, caller: CallerDep, body: shapes.NewAccessRequest) -> None:
    """Ask to belong to the facility. A link goes to the address; the answer is the same whoever has it."""
    await requests.ask_for_access(auth, caller, body.email, body.name, body.role, body.reason)


@router.post("/access-requests/confirm", responses=responses(*BY_LINK))
async def confirm_access_request(auth: AuthDep, caller: CallerDep, body: shapes.LinkToken) -> shapes.Confirmed:
    """Confirm with the mailed link that the mailbox is yours; the admins get mail."""
    return shapes.Confirmed(state=await requests.confirm(auth, caller, body.token.get_secret_value()))


@router.get("/access-requests", responses=responses(*REFUSALS))
async def list_access_requests(
    session: SessionDep,
    _: FacilityAdmin,
    status: RequestState = RequestState.CONFIRMED,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> schemas.Page[shapes.AccessRequest]:
    """Those who ask to come in; those who wait for a decision, if nothing else is said."""
    return page(shapes.AccessRequest, await requests.list_requests(session, status, cursor, limit), limit)


DECIDING = (*REFUSALS, NotFound, requests.RequestDecided, invitations.AlreadyInvited, PersonExists)


@router.post("/access-requests/{request_id}/approve", responses=responses(*DECIDING, StepUpRequired))
async def approve_access_request(
    auth: AuthDep, session: SessionDep, admin: FreshFacilityAdmin, request_id: UUID, body: shapes.Approval
) -> shapes.Invitation:
    """Let somebody in: they get an invitation by mail."""
    facility = await session.get_one(Facility, admin.facility_id)
    who = await steps.by(session, admin)
    made = await requests.approve(auth, session, facility, request_id, body.role, who)
    return shapes.Invitation.model_validate(made)


@router.post("/access-requests/{request_id}/reject", responses=responses(*DECIDING))
async def reject_access_request(
    auth: AuthDep, session: SessionDep, admin: FacilityAdmin, request_id: UUID, body: shapes.Rejection
) -> shapes.AccessRequest:
    """Refuse somebody, who is told the reason."""
    facility = await session.get_one(Facility, admin.facility_id)
    who = await steps.by(session, admin)
    return shapes.AccessRequest.model_validate(
        await requests.reject(auth, session, facility, request_id, body.reason, who)
    )


@router.post("/invitations", responses=responses(*REFUSALS, StepUpRequired), openapi_extra=reading.REQUEST_BODY)
async def invite(
    auth: AuthDep, session: SessionDep, inviter: FreshAdmin, request: Request
) -> shapes.InvitationOutcomes:
    """Invite one person or up to 200, as JSON or CSV (`email,name,role`); what became of each is in the answer."""
    wanted = await reading.invitations_in(request)
    facility = await session.get_one(Facility, inviter.facility_id)
    outcomes = await invitations.invite(auth, session, facility, wanted, await steps.by(session, inviter))
    return shapes.InvitationOutcomes(items=[shapes.InvitationOutcome.model_validate(each) for each in outcomes])


@router.get("/invitations", responses=responses(*REFUSALS))
async def list_invitations(
    session: SessionDep,
    _: Admin,
    status: InvitationState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> schemas.Page[shapes.Invitation]:
    """Who was invited."""
    return page(shapes.Invitation, await invitations.list_invitations(session, status, cursor, limit), limit)


@router.post(
    "/invitations/accept",
    responses=responses(*CHOOSING, terms.TermsChanged, PersonExists),
)
async def accept_invitation(auth: AuthDep, caller: CallerDep, body: shapes.Acceptance) -> shapes.EnrolmentToken:
    """Come in with the mailed link: set a password, agree to the terms, then set up a second factor."""
    token, password = body.token.get_secret_value(), body.password.get_secret_value()
    enrolment = await invitations.accept(auth, caller, token, password, body.terms_version)
    return shapes.EnrolmentToken(enrolment_token=enrolment)


CLOSED = (*REFUSALS, NotFound, invitations.InvitationClosed, TooManyAttempts)


@router.post("/invitations/{invitation_id}/resend", responses=responses(*CLOSED))
async def resend_invitation(
    auth: AuthDep, session: SessionDep, inviter: Admin, invitation_id: UUID
) -> shapes.Invitation:
    """Mail a new link, good for seven days; the one before is void."""
    facility = await session.get_one(Facility, inviter.facility_id)
    who = await steps.by(session, inviter)
    return shapes.Invitation.model_validate(await invitations.resend(auth, session, facility, invitation_id, who))


@router.delete("/invitations/{invitation_id}", status_code=204, responses=responses(*CLOSED))
async def revoke_invitation(session: SessionDep, inviter: Admin, invitation_id: UUID) -> None:
    """Take an invitation back; its link is void at once."""
    await invitations.revoke(session, invitation_id, await steps.by(session, inviter))


@router.get("/terms")
async def get_terms(auth: AuthDep) -> shapes.TermsOut:
    """The terms of use in force."""
    async with auth.db.system() as session:
        return shapes.TermsOut.model_validate(await terms.in_force(session))


@router.get("/terms/{version}", responses=responses(NotFound, BadInput))
async def get_old_terms(auth: AuthDep, version: int) -> shapes.TermsOut:
    """A version of the terms of use."""
    async with auth.db.system() as session:
        return shapes.TermsOut.model_validate(await terms.show(session, version))


@router.post("/terms", status_code=201, responses=responses(*REFUSALS, StepUpRequired))
async def publish_terms(auth: AuthDep, operator: FreshOperator, body: shapes.NewTerms) -> shapes.TermsOut:
    """A new version; everybody is asked to agree to it."""
    return shapes.TermsOut.model_validate(await terms.publish(auth, body.text, UUID(operator.subject)))


@router.post("/auth/terms", status_code=204, responses=responses(*REFUSALS, terms.TermsChanged))
async def agree_to_terms(session: SessionDep, principal: Human, body: shapes.TermsVersion) -> None:
    """Agree to the terms in force."""
    person = await session.get(Person, UUID(principal.subject))
    if person is None:
        raise Unauthenticated
    await terms.keep(session, person, body.version)


@router.post(
    "/auth/password",
    status_code=204,
    responses=responses(
        Unauthenticated,
        Forbidden,
        getting_back.OldPasswordWrong,
        PasswordRefused,
        getting_back.PasswordChangedMeanwhile,
        TooManyAttempts,
    ),
)
async def change_password(auth: AuthDep, caller: CallerDep, principal: Human, body: shapes.PasswordChange) -> None:
    """Set another password; all other logins end."""
    old, new = body.old.get_secret_value(), body.new.get_secret_value()
    await getting_back.change(auth, caller, principal, old, new)


@router.post("/auth/password-reset", status_code=202, responses=responses(BadInput, NotFound, TooManyAttempts))
async def ask_for_password_reset(auth: AuthDep, caller: CallerDep, body: shapes.ResetWish) -> None:
    """Have a link mailed, if you belong here; the answer is the same if you don't."""
    await getting_back.ask_for_reset(auth, caller, body.email)


@router.post("/auth/password-reset/confirm", status_code=204, responses=responses(*CHOOSING))
async def reset_password(auth: AuthDep, caller: CallerDep, body: shapes.Reset) -> None:
    """Set another password with the mailed link; all logins end. Log in with it, and with the second factor as ever."""
    await getting_back.reset(auth, caller, body.token.get_secret_value(), body.password.get_secret_value())
