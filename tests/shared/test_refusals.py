"""Access tokens that are good but for what happened since: refused within a minute; and what takes a fresh proof."""

import asyncio
import time
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from codetect_shared import tokens
from codetect_shared.problems import install_handlers
from codetect_shared.tokens import JwksCache, Principal, Role, SigningKey, TokenInvalid, require
from fastapi import FastAPI

from tests.shared.test_tokens import Clock

ISSUER = "https://codetect.test"
KEY = SigningKey.generate()
NOW = int(time.time())
WHO = Principal(str(uuid4()), uuid4(), "demo", Role.MEMBER, session_id=uuid4(), issued_at=NOW)


def entry(facility: UUID, since: int = NOW, subject: str | None = None, session: UUID | None = None) -> dict[str, Any]:
    return {"facility": str(facility), "subject": subject, "session": session and str(session), "since": since}


class Auth:
    """What auth would answer."""

    def __init__(self, *refused: dict[str, Any]) -> None:
        self.refused, self.up, self.slow_s = list(refused), True, 0.0

    async def __call__(self) -> Any:
        if not self.up:
            raise httpx.ConnectError("down")
        refused = list(self.refused)
        await asyncio.sleep(self.slow_s)
        return {"keys": [KEY.public_jwk()], "refused": refused}


def issue(**changes: Any) -> str:
    # For a day: this module may have been imported long before its tests run.
    return tokens.issue(replace(WHO, **changes), KEY, issuer=ISSUER, lifetime_s=86_400)


async def passes(cache: JwksCache, token: str) -> bool:
    try:
        await cache.verify(token)
    except TokenInvalid:
        return False
    return True


@pytest.mark.parametrize(
    ("refused", "hit"),
    [
        (entry(WHO.facility_id), True),
        (entry(WHO.facility_id, NOW - 1), False),
        (entry(uuid4()), False),
        (entry(WHO.facility_id, subject=WHO.subject), True),
        (entry(WHO.facility_id, NOW - 1, subject=WHO.subject), False),
        (entry(WHO.facility_id, subject=str(uuid4())), False),
        (entry(uuid4(), subject=WHO.subject), False),
        (entry(WHO.facility_id, session=WHO.session_id), True),
        (entry(WHO.facility_id, NOW - 100, session=WHO.session_id), True),  # a login doesn't come back
        (entry(WHO.facility_id, session=uuid4()), False),
    ],
)
async def test_a_refusal_hits_whom_it_names_and_what_was_issued_before(refused: dict[str, Any], hit: bool) -> None:
    assert await passes(JwksCache(Auth(refused), ISSUER), issue()) is not hit


async def test_of_two_refusals_the_later_one_holds_in_either_order() -> None:
    early, late = (entry(WHO.facility_id, NOW + seconds, subject=WHO.subject) for seconds in (-5, 0))
    for both in ((early, late), (late, early)):
        assert not await passes(JwksCache(Auth(*both), ISSUER), issue())


async def test_a_program_without_a_login_is_hit_by_no_logins_end() -> None:
    program = {"role": Role.API_CLIENT, "session_id": None}
    assert await passes(JwksCache(Auth(entry(WHO.facility_id, session=uuid4())), ISSUER), issue(**program))


async def test_whoever_is_refused_is_out_within_a_minute() -> None:
    clock, auth = Clock(), Auth()
    cache = JwksCache(auth, ISSUER, clock)
    assert await passes(cache, issue())
    auth.refused.append(entry(WHO.facility_id, subject=WHO.subject))
    clock.now += tokens.FRESH_S + 1
    assert not await passes(cache, issue())


async def test_after_a_quiet_time_nobody_slips_in_while_another_request_asks() -> None:
    clock, auth = Clock(), Auth()
    cache = JwksCache(auth, ISSUER, clock)
    assert await passes(cache, issue())
    auth.refused.append(entry(WHO.facility_id))
    auth.slow_s = 0.05
    clock.now += 300
    assert await asyncio.gather(*(passes(cache, issue()) for _ in range(20))) == [False] * 20


async def test_while_auth_hangs_one_request_waits_for_it_and_the_others_go_on() -> None:
    clock, auth = Clock(), Auth()
    cache = JwksCache(auth, ISSUER, clock)
    assert await passes(cache, issue())
    auth.up = False
    clock.now += 300
    assert await passes(cache, issue())
    auth.up, auth.slow_s = True, 0.3
    clock.now += 3
    waiting = asyncio.create_task(passes(cache, issue()))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.1):
        assert await passes(cache, issue())
    assert await waiting


async def test_the_list_is_asked_for_without_a_request_too() -> None:
    clock, auth = Clock(), Auth()
    cache = JwksCache(auth, ISSUER, clock)
    await cache.poll()
    auth.refused.append(entry(WHO.facility_id))
    await cache.poll()
    assert await passes(cache, issue())
    clock.now += tokens.FRESH_S + 1
    await cache.poll()
    auth.up = False
    assert not await passes(cache, issue())


async def test_an_answer_with_a_list_that_is_none_changes_nothing() -> None:
    clock, auth = Clock(), Auth(entry(WHO.facility_id))
    cache = JwksCache(auth, ISSUER, clock)
    assert not await passes(cache, issue())
    for nonsense in ({"facility": "x"}, 7, {**entry(WHO.facility_id), "since": None}):
        auth.refused = [nonsense]  # type: ignore[list-item]
        clock.now += tokens.FRESH_S + 1
        assert not await passes(cache, issue())


async def test_a_list_that_has_not_changed_is_not_sent_again() -> None:
    answers: list[int] = []

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        known = dict(scope["headers"]).get(b"if-none-match")
        status, body = (304, b"") if known == b'"1"' else (200, httpx.Response(200, json=await auth()).content)
        answers.append(status)
        await send({"type": "http.response.start", "status": status, "headers": [(b"etag", b'"1"')]})
        await send({"type": "http.response.body", "body": body})

    auth, clock = Auth(entry(WHO.facility_id)), Clock()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(serve)) as client:
        cache = JwksCache.over_http(client, "http://auth/", ISSUER, clock)
        for _ in range(3):
            assert not await passes(cache, issue())
            clock.now += tokens.FRESH_S + 1
    assert answers == [200, 304, 304]


@pytest.fixture(scope="module")
async def service() -> Any:
    """A service with a route that takes a fresh proof."""
    app = FastAPI()
    install_handlers(app)
    app.state.jwks = JwksCache(Auth(), ISSUER)

    @app.post("/danger")
    async def danger(who: Principal = require(Role.ADMIN, Role.API_CLIENT, fresh=True)) -> None: ...

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        yield client


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"auth_time": NOW}, 200),
        ({"auth_time": NOW - 590}, 200),
        ({"auth_time": NOW - 601}, 403),
        ({}, 403),
        ({"role": Role.API_CLIENT, "scopes": frozenset({"write"})}, 200),
        ({"role": Role.API_CLIENT, "scopes": frozenset({"read"})}, 403),
        ({"role": Role.MEMBER, "auth_time": NOW}, 403),
    ],
)
async def test_what_is_dangerous_takes_a_proof_of_the_last_ten_minutes(
    service: httpx.AsyncClient, changes: dict[str, Any], status: int
) -> None:
    moved = int(time.time()) - NOW  # this module may have been imported long before
    times = {key: changes[key] + moved for key in changes.keys() & {"auth_time"}} | {"issued_at": NOW + moved}
    bearer = issue(**{"role": Role.ADMIN} | changes | times)
    answer = await service.post("/danger", headers={"Authorization": f"Bearer {bearer}"})
    assert answer.status_code == status


async def test_who_must_prove_themselves_again_is_told_how(service: httpx.AsyncClient) -> None:
    bearer = issue(role=Role.ADMIN, issued_at=int(time.time()), auth_time=int(time.time()) - 3600)
    answer = await service.post("/danger", headers={"Authorization": f"Bearer {bearer}"})
    assert answer.json()["type"] == "urn:codetect:problem:step-up-required"
    assert "/api/v1/auth/step-up" in answer.json()["detail"]
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_user_authentication", max_age="600"'
