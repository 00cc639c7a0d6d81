"""Who is told how an analysis ended: those who chose to be, at once when it was urgent, else together."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from codetect_auth.mails import results
from codetect_auth.mails.kinds import Kind
from codetect_auth.models import Person
from codetect_shared.bus import Envelope
from codetect_shared.db import uuid7
from codetect_shared.events import AnalysisCompleted, AnalysisFailed
from codetect_shared.tokens import Role
from sqlalchemy import select

from tests.auth.conftest import Account, House
from tests.auth.mailbox import Mailbox, mailbox
from tests.auth.post import Post, posting

HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


class Ward:
    """A member who sends studies."""

    def __init__(self, post: Post, box: Mailbox, account: Account, person_id: UUID, token: str) -> None:
        self.post, self.box, self.account, self.person_id, self.token = post, box, account, person_id, token

    @classmethod
    async def open(cls, house: House, post: Post, box: Mailbox) -> "Ward":
        account = await house.account(Role.MEMBER, post.facility)
        token = (await account.enrol())["access_token"]
        await post.deliver()  # the welcome
        box.kept.clear()
        async with house.auth.db.facility(post.facility.id) as session:
            person = (await session.scalars(select(Person).where(Person.email == account.email))).one()
        return cls(post, box, account, person.id, token)

    async def choose(self, **body: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.account.client.put("/api/v1/auth/mail-preferences", json=body, headers=headers)

    async def told(self, event: AnalysisCompleted | AnalysisFailed) -> None:
        """The consumer's handler, in a transaction as the bus would have it."""
        envelope = Envelope(uuid7(), event.type, datetime.now(UTC), self.post.facility.id, "x", 1, {})
        handler = results.handlers(self.post.settings)[type(event)]
        async with self.post.house.auth.db.facility(self.post.facility.id) as session:
            await handler(session, event, envelope)

    async def fails(self, times: int = 1, **changes: Any) -> None:
        for _ in range(times):
            await self.told(AnalysisFailed(**(self.about() | {"code": "no_usable_series"} | changes)))

    async def completes(self, times: int = 1, **changes: Any) -> None:
        numbers = dict.fromkeys(("slices_total", "slices_analysed", "queued_ms", "inference_ms", "total_ms"), 1)
        for _ in range(times):
            facts = self.about() | numbers | {"findings": [], "provider": "cpu"} | changes
            await self.told(AnalysisCompleted(**facts))

    def about(self) -> dict[str, Any]:
        """Ids of an analysis of this person's."""
        ids = {name: uuid7() for name in ("analysis_id", "study_id", "upload_id")}
        return {**ids, "model": "covid", "model_version": "1", "submitted_by": self.person_id}

    async def subjects(self, seconds: float = 0) -> list[str]:
        """What arrived since, after so much time."""
        if seconds:
            await self.post.pass_time(seconds)
        await results.tell_groups(self.post.house.auth.db, self.post.settings)
        await self.post.deliver()
        return [str(kept.message["Subject"]) for kept in self.box.kept]


async def test_failures_are_told_once_in_fifteen_minutes_with_their_number(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        ward = await Ward.open(house, post, box)
        await ward.fails(3)
        assert await ward.subjects() == []
        assert await ward.subjects(21) == ["3 analyses failed at Test Clinic"]
        await ward.fails(1)
        await ward.fails(4)
        assert len(await ward.subjects(600)) == 1
        assert (await ward.subjects(301))[1:] == ["5 analyses failed at Test Clinic"]
        await ward.fails()
        assert (await ward.subjects(901))[2:] == ["An analysis failed at Test Clinic"]
        assert len(await ward.subjects(3600)) == 3
        assert "Not a medical device. Not for clinical use." in box.kept[0].text


CHOICES = {
    "none": [],
    "failures": ["An analysis failed at Test Clinic"],
    "urgent": ["An analysis failed at Test Clinic", "An urgent analysis is ready at Test Clinic"],
    "all": [
        "2 analyses are ready at Test Clinic",
        "An analysis failed at Test Clinic",
        "An urgent analysis is ready at Test Clinic",
    ],
}


@pytest.mark.parametrize("choice", CHOICES)
async def test_people_get_what_they_chose(house: House, choice: str) -> None:
    async with mailbox() as box, posting(house, box) as post:
        ward = await Ward.open(house, post, box)
        assert (await ward.account.get("/api/v1/auth/mail-preferences", ward.token)).json() == {
            "analyses": "failures",
            "language": None,
        }
        assert (await ward.choose(analyses=choice)).json() == {"analyses": choice, "language": None}
        await ward.completes(2)
        await ward.completes(priority="urgent")
        await ward.fails()
        assert sorted(await ward.subjects(21)) == CHOICES[choice]


async def test_only_who_sent_it_and_works_here_is_told(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        ward = await Ward.open(house, post, box)
        stranger = await Ward.open(house, Post(house, post.settings, await house.facility()), box)
        await ward.fails(submitted_by=None)
        await ward.fails(submitted_by=uuid7())
        await ward.fails(submitted_by=stranger.person_id)
        assert await ward.subjects(21) == []
        await ward.fails()
        await house.sql("UPDATE people SET status = 'suspended' WHERE id = :p", p=ward.person_id)
        await ward.fails()
        assert await ward.subjects(21) == []


async def test_mails_come_in_the_language_one_chose(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        ward = await Ward.open(house, post, box)
        await ward.choose(analyses="failures", language="de")
        await ward.fails()
        assert await ward.subjects(21) == ["Eine Analyse ist gescheitert bei Test Clinic"]
        for body in (
            {"analyses": "some"},
            {"analyses": "none", "language": "tlh"},
            {},
            {"analyses": "none", "security": "none"},
        ):
            assert (await ward.choose(**body)).status_code == 422


async def test_one_click_stops_mails_of_analyses_and_no_others(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        ward = await Ward.open(house, post, box)
        await ward.choose(analyses="all", language="de")
        await ward.completes(priority="urgent")
        await ward.subjects()
        message = box.kept[0].message
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        found = re.fullmatch(r"<(https?://[^>]+)>", message["List-Unsubscribe"])
        assert found
        url = httpx.URL(found[1])
        assert url.host == ward.account.host
        client = house.client(ward.account.host)

        shown = await client.get(url.path)  # what link scanners do
        assert (shown.status_code, "<form" in shown.text) == (200, True)
        assert "form-action 'self'" in shown.headers["content-security-policy"]  # else a browser sends no form
        await ward.fails()
        answer = await client.post(url.path, content="List-Unsubscribe=One-Click", headers=HEADERS)
        assert answer.status_code == 200
        assert (await client.post(url.path, content="List-Unsubscribe=One-Click", headers=HEADERS)).status_code == 200
        chosen = (await ward.account.get("/api/v1/auth/mail-preferences", ward.token)).json()
        assert chosen == {"analyses": "none", "language": "de"}
        await ward.completes(priority="urgent")
        await ward.completes()
        await ward.fails()
        assert len(await ward.subjects(3600)) == 1
        await post.ask(cause="password", kind=Kind.PASSWORD_CHANGED, to=ward.account.email)
        assert len(await ward.subjects()) == 2
        assert box.kept[1].message["List-Unsubscribe"] is None


async def test_links_that_are_not_ours_stop_nobody(house: House) -> None:
    async with mailbox() as box, posting(house, box) as post:
        ward = await Ward.open(house, post, box)
        await ward.completes(priority="urgent")
        await ward.choose(analyses="urgent")
        await ward.completes(priority="urgent")
        await ward.subjects()
        path = httpx.URL(str(box.kept[-1].message["List-Unsubscribe"]).strip("<>")).path
        elsewhere = house.client(f"{(await house.facility()).slug}.localhost")
        nowhere = house.client("nowhere.example")
        here = house.client(ward.account.host)
        altered = path[:-2] + ("AA" if path[-2:] != "AA" else "BB")
        for client, target in (
            (elsewhere, path),
            (nowhere, path),
            (here, altered),
            (here, path + "A"),
            (here, path[:-6] + "ä"),
        ):
            answer = await client.post(target, content="List-Unsubscribe=One-Click", headers=HEADERS)
            assert answer.status_code == 404, target
            assert answer.json()["type"] == "urn:codetect:problem:link-refused"
        assert (await ward.account.get("/api/v1/auth/mail-preferences", ward.token)).json()["analyses"] == "urgent"
