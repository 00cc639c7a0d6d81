"""The mailer in this process, one job at a time, on the house's database and a server that may misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from codetect_auth.mails.asking import ask
from codetect_auth.mails.kinds import FACTS, Kind
from codetect_auth.mails.mailer import Mailer, give_up
from codetect_auth.models import MAILS, Facility
from codetect_auth.settings import MailerSettings, Tls
from codetect_shared.jobs import Worker

from tests.auth.conftest import House
from tests.auth.mailbox import Mailbox

SAMPLE: dict[str, str | int] = {
    "url": "https://demo.localhost/way-in#token=geheim-0123456789",
    "name": "Mira Öztürk",
    "email": "mira@clinic.example",
    "role": "member",
    "reason": "I read chest CTs",
    "invited_by": "Jonas Weber",
    "address": "203.0.113.7",
    "device": "Firefox on Debian",
    "what": "added",
    "by": "Jonas Weber",
    "left": 3,
    "client": "forwarder",
    "model": "covid-densenet",
    "completed_at": "2026-11-26T03:13:00+00:00",
    "count": 7,
}


def sample(kind: Kind) -> dict[str, str | int]:
    """Facts of a kind."""
    return {name: SAMPLE[name] for name in FACTS[kind]}


class Post:
    """Asks for mails and sends them."""

    def __init__(self, house: House, settings: MailerSettings, facility: Facility) -> None:
        self.house, self.settings, self.facility = house, settings, facility
        self.mailer = Mailer(settings, house.auth.db)
        self._worker = Worker(MAILS, house.auth.db, settings.rabbitmq_url, self.mailer.run, give_up)

    async def ask(
        self, to: str = "mira@clinic.example", cause: str = "cause/1", kind: Kind = Kind.INVITATION, **facts: Any
    ) -> None:
        async with self.house.auth.db.facility(self.facility.id) as session:
            key = self.settings.master_key
            await ask(session, key, self.facility.id, kind, to, cause, **(sample(kind) | facts))

    async def deliver(self) -> int:
        """Work until nothing is due; how many claims that took."""
        claims = 0
        while job := await MAILS.claim(self.house.auth.db):
            claims += 1
            await self._worker.work(job)
        return claims

    async def pass_time(self, seconds: float) -> None:
        """Let so much time pass for everything mail knows of."""
        span = f"interval '{seconds} seconds'"
        columns = ("available_at", "lease_until", "tried_at", "handed_over_at", "created_at", "sent_at")
        sets = ", ".join(f"{column} = {column} - {span}" for column in columns)
        await self.house.sql(f"UPDATE mails SET {sets}")
        await self.house.sql(f"UPDATE mail_server SET retry_at = retry_at - {span}, trying_until = NULL")
        await self.house.sql(f"UPDATE result_groups SET due_at = due_at - {span}, asked_at = asked_at - {span}")

    async def wait_until_sent(self, hours: float = 80, step_s: float = 120) -> None:
        """Deliver and let time pass until nothing waits."""
        passed = 0.0
        while passed < hours * 3600:
            await self.deliver()
            ((due,),) = await self.house.sql(
                "SELECT extract(epoch FROM min(available_at) - clock_timestamp())::float FROM mails"
            )
            if due is None:
                return
            await self.pass_time(max(due, step_s))
            passed += max(due, step_s)
        raise AssertionError("mails still wait")

    async def rows(self) -> list[Any]:
        return await self.house.sql(
            "SELECT id, cause, state, error, sealed_letter, attempts, handed_over_at FROM mails "
            "WHERE facility_id = :f ORDER BY id",
            f=self.facility.id,
        )

    async def state(self) -> tuple[str, str | None]:
        """Of the one mail."""
        ((_, _, state, error, *_),) = await self.rows()
        return state, error


@asynccontextmanager
async def posting(house: House, box: Mailbox, **changes: Any) -> AsyncIterator[Post]:
    """A mailer that knows `box`, no mail waiting, the server thought well of."""
    await clean(house)
    tls = Tls.NONE if box.tls is None else Tls.IMPLICIT if box.implicit else Tls.STARTTLS
    told: dict[str, Any] = {
        "smtp_host": "127.0.0.1",
        "smtp_port": box.port,
        "smtp_tls": tls,
        "smtp_timeout_s": 2,
        "smtp_data_timeout_s": 2,
        "mail_from": "no-reply@mail.clinic.example",
    }
    post = Post(house, MailerSettings(**(told | changes)), await house.facility())
    try:
        yield post
    finally:
        await post.mailer.close()
        await asyncio.sleep(0)
        await clean(house)


async def clean(house: House) -> None:
    for table in ("mails", "undeliverable_addresses", "result_groups", "mail_preferences"):
        await house.sql(f"DELETE FROM {table}")
    await house.sql("UPDATE mail_server SET failures = 0, retry_at = NULL, trying_until = NULL, error = NULL")
