"""The way in: e-mail address and password, then a code or a passkey; or a passkey alone, which is two factors in one.

No transaction stays open while a slow hash is computed, and what counts tries commits before the secret is looked at.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from codetect_shared.problems import Unauthenticated
from sqlalchemy import func, select

from codetect_auth import passkeys, revocations, steps, throttle
from codetect_auth import second_factor as factors
from codetect_auth.context import Auth, Caller
from codetect_auth.models import Facility, Person, Purpose, Session, Status
from codetect_auth.passkeys import Ceremony, PasskeyRefused
from codetect_auth.people import email_key
from codetect_auth.second_factor import CodeMethod, Method
from codetect_auth.sessions import Tokens
from codetect_auth.steps import StepExpired

ADDRESS_KNOWN_FOR = timedelta(days=30)


class LoginRefused(Unauthenticated):
    """The e-mail address or the password is wrong."""


@dataclass(frozen=True)
class SecondStep:
    """What follows the password."""

    mfa_token: str | None = None
    methods: list[Method] | None = None
    enrolment_token: str | None = None


async def begin(auth: Auth, caller: Caller, email: str, password: str) -> SecondStep:
    """Check the password; known and unknown people, of this facility or another, get one answer in the same time."""
    facility, key = caller.active_facility(), email_key(email)
    person, address_known = await _look_up(auth, facility, key, caller.address)
    account = throttle.account_key(str(facility and facility.id), key, caller.address if address_known else None)
    tries = {account: throttle.ACCOUNT}
    if not address_known:
        tries[throttle.address_key(caller.address)] = throttle.ADDRESS
    async with auth.db.system() as session:
        for name, policy in tries.items():
            await throttle.take(session, name, policy)
    right = await auth.passwords.verify(person.password_hash if person else None, password)
    if not right or not person or person.status != Status.ACTIVE:
        raise LoginRefused
    async with auth.db.system() as session:
        await throttle.give_back(session, *tries)
    async with auth.db.facility(person.facility_id) as session:
        methods = await factors.methods_of(session, person.id)
        if await factors.count(session, person.id):
            return SecondStep(mfa_token=steps.start(session, person, Purpose.MFA), methods=methods)
        return SecondStep(enrolment_token=steps.start(session, person, Purpose.ENROL))


async def finish(auth: Auth, caller: Caller, mfa_token: str, method: CodeMethod, code: str) -> Tokens:
    """Check the second factor and open the login."""
    facility = caller.active_facility()
    step = await steps.attempt(auth, facility, mfa_token, Purpose.MFA)
    assert facility
    proof = await factors.prepare(auth, step.facility_id, step.person_id, method, code)
    async with auth.db.facility(step.facility_id) as session:
        person = await steps.spend(session, step)
        await factors.use(session, auth.settings.master_key, person.id, proof)
        return await steps.enter(auth, session, facility, person, caller, method)


async def ask_for_passkey(auth: Auth, caller: Caller, mfa_token: str | None) -> dict[str, Any]:
    """Options for navigator.credentials.get(): the second step of a login, or all of one in a single step."""
    facility = caller.active_facility()
    if facility is None:
        raise StepExpired
    site = passkeys.site_of(caller, facility)
    async with auth.db.facility(facility.id) as session:
        if mfa_token is None:
            return await passkeys.ask_for_known(session, site, facility.id, Ceremony.LOGIN)
        step = await steps.find(session, mfa_token, Purpose.MFA)
        return await passkeys.ask_for_known(session, site, facility.id, Ceremony.LOGIN, step.id, step.person_id)


async def finish_with_passkey(auth: Auth, caller: Caller, mfa_token: str, credential: dict[str, Any]) -> Tokens:
    """Check the passkey as the second step of a login, and open it."""
    facility = caller.active_facility()
    step = await steps.attempt(auth, facility, mfa_token, Purpose.MFA)
    assert facility
    challenge = await passkeys.take(auth, facility.id, Ceremony.LOGIN, step.id, credential)
    async with auth.db.facility(facility.id) as session:
        person = await steps.spend(session, step)
        await passkeys.use(session, passkeys.site_of(caller, facility), challenge, person.id, credential)
        return await steps.enter(auth, session, facility, person, caller, "passkey")


async def log_in_with_passkey(auth: Auth, caller: Caller, credential: dict[str, Any]) -> Tokens:
    """Log in without a password: the device, and what unlocks it (user verification), are the two factors."""
    facility = caller.active_facility()
    if facility is None or not credential["response"].get("userHandle"):
        raise PasskeyRefused
    address = throttle.address_key(caller.address)
    async with auth.db.system() as session:
        await throttle.take(session, address, throttle.ADDRESS)
    challenge = await passkeys.take(auth, facility.id, Ceremony.LOGIN, None, credential)
    async with auth.db.facility(facility.id) as session:
        allowed = await revocations.hold_facility(session, facility.id)
        owner = (await passkeys.find(session, credential)).person_id
        person = await session.get_one(Person, owner, with_for_update=True)
        await passkeys.use(session, passkeys.site_of(caller, facility), challenge, person.id, credential)
        if not allowed or person.status != Status.ACTIVE:
            raise PasskeyRefused
        await throttle.give_back(session, address)
        return await steps.enter(auth, session, facility, person, caller, "passkey")


async def _look_up(auth: Auth, facility: Facility | None, key: str, address: str) -> tuple[Person | None, bool]:
    """The person, and whether they logged in from this address lately."""
    if facility is None:
        return None, False
    async with auth.db.facility(facility.id) as session:
        person = (await session.scalars(select(Person).where(Person.email_key == key))).one_or_none()
        lately = Session.created_at > func.now() - ADDRESS_KNOWN_FOR
        logins = select(Session.id).where(
            Session.person_id == (person and person.id), Session.address == address, lately
        )
        return person, await session.scalar(logins.limit(1)) is not None
