"""The first login: no way in without a second factor. An authenticator app or a passkey, and recovery codes with it."""

import io
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pyotp
import segno
from codetect_shared.events import FactorAdded
from codetect_shared.sealing import seal, unseal
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import passkeys, steps
from codetect_auth import second_factor as factors
from codetect_auth.access import links
from codetect_auth.access import steps as access_steps
from codetect_auth.context import Auth, Caller
from codetect_auth.mails import factors as mails
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import Facility, FactorRow, LoginChallenge, Person, Purpose
from codetect_auth.passkeys import Ceremony
from codetect_auth.recording import record
from codetect_auth.sessions import Tokens
from codetect_auth.steps import StepExpired

Enrolled = tuple[list[str], Tokens]


@dataclass(frozen=True)
class Enrolment:
    """An authenticator to set up: the secret, the URI that apps read, and its picture."""

    secret: str
    otpauth_uri: str
    qr_svg: str


def new_secret(auth: Auth, person_id: UUID) -> bytes:
    """A TOTP secret as it waits for its first code."""
    return seal(auth.settings.master_key, pyotp.random_base32().encode(), factors.totp_owner(person_id))


def secret_of(auth: Auth, step: LoginChallenge) -> str:
    """The secret that waits in a step."""
    if step.sealed_secret is None:
        raise StepExpired("Ask for the secret first.")
    return unsealed(auth, step.sealed_secret, step.person_id)


def unsealed(auth: Auth, sealed: bytes, person_id: UUID) -> str:
    """What `new_secret` has made, as apps read it."""
    return unseal(auth.settings.master_key, sealed, factors.totp_owner(person_id)).decode()


def picture(secret: str, person: Person, facility: Facility) -> Enrolment:
    """A secret as people put it into an app."""
    uri = pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name=f"CoDetect {facility.name}")
    return Enrolment(secret, uri, _drawn(uri))


async def enrol_totp(auth: Auth, caller: Caller, enrolment_token: str) -> Enrolment:
    """The secret to put into an authenticator; asked again, the same one."""
    facility = caller.active_facility()
    if facility is None:
        raise StepExpired
    async with auth.db.facility(facility.id) as session:
        step = await steps.find(session, enrolment_token, Purpose.ENROL)
        step.sealed_secret = step.sealed_secret or new_secret(auth, step.person_id)
        person = await session.get_one(Person, step.person_id)
        return picture(secret_of(auth, step), person, facility)


async def confirm_totp(auth: Auth, caller: Caller, enrolment_token: str, code: str) -> Enrolled:
    """Accept a first code of the new authenticator; gives recovery codes, and opens the login."""
    facility = caller.active_facility()
    step = await steps.attempt(auth, facility, enrolment_token, Purpose.ENROL)
    assert facility
    secret = secret_of(auth, step)
    first = factors.totp_step(secret, code)
    batch = await factors.make_recovery_codes(auth.passwords)
    async with auth.db.facility(facility.id) as session:
        person = await steps.spend(session, step)
        if await factors.count(session, person.id):
            raise StepExpired
        factor = factors.add_totp(session, auth.settings.master_key, person, secret, first)
        await factors.replace_recovery_codes(session, person, batch)
        await record(session, None, "factor.add", person, FactorAdded(person_id=person.id, kind="totp"))
        await _mail(auth, session, facility, person, factor)
        return batch.codes, await steps.enter(auth, session, facility, person, caller, "totp")


async def enrol_passkey(auth: Auth, caller: Caller, enrolment_token: str) -> dict[str, Any]:
    """Options for navigator.credentials.create()."""
    facility = caller.active_facility()
    if facility is None:
        raise StepExpired
    async with auth.db.facility(facility.id) as session:
        step = await steps.find(session, enrolment_token, Purpose.ENROL)
        person = await session.get_one(Person, step.person_id)
        site = passkeys.site_of(caller, facility)
        return await passkeys.ask_for_new(session, site, person, Ceremony.ENROL, step.id)


async def confirm_passkey(
    auth: Auth, caller: Caller, enrolment_token: str, credential: dict[str, Any], name: str
) -> Enrolled:
    """Accept the new passkey; gives recovery codes, and opens the login."""
    facility = caller.active_facility()
    step = await steps.attempt(auth, facility, enrolment_token, Purpose.ENROL)
    assert facility
    challenge = await passkeys.take(auth, facility.id, Ceremony.ENROL, step.id, credential)
    batch = await factors.make_recovery_codes(auth.passwords)
    async with auth.db.facility(facility.id) as session:
        person = await steps.spend(session, step)
        if await factors.count(session, person.id):
            raise StepExpired
        site = passkeys.site_of(caller, facility)
        passkey = await passkeys.add(session, site, challenge, person, credential, name)
        await factors.replace_recovery_codes(session, person, batch)
        await record(session, None, "factor.add", person, FactorAdded(person_id=person.id, kind="passkey"))
        await _mail(auth, session, facility, person, passkey)
        return batch.codes, await steps.enter(auth, session, facility, person, caller, "passkey")


async def _mail(auth: Auth, session: AsyncSession, facility: Facility, person: Person, factor: FactorRow) -> None:
    """Who is in for the first time is welcomed; a first factor after a reset is news, as every later one is."""
    key = auth.settings.master_key
    if await access_steps.was_taken(session, person.id, access_steps.FACTORS_RESET):
        await mails.changed(session, key, person, "added", factor.name, factor.id)
        return
    url = links.link(auth, facility, "")
    await ask(session, key, facility.id, Kind.WELCOME, person.email, f"welcome/{person.id}", url=url)


def _drawn(uri: str) -> str:
    """A QR code as SVG that stands by itself, as an image must: with its namespace, and light whatever lies below."""
    picture = io.BytesIO()
    segno.make(uri, error="m").save(picture, kind="svg", scale=4, border=4, light="#fff", xmldecl=False, nl=False)
    return picture.getvalue().decode()
