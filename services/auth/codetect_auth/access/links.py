"""Links that are mailed: a token in the URL's fragment, which browsers send to nobody, so that no log has it.

Only a token's hash is kept; it works once and until its time is up, and whoever tries tokens is slowed down.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from codetect_shared.db import one_at_a_time
from codetect_shared.problems import BadInput, NotFound, Problem
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import throttle
from codetect_auth.context import Auth, Caller
from codetect_auth.models import Facility
from codetect_auth.people import email_key, mailbox

CONFIRM_LASTS, INVITATION_LASTS, RESET_LASTS = timedelta(hours=24), timedelta(days=7), timedelta(hours=1)
DECISION_LASTS = timedelta(days=30)
EVEN_S = 0.25
ASKING, WINDOW_S = throttle.Policy(free=50, first_s=10, longest_s=60), 600  # for a house behind one address
MAILBOX = throttle.Policy(free=3, first_s=120, longest_s=900)


class LinkGone(Problem):
    """This link was used, or has run out; ask for another one."""

    status = 410


class DomainNotAllowed(BadInput):
    """The facility doesn't take addresses of this mail domain."""


def link(auth: Auth, facility: Facility, path: str, token: str | None = None) -> str:
    """A page at the facility's own host."""
    return auth.settings.url(facility.slug, f"/{path}") + (f"#token={token}" if token else "")


def valid_address(facility: Facility, email: str) -> str:
    """An address as it is written to, of a mail domain that the facility takes. Raises BadInput, DomainNotAllowed."""
    address = mailbox(email)
    domains = facility.mail_domains
    if domains and not {address.domain.casefold(), address.ascii_domain.casefold()} & set(domains):
        raise DomainNotAllowed(f"Use an address that ends in {', '.join('@' + each for each in domains)}.")
    return address.normalized


def open_facility(caller: Caller) -> Facility:
    """The facility whose host was asked, while its people may work. Raises NotFound."""
    facility = caller.active_facility()
    if facility is None:
        raise NotFound("No facility has this host name.")
    return facility


async def may_write_to(auth: Auth, caller: Caller, facility: Facility, purpose: str, email: str) -> bool:
    """Whether a stranger's wish may make a mail: not too many to one mailbox, which shows to nobody.

    Too many wishes of one purpose from one address within `WINDOW_S` are refused aloud: TooManyAttempts.
    """
    window = int(time.time()) // WINDOW_S
    async with auth.db.system() as session:
        await throttle.take(session, f"asking:{purpose}:{throttle.address_key(caller.address)}:{window}", ASKING)
    name = f"{facility.id}\n{purpose}\n{email_key(email)}".encode("utf-8", "surrogatepass")
    try:
        async with auth.db.system() as session:
            await throttle.take(session, f"mailbox:{hashlib.sha256(name).hexdigest()}", MAILBOX)
    except throttle.TooManyAttempts:
        return False
    return True


@asynccontextmanager
async def trying(auth: Auth, caller: Caller) -> AsyncIterator[None]:
    """Around the use of a token: tries are counted by address before they are looked at.

    A good token's is taken back, whatever else was wrong: only LinkGone is a guess.
    """
    key = f"link:{throttle.address_key(caller.address)}"
    async with auth.db.system() as session:
        await throttle.take(session, key, throttle.ADDRESS)
    guessed = False
    try:
        yield
    except LinkGone:
        guessed = True
        raise
    finally:
        if not guessed:
            async with auth.db.system() as session:
                await throttle.give_back(session, key)


@asynccontextmanager
async def evenly() -> AsyncIterator[None]:
    """Around what must not tell by its time whom we know: it takes `EVEN_S` in any case."""
    until = time.monotonic() + EVEN_S
    try:
        yield
    finally:
        await asyncio.sleep(max(0.0, until - time.monotonic()))


async def hold(session: AsyncSession, facility_id: UUID, key: str) -> None:
    """Until this transaction ends, nothing else happens to who has this address in the facility."""
    await one_at_a_time(session, f"access/{facility_id}/{key}")
