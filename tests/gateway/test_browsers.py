"""Browsers log in with a cookie, against the real auth service: what they get, and what other sites can't do."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pyotp
import pytest
from websockets.asyncio.client import connect

from tests.gateway.conftest import Process, free_port, gateway, running
from tests.infrastructure import Infrastructure

PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
COOKIE = "__Host-codetect"


@dataclass
class Clinic:
    """A facility with a member, auth behind two gateway processes."""

    environment: dict[str, str]
    auth: Process
    gateways: tuple[Process, Process]
    slug: str
    person: dict[str, Any]

    def browser(self, number: int = 0, slug: str = "", **headers: str) -> httpx.AsyncClient:
        """A page's requests; cookies are sent as a test says, not as a jar does."""
        port = self.gateways[number].port
        host = f"{slug or self.slug}.localhost:{port}"
        return httpx.AsyncClient(
            base_url=self.gateways[number].url, headers={"Host": host, **PAGE, **headers}, trust_env=False, timeout=30
        )

    async def log_in(self, browser: httpx.AsyncClient, **headers: str) -> httpx.Response:
        step = await browser.post(
            "/api/v1/auth/login",
            json={"email": self.person["email"], "password": self.person["password"]},
            headers=headers,
        )
        assert step.status_code == 200, step.text
        code = await self.code()
        body = {"mfa_token": step.json()["mfa_token"], "method": "totp", "code": code}
        return await browser.post("/api/v1/auth/mfa", json=body, headers=headers)

    async def code(self) -> str:
        """The present code, unspent."""
        await self.sql("auth", "UPDATE totp_factors SET last_step = 0")
        return pyotp.TOTP(self.person["totp_secret"]).now()

    async def sql(self, service: str, statement: str) -> list[Any]:
        connection = await asyncpg.connect(self.environment[f"CODETECT_{service.upper()}_DATABASE_SYSTEM_URL"])
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()


async def admin(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "codetect_auth", "admin", *arguments, "--json"),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    return dict(json.loads(out))


@pytest.fixture(scope="module")
async def clinic(infra: Infrastructure) -> AsyncIterator[Clinic]:
    await infra.migrate("gateway", "auth")
    port = free_port()
    environment = infra.environment | {
        "CODETECT_AUTH_URL": f"http://127.0.0.1:{port}",
        "CODETECT_AUTH_PORT": str(port),
        **{f"CODETECT_{name}_URL": f"http://127.0.0.1:{free_port()}" for name in ("INGEST", "INFERENCE", "ANALYTICS")},
    }
    slug = f"clinic-{free_port()}"
    await admin(environment, "create-facility", "--slug", slug, "--name", "Clinic")
    who = ("--facility", slug, "--email", "mira@clinic.example", "--name", "Mira", "--role", "member", "--with-totp")
    person = await admin(environment, "create-person", *who)
    async with running("codetect_auth", "api", port=port, env=environment) as auth:
        await auth.answers("/readyz")
        async with gateway(environment) as first, gateway(environment) as second:
            for process in (first, second):
                await process.answers("/readyz")
            yield Clinic(environment, auth, (first, second), slug, person)


@asynccontextmanager
async def logged_in(clinic: Clinic) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, str]]]:
    async with clinic.browser() as browser:
        answer = await clinic.log_in(browser)
        assert answer.status_code == 200, answer.text
        browser.cookies.clear()
        yield browser, {"Cookie": cookie_of(answer)}


def cookie_of(answer: httpx.Response) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


async def test_a_page_gets_a_cookie_and_never_a_token(clinic: Clinic) -> None:
    async with clinic.browser() as browser:
        answer = await clinic.log_in(browser)
        attributes = answer.headers["set-cookie"].split("; ")[1:]
        assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
        assert answer.json() == {"expires_in": 600}
        assert answer.headers["cache-control"] == "no-store"
        browser.cookies.clear()
        me = await browser.get("/api/v1/auth/me", headers={"Cookie": cookie_of(answer)})
        assert me.status_code == 200, me.text
        assert me.json()["email"] == "mira@clinic.example"
        assert (await browser.get("/api/v1/auth/me")).status_code == 401
    value = cookie_of(answer).partition("=")[2]
    ((row,),) = await clinic.sql("gateway", "SELECT array_agg(t::text) FROM browser_session t")
    assert not any(value in each or "eyJ" in each for each in row), "neither cookie nor token lies readable at rest"


async def test_a_program_gets_tokens_and_no_cookie(clinic: Clinic) -> None:
    async with clinic.browser() as client:
        for name in PAGE:
            del client.headers[name]
        answer = await clinic.log_in(client)
        assert "refresh_token" in answer.json()
        assert "set-cookie" not in answer.headers


async def test_every_gateway_process_knows_the_login_and_its_end(clinic: Clinic) -> None:
    async with logged_in(clinic) as (browser, cookie), clinic.browser(1) as other:
        assert (await other.get("/api/v1/auth/me", headers=cookie)).status_code == 200
        answer = await browser.post("/api/v1/auth/logout", headers=cookie)
        assert answer.status_code == 204
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert (await browser.get("/api/v1/auth/me", headers=cookie)).status_code == 401
        deadline = time.monotonic() + 5  # the other process believes what it knew for a second
        while "set-cookie" not in (answer := await other.get("/api/v1/auth/me", headers=cookie)).headers:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
        assert answer.status_code == 401
        assert "Max-Age=0" in answer.headers["set-cookie"]
    assert await clinic.sql("auth", "SELECT 1 FROM sessions WHERE end_reason = 'logged out'"), "auth knows, too"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another facility's page
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "", "Origin": "https://evil.example"},
    ],
)
async def test_another_sites_page_can_do_nothing_with_the_cookie(clinic: Clinic, headers: dict[str, str]) -> None:
    async with logged_in(clinic) as (browser, cookie):
        if not headers["Sec-Fetch-Site"]:
            headers = {"Origin": headers["Origin"]}
            for name in PAGE:
                del browser.headers[name]
        for path in ("/api/v1/auth/sessions", "/api/v1/auth/sessions/" + "0" * 32):
            answer = await browser.delete(path, headers=cookie | headers)
            assert (answer.status_code, answer.json()["type"]) == (403, "urn:codetect:problem:cross-site")
        answer = await browser.post("/api/v1/auth/login", json={"email": "a", "password": "b"}, headers=headers)
        assert answer.json()["type"] == "urn:codetect:problem:cross-site", "nobody is logged in as somebody else"
        if headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
            assert (await browser.get("/api/v1/auth/me", headers=cookie | headers)).status_code == 403


async def test_a_page_opens_a_socket(clinic: Clinic) -> None:
    async with logged_in(clinic) as (browser, cookie):
        ticket = (await browser.post("/api/v1/live/ticket", headers=cookie)).json()
        uri = f"ws://{browser.headers['host']}/api/v1/live"
        async with connect(uri, host="127.0.0.1", origin=f"http://{browser.headers['host']}", proxy=None) as socket:
            await socket.send(json.dumps({"ticket": ticket["ticket"]}))
            assert json.loads(await socket.recv())["type"] == "ready"
        assert (await browser.post("/api/v1/live/ticket")).status_code == 401


async def test_an_old_browser_names_its_origin(clinic: Clinic) -> None:
    async with logged_in(clinic) as (browser, cookie):
        for name in PAGE:
            del browser.headers[name]
        origin = {"Origin": f"http://{browser.headers['host']}"}
        assert (await browser.get("/api/v1/auth/me", headers=cookie)).status_code == 200
        answer = await browser.delete("/api/v1/auth/sessions/" + "0" * 32, headers=cookie | origin)
        assert answer.status_code == 404


async def test_a_cookie_is_good_at_its_own_facility_only(clinic: Clinic) -> None:
    other = f"other-{free_port()}"
    await admin(clinic.environment, "create-facility", "--slug", other, "--name", "Other")
    async with logged_in(clinic) as (_, cookie), clinic.browser(slug=other) as elsewhere:
        answer = await elsewhere.get("/api/v1/auth/me", headers=cookie)
        assert answer.status_code == 401
        answer = await elsewhere.get("/api/v1/members", headers=cookie)
        assert answer.json()["type"] == "urn:codetect:problem:login-ended"


async def test_a_login_goes_on_when_the_token_runs_out(clinic: Clinic) -> None:
    """Thirty requests at once at two processes: one refresh, and all of them are let in."""
    async with logged_in(clinic) as (browser, cookie), clinic.browser(1) as other:
        await asyncio.sleep(5.5)  # for what the processes know to be asked for again
        await clinic.sql("gateway", "UPDATE browser_session SET token_expires_at = clock_timestamp()")
        before = await clinic.sql("auth", "SELECT count(*) AS n FROM refresh_tokens")
        each = [one.get("/api/v1/auth/me", headers=cookie) for _ in range(15) for one in (browser, other)]
        answers = await asyncio.gather(*each)
        assert {one.status_code for one in answers} == {200}
        after = await clinic.sql("auth", "SELECT count(*) AS n FROM refresh_tokens")
        assert after[0]["n"] - before[0]["n"] == 1
        assert (await browser.post("/api/v1/auth/refresh", headers=cookie)).status_code == 204
        assert (await browser.get("/api/v1/auth/me", headers=cookie)).status_code == 200


async def test_a_login_that_auth_has_ended_is_over(clinic: Clinic) -> None:
    async with logged_in(clinic) as (browser, cookie):
        await clinic.sql("auth", "UPDATE sessions SET ended_at = clock_timestamp()")
        answer = await browser.post("/api/v1/auth/refresh", headers=cookie)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:codetect:problem:login-ended")
        assert "Max-Age=0" in answer.headers["set-cookie"]
        assert (await browser.get("/api/v1/auth/me", headers=cookie)).status_code == 401
        # A dead cookie is in nobody's way.
        assert (await clinic.log_in(browser, **cookie)).status_code == 200


async def test_a_step_up_is_the_logins_from_then_on(clinic: Clinic) -> None:
    async with logged_in(clinic) as (browser, cookie), clinic.browser(1) as other:
        await clinic.sql("auth", "UPDATE sessions SET proven_at = clock_timestamp() - interval '1 hour'")
        assert (await browser.post("/api/v1/auth/refresh", headers=cookie)).status_code == 204
        refused = await browser.post("/api/v1/auth/recovery-codes", headers=cookie)
        assert refused.json()["type"] == "urn:codetect:problem:step-up-required"
        proof = {"method": "totp", "code": await clinic.code()}
        answer = await browser.post("/api/v1/auth/step-up", json=proof, headers=cookie)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"expires_in": 600}
        assert (await browser.post("/api/v1/auth/recovery-codes", headers=cookie)).status_code == 201
        await asyncio.sleep(1.1)
        assert (await other.post("/api/v1/auth/recovery-codes", headers=cookie)).status_code == 201


async def test_a_page_that_asks_for_an_api_clients_token_gets_it_and_stays_who_it_is(clinic: Clinic) -> None:
    await clinic.sql("auth", "UPDATE people SET role = 'admin'")
    async with logged_in(clinic) as (browser, cookie):
        wanted = {"name": "PACS", "scopes": ["read"]}
        made = await browser.post("/api/v1/api-clients", json=wanted, headers=cookie)
        assert made.status_code == 201, made.text
        client = {"client_id": made.json()["client_id"], "client_secret": made.json()["client_secret"]}
        form = {"grant_type": "client_credentials", **client}
        answer = await browser.post("/oauth/token", data=form, headers=cookie)
        assert answer.status_code == 200, answer.text
        assert answer.json()["access_token"]
        assert "set-cookie" not in answer.headers
        me = await browser.get("/api/v1/auth/me", headers=cookie)
        assert (me.json()["role"], me.json()["email"]) == ("admin", clinic.person["email"])


async def test_a_token_that_is_refused_is_followed_by_a_good_one(clinic: Clinic) -> None:
    """As after a change of rights: auth refuses the token at once, the next request comes with another."""
    async with logged_in(clinic) as (browser, cookie):
        before = await clinic.sql("gateway", "SELECT sealed_tokens FROM browser_session")
        await asyncio.sleep(1.1)
        await clinic.sql(
            "auth",
            "INSERT INTO refusals (id, facility_id, sequence, subject, since)"
            " SELECT gen_random_uuid(), facility_id, 1, id, extract(epoch FROM clock_timestamp())::bigint FROM people",
        )
        answers = [(await browser.get("/api/v1/auth/me", headers=cookie)).status_code for _ in range(4)]
        assert answers in ([401, 200, 200, 200], [200] * 4)
        assert await clinic.sql("gateway", "SELECT sealed_tokens FROM browser_session") != before


async def test_logging_in_again_ends_the_login_before(clinic: Clinic) -> None:
    async with logged_in(clinic) as (browser, cookie):
        fresh = await clinic.log_in(browser, **cookie)
        assert cookie_of(fresh) != cookie["Cookie"]
        browser.cookies.clear()
        assert (await browser.get("/api/v1/auth/me", headers=cookie)).status_code == 401


async def test_a_password_is_not_typed_over_plain_http(clinic: Clinic) -> None:
    """`*.localhost` is the browser's own machine; any other host needs https, and hears so before it sends a code."""
    port = free_port()
    environment = clinic.environment | {"CODETECT_BASE_DOMAIN": "hospital.lan", "CODETECT_GATEWAY_PORT": str(port)}
    auth_port = free_port()
    environment |= {"CODETECT_AUTH_PORT": str(auth_port), "CODETECT_AUTH_URL": f"http://127.0.0.1:{auth_port}"}
    async with (
        running("codetect_auth", "api", port=auth_port, env=environment) as auth,
        running("codetect_gateway", "api", port=port, env=environment) as door,
    ):
        await auth.answers("/readyz")
        await door.answers("/readyz")
        headers = {"Host": f"{clinic.slug}.hospital.lan:{port}", **PAGE}
        async with httpx.AsyncClient(base_url=door.url, headers=headers, trust_env=False) as browser:
            answer = await browser.post("/api/v1/auth/login", json={"email": "a@b.example", "password": "x"})
            assert (answer.status_code, answer.json()["type"]) == (400, "urn:codetect:problem:https-needed")


async def test_every_answer_says_what_a_browser_may_do_with_it(clinic: Clinic) -> None:
    async with clinic.browser() as browser:
        for path in ("/", "/docs", "/api/v1/facility", "/api/v1/nowhere", "/openapi.json"):
            headers = (await browser.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff", path
            assert headers["referrer-policy"] == "no-referrer", path
            assert headers["cross-origin-resource-policy"] == "same-origin", path
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy, path
            assert "frame-ancestors 'none'" in policy, path
            assert "unsafe" not in policy, path
            assert "strict-transport-security" not in headers, "this is no https"
