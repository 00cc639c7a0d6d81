"""Steps: what stands between two requests of a login or of setting up a factor, and the login's end.

A step's token works once. Its tries are counted, per step and per person, before a code is looked at.
"""

from datetime import timedelta

from codetect_shared.events import PersonAuthenticated
from codetect_shared.outbox import tell
from codetect_shared.problems import Unauthenticated
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import revocations, throttle
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.models import Facility, LoginChallenge, Person, Purpose, Status
from codetect_auth.sessions import Tokens, open_session

LIFETIME = {
    Purpose.MFA: timedelta(minutes=5),
    Purpose.ENROL: timedelta(minutes=30),
    Purpose.ADD: timedelta(minutes=30),
}
ATTEMPTS = 5


class StepExpired(Unauthenticated):
    """This step of the login has run out or was used; start again with the password."""


def start(session: AsyncSession, person: Person, purpose: Purpose, sealed_secret: bytes | None = None) -> str:
    """A new step; its token is kept nowhere."""
    token = opaque_token()
    session.add(
        LoginChallenge(
            facility_id=person.facility_id,
            person_id=person.id,
            purpose=purpose,
            token_hash=token_hash(token),
            sealed_secret=sealed_secret,
            expires_at=func.clock_timestamp() + LIFETIME[purpose],
        )
    )
    return token


async def find(session: AsyncSession, token: str, purpose: Purpose) -> LoginChallenge:
    """A step that may still be used, locked; no try is counted."""
    statement = select(LoginChallenge).where(*_usable(token, purpose)).with_for_update()
    step = (await session.scalars(statement)).one_or_none()
    if step is None:
        raise StepExpired
    return step


async def attempt(auth: Auth, facility: Facility | None, token: str, purpose: Purpose) -> LoginChallenge:
    """Count a try at a step, per token and per person, before its code is looked at."""
    if facility is None:
        raise StepExpired
    async with auth.db.facility(facility.id) as session:
        count = update(LoginChallenge).where(*_usable(token, purpose)).values(attempts=LoginChallenge.attempts + 1)
        step = (await session.scalars(count.returning(LoginChallenge))).one_or_none()
    if step is None:
        raise StepExpired
    async with auth.db.system() as session:
        await throttle.take(session, throttle.factor_key(step.person_id), throttle.ACCOUNT)
    return step


async def spend(session: AsyncSession, step: LoginChallenge) -> Person:
    """Use a step up in the transaction of what it was for; facility and person are locked with it."""
    allowed = await revocations.hold_facility(session, step.facility_id)
    person = await session.get_one(Person, step.person_id, with_for_update=True)
    unused = LoginChallenge.id == step.id, LoginChallenge.used_at.is_(None)
    use = update(LoginChallenge).where(*unused).values(used_at=func.clock_timestamp()).returning(LoginChallenge.id)
    if (await session.execute(use)).first() is None or not allowed or person.status != Status.ACTIVE:
        raise StepExpired
    return person


async def end_all(session: AsyncSession, person: Person) -> None:
    """Let no step of a person's go on."""
    unused = LoginChallenge.person_id == person.id, LoginChallenge.used_at.is_(None)
    await session.execute(update(LoginChallenge).where(*unused).values(used_at=func.clock_timestamp()))


async def enter(
    auth: Auth, session: AsyncSession, facility: Facility, person: Person, caller: Caller, method: str
) -> Tokens:
    """Open the login of a person whose row is locked and whose two factors have been checked in this transaction."""
    keys = [throttle.account_key(str(facility.id), person.email_key, known) for known in (None, caller.address)]
    await throttle.clear(session, throttle.factor_key(person.id), *keys)
    await tell(session, person, PersonAuthenticated(person_id=person.id, method=method))
    return await open_session(auth, session, facility, person, caller)


def _usable(token: str, purpose: Purpose) -> tuple[ColumnElement[bool], ...]:
    return (
        LoginChallenge.token_hash == token_hash(token),
        LoginChallenge.purpose == purpose,
        LoginChallenge.used_at.is_(None),
        LoginChallenge.attempts < ATTEMPTS,
        LoginChallenge.expires_at > func.clock_timestamp(),
    )
