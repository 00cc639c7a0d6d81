"""Passkeys (WebAuthn Level 3): what browsers are asked, and what they answer. User verification is always required.

Passkeys belong to the facility's own host name. A question is 64 random bytes in Postgres that the answer carries
signed: taking its row is what makes it single-use, whether or not the answer is right. No attestation is asked for:
which make of authenticator people have is theirs to choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
import webauthn
from codetect_shared.problems import Unauthenticated
from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from webauthn.helpers import base64url_to_bytes, generate_challenge, options_to_json_dict, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from codetect_auth.context import Auth, Caller
from codetect_auth.models import Facility, Passkey, PasskeyChallenge, Person

LASTS = timedelta(minutes=5)
TRANSPORTS = {transport.value for transport in AuthenticatorTransport}

log = structlog.get_logger()


class PasskeyRefused(Unauthenticated):
    """This passkey is not right here, or the question it answers has run out or was answered before; ask again."""


class Ceremony(StrEnum):
    """What a question is asked for; its answer is good for nothing else."""

    ENROL = "enrol"
    ADD = "add"
    LOGIN = "login"
    STEP_UP = "step_up"


@dataclass(frozen=True)
class Site:
    """The facility as browsers know it: its host name, and the pages that may ask."""

    rp_id: str
    name: str
    origins: list[str]


def site_of(caller: Caller, facility: Facility) -> Site:
    """A facility's own host; plain http is trusted on the machine itself alone, as browsers do."""
    rp_id = caller.host.rsplit(":", 1)[0]
    schemes = ["https", "http"] if rp_id.endswith(".localhost") else ["https"]
    return Site(rp_id, f"CoDetect {facility.name}", [f"{scheme}://{caller.host}" for scheme in schemes])


async def of_person(session: AsyncSession, person_id: UUID) -> Sequence[Passkey]:
    """A person's passkeys, the oldest first."""
    return (await session.scalars(select(Passkey).where(Passkey.person_id == person_id).order_by(Passkey.id))).all()


async def ask_for_new(
    session: AsyncSession, site: Site, person: Person, ceremony: Ceremony, bound_to: UUID
) -> dict[str, Any]:
    """PublicKeyCredentialCreationOptions as JSON: a new passkey for a person, other than those there are."""
    challenge = await _ask(session, person.facility_id, ceremony, bound_to)
    options = webauthn.generate_registration_options(
        rp_id=site.rp_id,
        rp_name=site.name,
        user_id=person.id.bytes,
        user_name=person.email,
        user_display_name=person.name,
        challenge=challenge,
        timeout=_milliseconds(),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=_descriptors(await of_person(session, person.id)),
    )
    return options_to_json_dict(options)


async def ask_for_known(
    session: AsyncSession,
    site: Site,
    facility_id: UUID,
    ceremony: Ceremony,
    bound_to: UUID | None = None,
    person_id: UUID | None = None,
) -> dict[str, Any]:
    """PublicKeyCredentialRequestOptions as JSON: one of a person's passkeys, or whichever is kept for this host."""
    challenge = await _ask(session, facility_id, ceremony, bound_to)
    options = webauthn.generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        timeout=_milliseconds(),
        allow_credentials=_descriptors(await of_person(session, person_id)) if person_id else None,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json_dict(options)


async def take(
    auth: Auth, facility_id: UUID, ceremony: Ceremony, bound_to: UUID | None, credential: dict[str, Any]
) -> bytes:
    """The question that an answer names, which is gone with this; in a transaction that ends before it is checked."""
    try:
        client_data = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    except Exception:  # whatever bytes a stranger sends
        raise PasskeyRefused from None
    this = (
        PasskeyChallenge.challenge == client_data.challenge,
        PasskeyChallenge.purpose == ceremony,
        PasskeyChallenge.bound_to == bound_to if bound_to else PasskeyChallenge.bound_to.is_(None),
        PasskeyChallenge.expires_at > func.clock_timestamp(),
    )
    async with auth.db.facility(facility_id) as session:
        taken = await session.execute(delete(PasskeyChallenge).where(*this).returning(PasskeyChallenge.id))
        if taken.first() is None or client_data.cross_origin:
            raise PasskeyRefused
    return client_data.challenge


async def add(
    session: AsyncSession, site: Site, challenge: bytes, person: Person, credential: dict[str, Any], name: str
) -> Passkey:
    """Keep the passkey that a browser has made for a person; raises PasskeyRefused."""
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origins,
            require_user_verification=True,
        )
    except Exception as error:  # whatever bytes a stranger sends
        log.info("passkey.refused", why=type(error).__name__)
        raise PasskeyRefused from None
    transports = credential["response"].get("transports") or []
    passkey = Passkey(
        facility_id=person.facility_id,
        person_id=person.id,
        name=name,
        credential_id=made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        transports=sorted(TRANSPORTS.intersection(transports)),
    )
    session.add(passkey)
    try:
        await session.flush()
    except IntegrityError:  # somebody of the facility has it already
        raise PasskeyRefused from None
    return passkey


async def find(session: AsyncSession, credential: dict[str, Any]) -> Passkey:
    """The passkey that an answer says it comes from; raises PasskeyRefused."""
    try:
        credential_id = base64url_to_bytes(credential["rawId"])
    except ValueError:
        raise PasskeyRefused from None
    passkey = (await session.scalars(select(Passkey).where(Passkey.credential_id == credential_id))).one_or_none()
    if passkey is None:
        raise PasskeyRefused
    return passkey


async def use(session: AsyncSession, site: Site, challenge: bytes, person_id: UUID, credential: dict[str, Any]) -> None:
    """Check a person's answer. A counter that doesn't grow means that somebody has a copy: PasskeyRefused as well."""
    passkey = await find(session, credential)
    handle = credential["response"].get("userHandle")
    try:
        if passkey.person_id != person_id or (handle and base64url_to_bytes(handle) != person_id.bytes):
            raise PasskeyRefused
        answer = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origins,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # the row is asked below, so that of two answers at once one counts
            require_user_verification=True,
        )
    except PasskeyRefused:
        raise
    except Exception as error:  # whatever bytes a stranger sends
        log.info("passkey.refused", why=type(error).__name__)
        raise PasskeyRefused from None
    count = answer.new_sign_count
    grown = Passkey.sign_count < count if count else Passkey.sign_count == 0  # many authenticators never count
    used = {"sign_count": count, "used_at": func.clock_timestamp()}
    if (
        await session.execute(update(Passkey).where(Passkey.id == passkey.id, grown).values(used).returning(Passkey.id))
    ).first() is None:
        log.warning("passkey.counter_went_back", passkey_id=str(passkey.id))
        raise PasskeyRefused


async def sweep(session: AsyncSession) -> None:
    """Forget questions that nobody answered."""
    await session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.expires_at < func.clock_timestamp()))


async def _ask(session: AsyncSession, facility_id: UUID, ceremony: Ceremony, bound_to: UUID | None) -> bytes:
    challenge = generate_challenge()
    session.add(
        PasskeyChallenge(
            facility_id=facility_id,
            challenge=challenge,
            purpose=ceremony,
            bound_to=bound_to,
            expires_at=func.clock_timestamp() + LASTS,
        )
    )
    return challenge


def _descriptors(known: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=key.credential_id, transports=[AuthenticatorTransport(t) for t in key.transports]
        )
        for key in known
    ]


def _milliseconds() -> int:
    return int(LASTS.total_seconds() * 1000)
