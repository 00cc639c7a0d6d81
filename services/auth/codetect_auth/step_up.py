"""Step-up: a person who is logged in proves once more that it is them, before what is dangerous (docs/adr/0046)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from codetect_shared.problems import Forbidden, Unauthenticated
from codetect_shared.tokens import Principal
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import passkeys, revocations, sessions, throttle
from codetect_auth import second_factor as factors
from codetect_auth.context import Auth, Caller
from codetect_auth.models import Facility, Person, Session, Status
from codetect_auth.passkeys import Ceremony, PasskeyRefused
from codetect_auth.second_factor import CodeMethod, CodeRefused


class ProofRefused(Forbidden):
    """This code or passkey is not right, or was used before."""


@contextmanager
def proof() -> Iterator[None]:
    """Who is logged in gets 403, not 401, for a wrong code: the access token is good."""
    try:
        yield
    except (CodeRefused, PasskeyRefused):
        raise ProofRefused from None


async def ask(auth: Auth, caller: Caller, who: Principal) -> dict[str, Any]:
    """Options for navigator.credentials.get(), for a passkey of the person."""
    async with auth.db.facility(who.facility_id) as session:
        facility = await session.get_one(Facility, who.facility_id)
        site, person = passkeys.site_of(caller, facility), UUID(who.subject)
        return await passkeys.ask_for_known(session, site, facility.id, Ceremony.STEP_UP, who.session_id, person)


async def with_code(auth: Auth, who: Principal, method: CodeMethod, code: str) -> str:
    """A code; gives an access token that says so, as those do that follow from the login's refreshes."""
    person_id = UUID(who.subject)
    async with auth.db.system() as session:
        await throttle.take(session, throttle.factor_key(person_id), throttle.ACCOUNT)
    typed = await factors.prepare(auth, who.facility_id, person_id, method, code)
    async with auth.db.facility(who.facility_id) as session:
        person, login = await _hold(session, who)
        with proof():
            await factors.use(session, auth.settings.master_key, person_id, typed)
        return await _renew(auth, session, person, login)


async def with_passkey(auth: Auth, caller: Caller, who: Principal, credential: dict[str, Any]) -> str:
    """The same with a passkey."""
    with proof():
        challenge = await passkeys.take(auth, who.facility_id, Ceremony.STEP_UP, who.session_id, credential)
    async with auth.db.facility(who.facility_id) as session:
        person, login = await _hold(session, who)
        site = passkeys.site_of(caller, await session.get_one(Facility, who.facility_id))
        with proof():
            await passkeys.use(session, site, challenge, person.id, credential)
        return await _renew(auth, session, person, login)


async def _hold(session: AsyncSession, who: Principal) -> tuple[Person, Session]:
    """The person and the login behind an access token, locked, while both are good."""
    allowed = await revocations.hold_facility(session, who.facility_id)
    person = await session.get_one(Person, UUID(who.subject), with_for_update=True)
    mine = Session.id == who.session_id, Session.person_id == person.id, *sessions.OPEN
    login = (await session.scalars(select(Session).where(*mine).with_for_update())).one_or_none()
    if not allowed or person.status != Status.ACTIVE or login is None:
        raise Unauthenticated
    return person, login


async def _renew(auth: Auth, session: AsyncSession, person: Person, login: Session) -> str:
    await throttle.clear(session, throttle.factor_key(person.id))
    login.proven_at = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    facility = await session.get_one(Facility, person.facility_id)
    return await sessions.access_token(auth, session, facility, person, login)
