"""The way in: e-mail address and password, then a code, or a second factor set up at the first login.

No transaction stays open while a slow hash is computed, and what counts tries commits before the secret is looked at.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import pyotp
import segno
from codetect_shared.events import PersonAuthenticated
from codetect_shared.outbox import tell
from codetect_shared.problems import Unauthenticated
from codetect_shared.sealing import seal, unseal
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import second_factor as factors
from codetect_auth import throttle
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.models import Facility, LoginChallenge, Person, Purpose, Session, Status, TotpFactor
from codetect_auth.people import email_key
from codetect_auth.sessions import Tokens, open_session

Method = Literal["totp", "recovery_code"]
METHODS: list[Method] = ["totp", "recovery_code"]
LIFETIME = {Purpose.MFA: timedelta(minutes=5), Purpose.ENROL: timedelta(minutes=30)}
ATTEMPTS = 5
ADDRESS_KNOWN_FOR = timedelta(days=30)


class LoginRefused(Unauthenticated):
    """The e-mail address or the password is wrong."""


class StepExpired(Unauthenticated):
    """This step of the login has run out or was used; start again with the password."""


@dataclass(frozen=True)
class SecondStep:
    """What follows the password."""

    mfa_token: str | None = None
    methods: list[Method] | None = None
    enrolment_token: str | None = None


@dataclass(frozen=True)
class Enrolment:
    """An authenticator to set up: the secret, the URI that apps read, and its picture."""

    secret: str
    otpauth_uri: str
    qr_svg: str


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
        if await _has_factor(session, person):
            return SecondStep(mfa_token=_challenge(session, person, Purpose.MFA), methods=METHODS)
        return SecondStep(enrolment_token=_challenge(session, person, Purpose.ENROL))


async def finish(auth: Auth, caller: Caller, mfa_token: str, method: Method, code: str) -> Tokens:
    """Check the second factor and open the login."""
    facility, challenge = await _attempt(auth, caller, mfa_token, Purpose.MFA)
    code_hash = b""
    if method == "recovery_code":
        async with auth.db.facility(facility.id) as session:
            salt = await factors.recovery_salt(session, challenge.person_id)
        code_hash = await factors.hash_recovery_code(auth.passwords, code, salt)
    async with auth.db.facility(facility.id) as session:
        person = await _spend(session, challenge)
        if method == "totp":
            await factors.use_totp(session, auth.settings.master_key, person.id, code)
        else:
            await factors.use_recovery_code(session, person.id, code_hash)
        return await _enter(auth, session, facility, person, caller, method)


async def enrol_totp(auth: Auth, caller: Caller, enrolment_token: str) -> Enrolment:
    """The secret to put into an authenticator; asked again, the same one."""
    facility = caller.active_facility()
    if facility is None:
        raise StepExpired
    async with auth.db.facility(facility.id) as session:
        statement = select(LoginChallenge).where(*_usable(enrolment_token, Purpose.ENROL)).with_for_update()
        challenge = (await session.scalars(statement)).one_or_none()
        if challenge is None:
            raise StepExpired
        if challenge.sealed_secret is None:
            owner = factors.totp_owner(challenge.person_id)
            challenge.sealed_secret = seal(auth.settings.master_key, pyotp.random_base32().encode(), owner)
        person = await session.get_one(Person, challenge.person_id)
        secret = _secret(auth, challenge)
    uri = pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name=f"CoDetect {facility.name}")
    return Enrolment(secret, uri, segno.make(uri, error="m").svg_inline(scale=4, border=4))


async def confirm_totp(auth: Auth, caller: Caller, enrolment_token: str, code: str) -> tuple[list[str], Tokens]:
    """Accept a first code of the new authenticator; gives recovery codes, and opens the login."""
    facility, challenge = await _attempt(auth, caller, enrolment_token, Purpose.ENROL)
    if challenge.sealed_secret is None:
        raise StepExpired("Ask for the secret first.")
    secret = _secret(auth, challenge)
    step = factors.totp_step(secret, code)
    batch = await factors.make_recovery_codes(auth.passwords)
    async with auth.db.facility(facility.id) as session:
        person = await _spend(session, challenge)
        if await _has_factor(session, person):
            raise StepExpired
        factors.add_totp(session, auth.settings.master_key, person, secret, step)
        factors.add_recovery_codes(session, person, batch)
        return batch.codes, await _enter(auth, session, facility, person, caller, "totp")


def begin_enrolment(session: AsyncSession, person: Person) -> str:
    """For somebody who has just come in: what a first factor is set up with."""
    return _challenge(session, person, Purpose.ENROL)


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


async def _has_factor(session: AsyncSession, person: Person) -> bool:
    return await session.scalar(select(TotpFactor.id).where(TotpFactor.person_id == person.id).limit(1)) is not None


def _challenge(session: AsyncSession, person: Person, purpose: Purpose) -> str:
    token = opaque_token()
    session.add(
        LoginChallenge(
            facility_id=person.facility_id,
            person_id=person.id,
            purpose=purpose,
            token_hash=token_hash(token),
            expires_at=func.clock_timestamp() + LIFETIME[purpose],
        )
    )
    return token


def _usable(token: str, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
    return (
        LoginChallenge.token_hash == token_hash(token),
        LoginChallenge.purpose == purpose,
        LoginChallenge.used_at.is_(None),
        LoginChallenge.attempts < ATTEMPTS,
        LoginChallenge.expires_at > func.clock_timestamp(),
    )


async def _attempt(auth: Auth, caller: Caller, token: str, purpose: Purpose) -> tuple[Facility, LoginChallenge]:
    """Count a try at the second step, per token and per person, before its code is looked at."""
    facility = caller.active_facility()
    if facility is None:
        raise StepExpired
    async with auth.db.facility(facility.id) as session:
        count = update(LoginChallenge).where(*_usable(token, purpose)).values(attempts=LoginChallenge.attempts + 1)
        challenge = (await session.scalars(count.returning(LoginChallenge))).one_or_none()
    if challenge is None:
        raise StepExpired
    async with auth.db.system() as session:
        await throttle.take(session, throttle.factor_key(challenge.person_id), throttle.ACCOUNT)
    return facility, challenge


async def _spend(session: AsyncSession, challenge: LoginChallenge) -> Person:
    """Use up the second step in the transaction that opens the login; the person's row is locked with it."""
    unused = LoginChallenge.id == challenge.id, LoginChallenge.used_at.is_(None)
    spend = update(LoginChallenge).where(*unused).values(used_at=func.clock_timestamp()).returning(LoginChallenge.id)
    if (await session.execute(spend)).first() is None:
        raise StepExpired
    person = await session.get_one(Person, challenge.person_id, with_for_update=True)
    if person.status != Status.ACTIVE:
        raise StepExpired
    return person


async def _enter(
    auth: Auth, session: AsyncSession, facility: Facility, person: Person, caller: Caller, method: Method
) -> Tokens:
    keys = [throttle.account_key(str(facility.id), person.email_key, known) for known in (None, caller.address)]
    await throttle.clear(session, throttle.factor_key(person.id), *keys)
    await tell(session, person, PersonAuthenticated(person_id=person.id, method=method))
    return await open_session(auth, session, facility, person, caller)


def _secret(auth: Auth, challenge: LoginChallenge) -> str:
    assert challenge.sealed_secret is not None
    owner = factors.totp_owner(challenge.person_id)
    return unseal(auth.settings.master_key, challenge.sealed_secret, owner).decode()
