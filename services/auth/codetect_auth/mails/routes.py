"""What people choose about mail, and what admins see of it."""

from typing import Annotated
from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import BadInput, Forbidden, NotFound, Unauthenticated, responses
from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select

from codetect_auth.context import AuthDep, CallerDep
from codetect_auth.mails import choosing, undeliverable
from codetect_auth.mails.rows import Choice
from codetect_auth.mails.wording import LANGUAGES
from codetect_auth.models import Mail, MailState
from codetect_auth.routing import REFUSALS, Admin, Cursor, Human, Limit, page
from codetect_auth.schemas import Page

Token = Annotated[str, Path(max_length=100)]
router = APIRouter(prefix="/api/v1", tags=["mail"])

# Link scanners open every link: only the button, or the mail program's own, switches anything off.
PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>CoDetect</title><h1>Mails about analyses</h1>{}</html>"""
ASK = '<p>Stop all mails about analyses?</p><form method="post"><button>Stop them</button></form>'
ITS_BUTTON = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
DONE = "<p>You get no more mails about analyses. Log in to choose otherwise.</p>"


class MailPreferences(BaseModel):
    """Which mails of analyses I get, and the language of all mails to me; none: the house's own."""

    model_config = ConfigDict(extra="forbid")
    analyses: Choice = Field(
        description="urgent: failures, and results of studies sent as urgent; all: failures and all results."
    )
    language: str | None = Field(None, pattern=f"^({'|'.join(LANGUAGES)})$")


class MailOut(BaseModel):
    """A mail that was asked for; whom it goes to and what it says is not kept."""

    model_config = ConfigDict(from_attributes=True)
    id: UUID
    kind: str
    state: MailState
    error: str | None = Field(description="Why it failed, or why it still waits.")
    created_at: AwareDatetime
    sent_at: AwareDatetime | None


class UndeliverableAddress(BaseModel):
    """An address that gets no more mail, since it has no mailbox."""

    model_config = ConfigDict(from_attributes=True)
    id: UUID
    address: str
    reason: str
    created_at: AwareDatetime


@router.get("/auth/mail-preferences", responses=responses(Unauthenticated, Forbidden))
async def get_mail_preferences(session: SessionDep, who: Human) -> MailPreferences:
    """Which mails of analyses I get. Mails about the security of my account always come."""
    choice, language = await choosing.chosen(session, UUID(who.subject))
    return MailPreferences(analyses=choice, language=language)


@router.put("/auth/mail-preferences", responses=responses(*REFUSALS))
async def put_mail_preferences(session: SessionDep, who: Human, body: MailPreferences) -> MailPreferences:
    """Choose which mails of analyses I get, and in which language all mails come."""
    await choosing.choose(session, who.facility_id, UUID(who.subject), body.analyses, language=body.language)
    return body


@router.get("/auth/mail-preferences/unsubscribe/{token}", include_in_schema=False)
async def show_unsubscribe(token: Token) -> HTMLResponse:
    """For people whose mail program shows the link."""
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Security-Policy": ITS_BUTTON}
    return HTMLResponse(PAGE.format(ASK), headers=headers)


@router.post("/auth/mail-preferences/unsubscribe/{token}", responses=responses(choosing.LinkRefused, BadInput))
async def unsubscribe(auth: AuthDep, caller: CallerDep, token: Token) -> HTMLResponse:
    """No more mails of analyses to whom the token in a mail's List-Unsubscribe names; no login (RFC 8058)."""
    facility = caller.facility
    if facility is None:
        raise choosing.LinkRefused
    async with auth.db.facility(facility.id) as session:
        await choosing.unsubscribe(session, auth.settings.master_key, facility, token)
    return HTMLResponse(PAGE.format(DONE), headers={"Cache-Control": "no-store"})


@router.get("/mails", responses=responses(*REFUSALS))
async def list_mails(
    session: SessionDep, _: Admin, state: MailState | None = None, cursor: Cursor = None, limit: Limit = 50
) -> Page[MailOut]:
    """The facility's mails, the newest first."""
    statement = select(Mail).order_by(Mail.id.desc()).limit(limit)
    if state:
        statement = statement.where(Mail.state == state)
    if cursor:
        statement = statement.where(Mail.id < cursor)
    rows = (await session.scalars(statement)).all()
    return page(MailOut, rows, limit)


@router.get("/undeliverable-addresses", responses=responses(*REFUSALS))
async def list_undeliverable_addresses(
    session: SessionDep, _: Admin, cursor: Cursor = None, limit: Limit = 50
) -> Page[UndeliverableAddress]:
    """Addresses that get no more of the facility's mails, since one came back for good."""
    return page(UndeliverableAddress, await undeliverable.list_addresses(session, cursor, limit), limit)


@router.delete("/undeliverable-addresses/{address_id}", status_code=204, responses=responses(*REFUSALS, NotFound))
async def clear_undeliverable_address(session: SessionDep, _: Admin, address_id: UUID) -> None:
    """There is a mailbox again: send to it."""
    await undeliverable.clear(session, address_id)
