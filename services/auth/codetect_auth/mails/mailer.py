"""Sends what was asked for: each mail once, but for one moment that nobody can know about (ADR 88)."""

import asyncio
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from codetect_shared import bus
from codetect_shared.db import Database
from codetect_shared.jobs import LeaseLost
from codetect_shared.sealing import unseal
from prometheus_client import Counter
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.mails import limits, undeliverable
from codetect_auth.mails.kinds import OF_ANALYSES, Kind
from codetect_auth.mails.message import AddressRefused, Parcel, write
from codetect_auth.mails.rows import MailPreference
from codetect_auth.mails.server import MailServerState
from codetect_auth.mails.signing import Signer
from codetect_auth.mails.smtp import Courier, Deferred, Refused, ServerAway, Unsure
from codetect_auth.mails.unsubscribing import unsubscribe_url
from codetect_auth.mails.wording import LANGUAGES, Place, word
from codetect_auth.models import MAILS, Facility, Mail, MailState, Person
from codetect_auth.people import email_key
from codetect_auth.settings import MailerSettings

log = structlog.get_logger()
MAILS_ENDED = Counter("codetect_mails_total", "Mails by kind and what became of them.", ["kind", "outcome"])
# Whoever handed a text over and lives says within a minute of the database's return what came of it.
KNOWN_AFTER_S = 60
PREFERENCES = "/settings/mail"


@dataclass(frozen=True)
class Letter:
    """A mail as it is to be written."""

    to: str
    facts: dict[str, str | int]
    facility: Facility
    person: Person | None
    language: str


class Mailer:
    """Works the jobs of `MAILS`."""

    def __init__(self, settings: MailerSettings, db: Database) -> None:
        self._settings, self._db = settings, db
        self._courier, self._signer = Courier(settings), Signer.of(settings)
        self._server = MailServerState(db, 4 * settings.smtp_timeout_s)
        self._recording: set[asyncio.Task[None]] = set()

    async def run(self, job: Mail) -> None:
        """Send one mail, or say why not and when again."""
        if wait := await self._server.wait_s():
            await self._postpone(job, wait)
            return
        async with self._db.facility(job.facility_id) as session:
            letter = await self._begin(session, job)
        if letter is None:
            return
        try:
            parcel = await asyncio.to_thread(self._write, job, letter)
        except AddressRefused as error:
            await self._fail(job, str(error))
            return
        try:
            await self._courier.hand_over(parcel, lambda: self._mark(job))
        except ServerAway as trouble:
            wait = await self._server.failed(str(trouble))
            log.warning("mail server away", reason=str(trouble), again_in_s=round(wait))
            await self._postpone(job, wait)
        except Unsure as trouble:
            wait = await self._server.failed(str(trouble))
            log.warning("mail server gave no answer", reason=str(trouble))
            await self._postpone(job, unsure_delay_s(job.handovers + 1), str(trouble))
        except Deferred as trouble:
            await self._server.answered()
            log.info("mail deferred", reason=str(trouble))
            await self._postpone(job, deferred_delay_s(job.attempts), str(trouble), spent=True)
        except Refused as trouble:
            await self._server.answered()
            await self._fail(job, str(trouble), no_mailbox=letter.to if trouble.no_mailbox else None)
        else:
            recording = asyncio.create_task(self._sent(job))
            self._recording.add(recording)
            recording.add_done_callback(self._recording.discard)
            await asyncio.shield(recording)
            await self._server.answered()

    async def close(self) -> None:
        """Say what is known, and take leave of the server."""
        if self._recording:
            await asyncio.wait(self._recording, timeout=5)
        await self._courier.close()

    async def _begin(self, session: AsyncSession, job: Mail) -> Letter | None:
        """What to write, with the try counted; None when it isn't to be tried now."""
        facility = await session.get_one(Facility, job.facility_id)
        await limits.turn(session, job)
        now = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        assert job.sealed_letter is not None
        opened: dict[str, Any] = json.loads(unseal(self._settings.master_key, job.sealed_letter, f"mail/{job.id}"))
        if now - job.created_at > timedelta(hours=self._settings.mail_give_up_hours):
            unsure = "Nobody knows whether it was sent: " if job.handovers else "It couldn't be sent in time: "
            await fail(session, job, unsure + (job.error or "too many others were before it."))
            return None
        if reason := await undeliverable.why(session, self._settings.master_key, opened["to"]):
            await fail(session, job, f"Mails to this address stopped: {reason}")
            return None
        if job.handed_over_at and (left := job.handed_over_at + timedelta(seconds=KNOWN_AFTER_S) - now) > timedelta(0):
            await MAILS.postpone(session, job, left.total_seconds(), spent=False)
            return None
        if wait := await limits.wait_s(session, self._settings, job, now):
            await MAILS.postpone(session, job, wait, spent=False)
            return None
        await session.execute(update(Mail).where(Mail.id == job.id).values(tried_at=now))
        mine = Person.facility_id == job.facility_id, Person.email_key == email_key(opened["to"])
        person = await session.scalar(select(Person).where(*mine))
        chosen = await session.get(MailPreference, person.id) if person else None
        language = chosen.language if chosen and chosen.language in LANGUAGES else self._settings.mail_language
        return Letter(opened["to"], opened["facts"], facility, person, language)

    def _write(self, job: Mail, letter: Letter) -> Parcel:
        kind, settings = Kind(job.kind), self._settings
        slug = letter.facility.slug
        place = Place(letter.facility.name, settings.url(slug, "/"), settings.url(slug, PREFERENCES))
        wording = word(kind, letter.facts, place, letter.language)
        headers = {}
        if kind in OF_ANALYSES and letter.person:
            url = settings.url(slug, unsubscribe_url(settings.master_key, letter.facility.id, letter.person.id))
            headers = {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        parcel = write(settings, job.id, job.created_at, letter.to, wording, headers)
        signed = self._signer.sign(parcel.content)
        return Parcel(parcel.id, parcel.sender, parcel.recipient, parcel.utf8, signed)

    async def _mark(self, job: Mail) -> None:
        """Committed before the text goes: from here on, no answer means that nobody knows."""
        held = Mail.id == job.id, Mail.fence == job.fence, Mail.available_at.is_not(None)
        handed = {"handed_over_at": func.clock_timestamp(), "handovers": Mail.handovers + 1}
        async with self._db.system() as session:
            if (await session.execute(update(Mail).where(*held).values(handed).returning(Mail.id))).first() is None:
                raise LeaseLost(str(job.id))

    async def _sent(self, job: Mail) -> None:
        """Say that it is sent, however long the database is away, and whoever holds the job by then."""
        done = {
            "state": MailState.SENT,
            "sent_at": func.clock_timestamp(),
            "sealed_letter": None,
            "error": None,
            "available_at": None,
            "lease_until": None,
            "fence": Mail.fence + 1,
        }
        sent = update(Mail).where(Mail.id == job.id, Mail.state == MailState.QUEUED).values(done)
        delay = 0.1
        while True:
            try:
                async with self._db.system() as session:
                    await session.execute(sent)
                MAILS_ENDED.labels(job.kind, MailState.SENT).inc()
                return
            except bus.TRANSIENT as error:
                log.warning("sent, but not recorded yet", error=repr(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2)

    async def _postpone(self, job: Mail, delay_s: float, error: str | None = None, *, spent: bool = False) -> None:
        async with self._db.facility(job.facility_id) as session:
            row = await MAILS.postpone(session, job, delay_s, spent=spent)
            row.error = error or row.error
            if spent:  # the server has said that it didn't take it
                row.handed_over_at, row.handovers = None, job.handovers

    async def _fail(self, job: Mail, reason: str, no_mailbox: str | None = None) -> None:
        async with self._db.facility(job.facility_id) as session:
            await fail(session, job, reason)
            if no_mailbox:
                await undeliverable.mark(
                    session, self._settings.master_key, job.facility_id, no_mailbox, reason, job.id
                )


def deferred_delay_s(attempts: int) -> float:
    """1 minute, doubling to 4 hours."""
    return min(60.0 * 2.0 ** min(attempts - 1, 10), 4 * 3600.0)


def unsure_delay_s(handovers: int) -> float:
    """10 minutes, four times as long each time, to 12 hours: whoever got it each time gets few copies."""
    return min(600.0 * 4.0 ** min(handovers - 1, 10), 12 * 3600.0)


async def fail(session: AsyncSession, job: Mail, reason: str) -> None:
    """It will never be sent."""
    await give_up(session, await MAILS.settle(session, job), None, reason)


async def give_up(
    session: AsyncSession, row: Mail, error: Exception | None, reason: str = "It failed too often."
) -> None:
    """Record a failure for good, and forget the letter. The error's text may hold what the letter does."""
    row.state, row.sealed_letter = MailState.FAILED, None
    row.error = f"{reason} ({type(error).__name__})" if error else reason
    MAILS_ENDED.labels(row.kind, MailState.FAILED).inc()
    log.warning("mail failed", kind=row.kind, reason=row.error)
