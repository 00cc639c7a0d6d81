"""The whole examination: DNS, mail server, clock, database, broker, store, and mails that wait."""

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiosmtplib import SMTPException
from codetect_shared import bus
from codetect_shared.db import Database, uuid7
from codetect_shared.storage import Storage
from sqlalchemy import func, select, text

from codetect_auth.doctor import records
from codetect_auth.doctor.findings import Finding, fail, ok, warn
from codetect_auth.doctor.records import Names, Record
from codetect_auth.mails.kinds import Kind
from codetect_auth.mails.message import AddressRefused, Parcel, write
from codetect_auth.mails.signing import KeyRefused, Signer
from codetect_auth.mails.smtp import Courier, MailTrouble
from codetect_auth.mails.wording import Place, word
from codetect_auth.models import Facility
from codetect_auth.people import OPERATORS
from codetect_auth.settings import MailerSettings, Tls

CLOCK_WARN_S, CLOCK_FAIL_S = 2, 20
MOST_HOSTS = 200
WAITING = text("""
    SELECT count(*) FILTER (WHERE state = 'queued') AS waiting,
           extract(epoch FROM clock_timestamp() - min(created_at) FILTER (WHERE state = 'queued'))::int AS age,
           count(*) FILTER (WHERE state IN ('failed', 'bounced') AND created_at > now() - interval '1 day') AS failed,
           (SELECT count(*) FROM undeliverable_addresses) AS stopped, (SELECT error FROM mail_server) AS error
    FROM mails
""")


async def examine(
    settings: MailerSettings, db: Database, test_to: str | None = None
) -> tuple[list[Record], list[Finding]]:
    """The records to set, and how everything stands."""
    try:
        signer, key_trouble = Signer.of(settings), []
    except KeyRefused as error:
        signer = Signer(settings.dkim_domain or records.from_domain(settings), [])
        key_trouble = [fail("dkim key", str(error), "Make a key (docs/mail.md).")]
    findings = [await _database(db)]
    slugs: Sequence[str] = []
    if findings[0].health == "ok":
        async with db.system() as session:
            slugs = (await session.scalars(select(Facility.slug).order_by(Facility.id).limit(MOST_HOSTS))).all()
        findings += [await _clock(db), await _mails(db)]
    findings += [await _broker(settings), await _store(settings), *key_trouble]
    findings += await records.check(Names(settings.dns_server), settings, signer, slugs)
    smtp = await _smtp(settings)
    findings.append(smtp)
    if test_to and smtp.health != "fail":
        findings.append(await _test(settings, signer, test_to))
    return records.wanted(settings, signer, slugs), findings


async def _answers(name: str, ask: Callable[[], Awaitable[Any]], do: str) -> Finding:
    try:
        await ask()
    except Exception as error:
        return fail(name, f"It doesn't answer ({records.type_name(error)}).", do)
    return ok(name, "It answers.")


async def _database(db: Database) -> Finding:
    async def ask() -> None:
        await db.ping()
        async with db.app_engine.connect() as connection:
            await connection.execute(text("SELECT 1 FROM mail_server"))

    return await _answers("database", ask, "Look at CODETECT_AUTH_DATABASE_URL and _SYSTEM_URL, and run `migrate`.")


async def _broker(settings: MailerSettings) -> Finding:
    async def ask() -> None:
        async with bus.connect(settings.rabbitmq_url, "doctor"):
            pass

    return await _answers("broker", ask, "Look at CODETECT_RABBITMQ_URL, and whether RabbitMQ runs.")


async def _store(settings: MailerSettings) -> Finding:
    do = "Look at CODETECT_STORAGE_URL and its keys, and whether the buckets are there."
    return await _answers("object store", Storage(settings).ping, do)


async def _clock(db: Database) -> Finding:
    async with db.system() as session:
        before = time.time()
        there = float((await session.execute(select(func.extract("epoch", func.clock_timestamp())))).scalar_one())
        off = there - (before + time.time()) / 2
    says = f"Postgres is {off:+.1f} s off this machine."
    if abs(off) < CLOCK_WARN_S:
        return ok("clock", says)
    found = warn if abs(off) < CLOCK_FAIL_S else fail
    return found("clock", says, "Have both keep time by NTP: codes and tokens live for seconds.")


async def _mails(db: Database) -> Finding:
    async with db.system() as session:
        row = (await session.execute(WAITING)).one()
    says = (
        f"{row.waiting} mails wait, the oldest for {row.age or 0} s; {row.failed} of the last day failed; "
        f"{row.stopped} addresses get none."
    )
    if row.error:
        return fail("mails", f"{says} The mail server was away at the last try: {row.error}", "See smtp below.")
    if (row.age or 0) > 600:
        return warn("mails", says, "Does the mailer run (`python -m codetect_auth mailer`)?")
    return ok("mails", says)


async def _smtp(settings: MailerSettings) -> Finding:
    where = f"{settings.smtp_host}:{settings.smtp_port}"
    courier = Courier(settings)
    try:
        connection = await courier.connect()
    except MailTrouble as trouble:
        do = "Look at CODETECT_AUTH_SMTP_HOST, _PORT, _TLS, _CA_FILE, _USER and _PASSWORD."
        return fail("smtp", f"{where}: {trouble}", do)
    tls = connection.get_transport_info("ssl_object")
    facts = [tls.version() if tls else "no TLS", "logged in" if settings.smtp_user else "no login"]
    facts += [name for name in ("DSN", "SMTPUTF8") if connection.supports_extension(name)]
    try:
        await connection.quit()
    except (SMTPException, OSError):
        connection.close()
    return ok(
        "smtp", f"{where} takes mail ({', '.join(facts)}{'; on loopback' if settings.smtp_tls is Tls.NONE else ''})."
    )


async def _test(settings: MailerSettings, signer: Signer, to: str) -> Finding:
    home = settings.url(OPERATORS, "/")
    wording = word(Kind.TEST, {}, Place(settings.base_domain, home, home), settings.mail_language)

    async def nothing() -> None:
        pass

    courier = Courier(settings)
    try:
        parcel = write(settings, uuid7(), datetime.now(UTC), to, wording, {})
        signed = Parcel(parcel.id, parcel.sender, parcel.recipient, parcel.utf8, signer.sign(parcel.content))
        await courier.hand_over(signed, nothing)
    except AddressRefused as error:
        return fail("test mail", str(error), "Give an address such as you@example.org.")
    except MailTrouble as trouble:
        return fail("test mail", f"The mail server says: {trouble}", "Put right what it says.")
    finally:
        await courier.close()
    return ok("test mail", "The mail server took it. Look where it arrives: Authentication-Results should say pass.")
