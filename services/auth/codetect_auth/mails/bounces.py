"""Reports of failed delivery (RFC 3464): which mail of ours, why, and whether the address has no mailbox at all."""

import hmac
import re
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from uuid import UUID

from codetect_shared.db import Database
from codetect_shared.problems import BadInput, NotFound
from codetect_shared.sealing import keys_of
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth.mails import undeliverable
from codetect_auth.mails.message import bounce_tag, message_id
from codetect_auth.mails.rows import address_keys
from codetect_auth.mails.smtp import without_addresses
from codetect_auth.models import Mail, MailState, Person
from codetect_auth.settings import MailerSettings

MAX_BYTES = 2**20
TAGGED = re.compile(r"\+([0-9a-f]{32})-([0-9a-f]{16})@")
# A full mailbox, a mail too large, a policy: the next mail may well arrive (RFC 3463).
PASSING = re.compile(r"5\.(2\.2|2\.3|3\.4|7\.\d+)$")


@dataclass(frozen=True)
class Failure:
    """What a report says of one recipient."""

    addresses: tuple[str, ...]
    status: str
    reason: str

    @property
    def lasting(self) -> bool:
        """Whether mail to this address will never arrive."""
        return self.status.startswith("5.") and not PASSING.match(self.status)


@dataclass(frozen=True)
class Report:
    """A report: ids it may be about, and what failed."""

    tagged: list[tuple[UUID, str]]
    message_ids: list[str]
    failures: list[Failure]


@dataclass(frozen=True)
class Outcome:
    """What a report led to."""

    mail_id: UUID
    facility_id: UUID
    reason: str
    address_stopped: bool


def parse(content: bytes) -> Report:
    """Read a report. Raises BadInput for anything else."""
    if len(content) > MAX_BYTES:
        raise BadInput(f"A report has {MAX_BYTES} bytes at most.")
    try:
        message = BytesParser(policy=policy.default).parsebytes(content)
        parts = list(message.walk())
        failures = [
            found for part in parts if part.get_content_type() == "message/delivery-status" for found in _failures(part)
        ]
        if message.get_content_type() != "multipart/report" or not failures:
            raise BadInput("This is no report of failed delivery (multipart/report with Action: failed).")
        names = ("to", "delivered-to", "x-original-to", "return-path", "original-envelope-id", "message-id")
        headers = [(name, str(part.get(name, ""))) for part in [*parts, *_returned(parts)] for name in names]
    except BadInput:
        raise
    except Exception:
        raise BadInput("This message can't be read.") from None
    tagged = [(UUID(id), tag) for _, value in headers for id, tag in TAGGED.findall(value.lower())]
    return Report(tagged, [value.strip() for name, value in headers if name == "message-id"], failures)


async def apply(db: Database, settings: MailerSettings, report: Report) -> list[Outcome]:
    """Mark the mails, and addresses without a mailbox. Raises NotFound when no mail of ours is meant.

    A report is believed when it names a mail by what only its recipient has seen, and that mail's own recipient.
    """
    keys = keys_of(settings.master_key)
    ids = {id for id, tag in report.tagged if any(hmac.compare_digest(tag, bounce_tag(key, id)) for key in keys)}
    for text in report.message_ids:
        found = re.fullmatch(r"<([0-9a-f-]{36})@[^<>]+>", text)
        if found and text == message_id(settings, UUID(found[1])):
            ids.add(UUID(found[1]))
    outcomes = []
    for id in sorted(ids):
        async with db.system() as session:
            mail = await session.scalar(select(Mail).where(Mail.id == id))
        if mail:
            async with db.facility(mail.facility_id) as session:
                outcomes += await _apply(session, settings, mail, report.failures)
    if not outcomes:
        raise NotFound("The report is about no mail of ours that was sent to this address.")
    return outcomes


async def _apply(
    session: AsyncSession, settings: MailerSettings, known: Mail, failures: list[Failure]
) -> list[Outcome]:
    mail = (await session.scalars(select(Mail).where(Mail.id == known.id).with_for_update())).one()
    for failure in failures:
        for address in failure.addresses:
            if mail.address_key not in address_keys(settings.master_key, address):
                continue
            if mail.state == MailState.SENT:
                mail.state, mail.error = MailState.BOUNCED, failure.reason
            if failure.lasting:
                shown = await _as_known(session, address)
                key = settings.master_key
                await undeliverable.mark(session, key, mail.facility_id, shown, failure.reason, mail.id)
            return [Outcome(mail.id, mail.facility_id, failure.reason, failure.lasting)]
    return []


async def _as_known(session: AsyncSession, address: str) -> str:
    """The address as the facility's people have it."""
    known = select(Person.email).where(func.lower(Person.email) == address.lower()).limit(1)
    return await session.scalar(known) or address


def _failures(part: EmailMessage) -> list[Failure]:
    found = []
    for block in part.get_payload():
        if isinstance(block, str) or str(block.get("action", "")).strip().lower() != "failed":
            continue
        values = [str(block.get(name, "")) for name in ("original-recipient", "final-recipient")]
        addresses = tuple(value.partition(";")[2].strip().strip("<>") for value in values if ";" in value)
        status = re.search(r"[245]\.\d{1,3}\.\d{1,3}", str(block.get("status", "")))
        said = str(block.get("diagnostic-code", "")).partition(";")[2]
        code = status[0] if status else "5.0.0"
        found.append(Failure(addresses, code, f"It came back: {code} {without_addresses(said)}".strip()))
    return found


def _returned(parts: list[EmailMessage]) -> list[EmailMessage]:
    """The headers of the mail that came back, where the report has only those."""
    texts = [part for part in parts if part.get_content_type() == "text/rfc822-headers"]
    return [BytesParser(policy=policy.default).parsebytes(part.get_content().encode()) for part in texts]
