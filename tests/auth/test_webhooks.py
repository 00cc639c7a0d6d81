"""Webhooks on the real broker: signed so that others' library accepts it, tried again, never sent inside the house."""

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpcore
import httpx
import pytest
import uvicorn
from codetect_auth.mails.app import mailer
from codetect_auth.settings import MailerSettings, Tls
from codetect_auth.webhooks import delivering
from codetect_auth.webhooks.reaching import Guarded, Reach, Unreachable, check_url, is_allowed, networks
from codetect_shared import bus, topology
from codetect_shared.db import uuid7
from codetect_shared.events import AnalysisFailed, AnalysisProgressed, Event, StudyErased, UploadImported
from codetect_shared.tokens import Role
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from standardwebhooks import Webhook, WebhookVerificationError

from tests.auth.conftest import Account, House
from tests.auth.mailbox import mailbox
from tests.auth.post import clean

FAILED = "codetect.analysis.failed.v1"


@dataclass
class Receiver:
    """An integrator's server, which answers as a test says."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hang_s: float = 0

    async def told(self, count: int, timeout_s: float = 30) -> list[tuple[dict[str, str], bytes]]:
        async with asyncio.timeout(timeout_s):
            while len(self.seen) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return self.seen


@pytest.fixture(scope="module", autouse=True)
async def sender(house: House) -> AsyncIterator[None]:
    """The mailer, which sends webhooks, too, beside the API; no mail of other tests waits."""
    await clean(house)
    async with mailbox() as box:
        post = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_tls": Tls.NONE}
        app = mailer(MailerSettings(webhook_networks=house.auth.settings.webhook_networks, **post))
        async with app.router.lifespan_context(app):
            yield
    await clean(house)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    app, receiver = FastAPI(), Receiver()

    @app.post("/hook")
    async def hook(request: Request) -> Response:
        receiver.seen.append((dict(request.headers), await request.body()))
        await asyncio.sleep(receiver.hang_s)
        return Response(status_code=receiver.statuses.pop(0) if receiver.statuses else 204)

    @app.post("/moved")
    async def moved() -> Response:
        return RedirectResponse("/hook", 307)

    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    receiver.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/hook"
    yield receiver
    server.should_exit = True
    await serving


@dataclass
class Admin:
    """A facility's admin at the API."""

    house: House
    account: Account
    facility_id: UUID
    bearer: dict[str, str]

    async def ask(self, method: str, path: str = "", **body: Any) -> httpx.Response:
        return await self.account.client.request(
            method, f"/api/v1/webhooks{path}", headers=self.bearer, json=body or None
        )

    async def add(self, url: str, *types: str) -> dict[str, Any]:
        answer = await self.ask("POST", url=url, types=list(types or (FAILED,)))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def deliveries(self, hook: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.ask("GET", f"/{hook['id']}/deliveries")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def until(self, hook: dict[str, Any], done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The newest delivery, once it is so."""
        async with asyncio.timeout(30):
            while not ((found := await self.deliveries(hook)) and done(found[0])):
                await asyncio.sleep(0.05)
        return found[0]

    async def happen(self, *events: Event, copies: int = 1) -> None:
        """Publish as the relay of a service does."""
        async with bus.connect(self.house.auth.settings.rabbitmq_url, "test") as connection:
            channel = await connection.channel(publisher_confirms=True)
            exchange = await topology.declare(channel)
            for event in events:
                envelope = bus.Envelope(
                    uuid7(),
                    event.type,
                    datetime.now(UTC),
                    self.facility_id,
                    f"{event.aggregate}/{uuid7()}",
                    1,
                    event.model_dump(mode="json"),
                )
                for _ in range(copies):
                    await bus.publish_all(channel, exchange, [(None, event.type, bus.encode(envelope, "test"))])


@pytest.fixture
async def admin(house: House) -> Admin:
    facility = await house.facility()
    account = await house.account(Role.ADMIN, facility)
    tokens = await account.enrol()
    return Admin(house, account, facility.id, {"Authorization": f"Bearer {tokens['access_token']}"})


def failed(study_id: UUID | None = None) -> AnalysisFailed:
    return AnalysisFailed(
        analysis_id=uuid7(),
        study_id=study_id or uuid7(),
        upload_id=uuid7(),
        model="m",
        model_version="1",
        code="gave_up",
    )


async def test_an_event_reaches_who_wants_it_signed_and_once(admin: Admin, receiver: Receiver) -> None:
    hook = await admin.add(receiver.url)
    progress = AnalysisProgressed(
        analysis_id=uuid7(), study_id=uuid7(), upload_id=uuid7(), slices_done=1, slices_total=2
    )
    await admin.happen(progress, failed(), copies=3)
    ((headers, body),) = await receiver.told(1)
    told = Webhook(hook["secret"]).verify(body, headers)
    assert (told["type"], told["data"]["code"]) == (FAILED, "gave_up")
    assert datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(body.replace(b"gave_up", b"gave-up"), headers)
    delivery = await admin.until(hook, lambda one: one["state"] == "delivered")
    assert [tried["status"] for tried in delivery["tries"]] == [204]
    await asyncio.sleep(0.5)
    assert len(receiver.seen) == 1, "copies of an event are one delivery"
    assert "secret" not in (await admin.ask("GET", f"/{hook['id']}")).json()


async def test_no_other_facility_hears_of_it_or_sees_the_webhook(
    admin: Admin, house: House, receiver: Receiver
) -> None:
    hook = await admin.add(receiver.url)
    facility = await house.facility()
    account = await house.account(Role.ADMIN, facility)
    bearer = {"Authorization": f"Bearer {(await account.enrol())['access_token']}"}
    other = Admin(house, account, facility.id, bearer)
    await other.happen(failed())
    for method, path in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/secret"), ("POST", "/test")):
        answer = await other.ask(method, f"/{hook['id']}{path}", **({"enabled": False} if method == "PATCH" else {}))
        assert answer.status_code == 404, (method, path)
    assert (await other.ask("GET")).json()["items"] == []
    member = await house.account(Role.MEMBER, facility)
    theirs = Admin(house, member, facility.id, {"Authorization": f"Bearer {(await member.enrol())['access_token']}"})
    assert (await theirs.ask("GET")).status_code == 403
    await asyncio.sleep(0.5)
    assert receiver.seen == []


async def test_what_fails_is_tried_again_under_the_same_id(
    admin: Admin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "WAITS_S", [0.1] * 9)
    receiver.statuses = [500, 429, 302]
    hook = await admin.add(receiver.url)
    await admin.happen(failed())
    delivery = await admin.until(hook, lambda one: one["state"] == "delivered")
    assert [tried["status"] for tried in delivery["tries"]] == [500, 429, 302, 204]
    assert {headers["webhook-id"] for headers, _ in receiver.seen} == {delivery["message_id"]}
    assert (await admin.ask("GET", f"/{hook['id']}")).json()["failing_since"] is None
    again = await admin.ask("POST", f"/{hook['id']}/deliveries/{delivery['id']}/redeliver")
    assert again.status_code == 202, again.text
    await receiver.told(5)
    assert receiver.seen[-1][0]["webhook-id"] == delivery["message_id"]
    assert receiver.seen[-1][1] == receiver.seen[0][1]


async def test_after_the_last_try_a_delivery_has_failed(
    admin: Admin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivering, "WAITS_S", [0.01] * 9)
    receiver.statuses = [500] * 20
    hook = await admin.add(receiver.url)
    await admin.happen(failed())
    delivery = await admin.until(hook, lambda one: one["state"] == "failed")
    assert len(delivery["tries"]) == len(receiver.seen) == 10
    assert delivery["next_try_at"] is None


async def test_an_endpoint_that_is_gone_or_long_away_is_switched_off(admin: Admin, receiver: Receiver) -> None:
    receiver.statuses = [410]
    hook = await admin.add(receiver.url)
    await admin.happen(failed())
    await admin.until(hook, lambda one: one["state"] == "failed")
    shown = (await admin.ask("GET", f"/{hook['id']}")).json()
    assert (shown["enabled"], shown["disabled_reason"]) == (False, "It answered 410: it wants no more.")
    await admin.happen(failed())
    assert (await admin.ask("PATCH", f"/{hook['id']}", enabled=True)).json()["disabled_reason"] is None
    receiver.statuses = [503]
    since = f"failing_since = clock_timestamp() - interval '6 days' WHERE id = '{hook['id']}'"
    await admin.house.sql(f"UPDATE webhook_endpoints SET {since}")
    await admin.ask("POST", f"/{hook['id']}/test")
    async with asyncio.timeout(10):
        while (shown := (await admin.ask("GET", f"/{hook['id']}")).json())["enabled"]:
            await asyncio.sleep(0.05)
    assert shown["disabled_reason"] == "It has not taken a delivery for five days."
    assert len(receiver.seen) == 2, "what happened while it was off isn't told later"


async def test_a_silent_endpoint_holds_up_nobody_else(
    admin: Admin, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codetect_auth.webhooks.reaching.TOTAL_S", 1)
    async with silent() as url:
        mute = await admin.add(url)
        await admin.happen(*(failed() for _ in range(40)))
        hook = await admin.add(receiver.url)
        await admin.happen(failed())
        await receiver.told(1, timeout_s=15)
        await admin.until(hook, lambda one: one["state"] == "delivered")
        tries = [tried for one in await admin.deliveries(mute) for tried in one["tries"]]
        assert {tried["error"] for tried in tries} == {"It took too long to answer."}
        assert len(tries) <= 8, "after a try or two a worker, it is left in peace for a while"


@asynccontextmanager
async def silent() -> AsyncIterator[str]:
    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    server.close()


async def test_a_new_secret_is_good_beside_the_old_one_for_a_day(admin: Admin, receiver: Receiver) -> None:
    hook = await admin.add(receiver.url)
    new = (await admin.ask("POST", f"/{hook['id']}/secret")).json()["secret"]
    await admin.ask("POST", f"/{hook['id']}/test")
    ((headers, body),) = await receiver.told(1)
    for secret in (hook["secret"], new):
        assert Webhook(secret).verify(body, headers)["type"] == "codetect.webhook.tested.v1"
    await admin.house.sql(f"UPDATE webhook_endpoints SET old_until = clock_timestamp() WHERE id = '{hook['id']}'")
    await admin.ask("POST", f"/{hook['id']}/test")
    headers, body = (await receiver.told(2))[1]
    Webhook(new).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(body, headers)
    sealed = await admin.house.sql("SELECT sealed_secret FROM webhook_endpoints")
    assert not any(new.encode() in secret for (secret,) in sealed)


async def test_whoever_finds_a_login_open_sends_nothing_outside(house: House, receiver: Receiver) -> None:
    account = await house.account(Role.ADMIN)
    issued = await account.enrol()
    facility = await house.auth.facility_of(account.host)
    assert facility
    admin = Admin(house, account, facility.id, {"Authorization": f"Bearer {issued['access_token']}"})
    hook = await admin.add(receiver.url)
    old = await house.stale(account, issued["refresh_token"])
    admin.bearer = {"Authorization": f"Bearer {old['access_token']}"}
    for method, path, body in (
        ("POST", "", {"url": "https://evil.example/", "types": [FAILED]}),
        ("PATCH", f"/{hook['id']}", {"url": "https://evil.example/"}),
        ("POST", f"/{hook['id']}/secret", {}),
    ):
        refused = await admin.ask(method, path, **body)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:codetect:problem:step-up-required"), path
    [listed] = (await admin.ask("GET")).json()["items"]
    assert listed["url"] == receiver.url
    await admin.happen(failed())
    ((headers, content),) = await receiver.told(1)
    Webhook(hook["secret"]).verify(content, headers)  # the secret of before
    proof = {"method": "totp", "code": account.code()}
    proven = await account.send("POST", "/api/v1/auth/step-up", old["access_token"], proof)
    admin.bearer = {"Authorization": f"Bearer {proven.json()['access_token']}"}
    assert (await admin.ask("PATCH", f"/{hook['id']}", url=f"{receiver.url}?a=1")).status_code == 200
    assert (await admin.ask("POST", f"/{hook['id']}/secret")).status_code == 200
    admin.bearer = {"Authorization": f"Bearer {old['access_token']}"}
    assert (await admin.ask("DELETE", f"/{hook['id']}")).status_code == 204  # less goes outside


async def test_an_erased_study_is_forgotten_here_too(admin: Admin, receiver: Receiver) -> None:
    hook = await admin.add(receiver.url, FAILED, "codetect.upload.imported.v1", "codetect.study.erased.v1")
    study = uuid7()
    imported = UploadImported(upload_id=uuid7(), files=1, accepted=1, studies=[study], import_ms=1)
    await admin.happen(failed(study), imported)
    await receiver.told(2)
    await admin.until(hook, lambda one: one["state"] == "delivered")
    receiver.statuses = [500]
    await admin.happen(failed(study))
    await receiver.told(3)
    await admin.happen(StudyErased(study_id=study))
    await receiver.told(4)
    await asyncio.sleep(0.3)
    left = await admin.deliveries(hook)
    assert [(one["type"], one["body"] is None) for one in left][1:] == [
        ("codetect.upload.imported.v1", True),
        (FAILED, True),
    ]
    assert str(study) not in json.dumps(left[1:])
    gone = await admin.ask("POST", f"/{hook['id']}/deliveries/{left[1]['id']}/redeliver")
    assert gone.json()["type"] == "urn:codetect:problem:body-forgotten"


@pytest.mark.parametrize(
    "body",
    [
        {"url": "https://169.254.169.254/latest", "types": [FAILED]},
        {"url": "https://[::1]/", "types": [FAILED]},
        {"url": "https://10.0.0.8/", "types": [FAILED]},
        {"url": "ftp://a.example/", "types": [FAILED]},
        {"url": "https://user:secret@a.example/", "types": [FAILED]},
        {"url": "https://a.example/#x", "types": [FAILED]},
        {"url": "https://a.example/", "types": []},
        {"url": "https://a.example/", "types": ["codetect.person.authenticated.v1"]},
        {"url": "https://a.example/", "types": [FAILED], "facility_id": str(UUID(int=1))},
    ],
)
async def test_what_is_no_address_is_refused_in_words(admin: Admin, body: dict[str, Any]) -> None:
    answer = await admin.ask("POST", **body)
    assert answer.status_code == 422, answer.text
    assert (await admin.ask("GET")).json()["items"] == []


async def test_a_facility_has_twenty_webhooks_at_most(admin: Admin) -> None:
    answers = await asyncio.gather(*(admin.ask("POST", url="https://a.example", types=[FAILED]) for _ in range(25)))
    assert sorted(answer.status_code for answer in answers) == [201] * 20 + [409] * 5


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
        *("224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1"),
        "2001:0:5ef5:79fb:0:59d:a0e8:f8f5",
    ],
)
def test_addresses_inside_a_network_are_out_of_reach(address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address), [])


def test_the_operator_can_open_a_network() -> None:
    inside = networks("10.0.0.0/8, fd00::/8")
    assert is_allowed(ipaddress.ip_address("10.1.2.3"), inside)
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), inside)
    assert is_allowed(ipaddress.ip_address("fd00::1"), inside)
    assert not is_allowed(ipaddress.ip_address("192.168.0.1"), inside)
    assert is_allowed(ipaddress.ip_address("1.1.1.1"), [])
    assert is_allowed(ipaddress.ip_address("2606:4700::1111"), [])
    assert check_url("http://a.example/", inside) is None
    assert check_url("http://a.example/", []) == "Deliveries go over https only."
    assert not is_allowed(ipaddress.ip_address("1.1.1.1"), inside, encrypted=False)
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), inside, encrypted=False)
    assert check_url("http://1.1.1.1/", inside) == "Deliveries to the Internet go over https only."
    assert check_url("http://10.1.2.3/", inside) is None


async def test_in_clear_nothing_leaves_the_operators_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lookup(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "", ({"near.example": "10.1.2.3", "far.example": "1.1.1.1"}[host], port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup, raising=False)
    dialled: list[str] = []

    async def dial(_: object, host: str, *rest: object) -> None:
        dialled.append(host)
        raise httpcore.ConnectError("nobody there")

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", dial)
    reach = Reach(networks("10.0.0.0/8"))
    with pytest.raises(Unreachable, match="leads to the Internet, where deliveries go over https only"):
        await reach.post("http://far.example/hook", {}, b"{}")
    for url in ("https://far.example/hook", "http://near.example/hook"):
        with pytest.raises(Unreachable, match="doesn't answer"):
            await reach.post(url, {}, b"{}")
    await reach.close()
    assert dialled == ["1.1.1.1", "10.1.2.3"]


async def test_a_name_that_leads_inside_is_not_followed(receiver: Receiver) -> None:
    """Also one that meant another address when it was registered: what is dialled is what was checked."""
    reach = Reach([])
    port = receiver.url.split(":")[2].partition("/")[0]
    for host in ("localhost", "localtest.localhost"):
        with pytest.raises(Unreachable, match=r"leads inside a network|isn't known"):
            await reach.post(f"https://{host}:{port}/hook", {}, b"{}")
    await reach.close()
    assert receiver.seen == []


async def test_what_is_dialled_is_what_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    loop = asyncio.get_running_loop()

    async def lookup(host: str, port: int, **_: Any) -> list[Any]:
        looked.append(host)
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    monkeypatch.setattr(loop, "getaddrinfo", lookup)
    stream = await Guarded(networks("127.0.0.0/8"), encrypted=False).connect_tcp(
        "rebinding.example", server.sockets[0].getsockname()[1], timeout=5
    )
    assert looked == ["rebinding.example"], "the name is asked for once"
    await stream.aclose()
    server.close()


async def test_redirects_are_not_followed(admin: Admin, receiver: Receiver) -> None:
    reach = Reach(networks("127.0.0.0/8"))
    assert await reach.post(receiver.url.replace("/hook", "/moved"), {}, b"{}") == 307
    await reach.close()
    assert receiver.seen == []
