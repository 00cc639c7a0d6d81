"""PACS at the door: HTTP Basic with an API client, traded for a token; bursts of small requests."""

import asyncio
import base64
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from codetect_shared.db import uuid7
from codetect_shared.tokens import Principal, Role, SigningKey, issue

from tests.gateway.conftest import (
    DEMO,
    KEY,
    OTHER,
    SLUGS,
    House,
    Process,
    free_port,
    gateway,
    running,
    token,
    upstream,
)
from tests.infrastructure import Infrastructure

CHALLENGE = 'Basic realm="codetect", Bearer'


class Program:
    """An API client, as the service that plays auth knows it."""

    def __init__(self, facility: UUID = DEMO) -> None:
        self.id, self.secret, self.facility = str(uuid7()), f"sécret%+& {uuid7()}", facility

    @property
    def name(self) -> str:
        return f"{SLUGS[self.facility]} {self.id}:{self.secret}"

    @property
    def basic(self) -> dict[str, str]:
        return basic(f"{self.id}:{self.secret}")

    def token(self, key: SigningKey = KEY) -> str:
        who = Principal(self.id, self.facility, SLUGS[self.facility], Role.API_CLIENT, frozenset({"read", "write"}))
        return issue(who, key, issuer="codetect-tests")

    async def known_to(self, auth: Process, key: SigningKey = KEY, expires_in: float = 600) -> "Program":
        await control(auth, "grants", {self.name: {"access_token": self.token(key), "expires_in": expires_in}})
        return self

    async def exchanges(self, auth: Process) -> int:
        async with httpx.AsyncClient(base_url=auth.url, trust_env=False) as client:
            return int((await client.get("/control/asked", params={"name": self.name})).text)


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def elsewhere() -> dict[str, str]:
    """An address that no other test has come from."""
    return {"X-Forwarded-For": f"2001:db8:{uuid7().hex[-4:]}:{uuid7().hex[-4:]}::1"}


async def control(service: Process, what: str, body: Any) -> None:
    async with httpx.AsyncClient(base_url=service.url, trust_env=False) as client:
        (await client.post(f"/control/{what}", json=body)).raise_for_status()


@asynccontextmanager
async def apart(house: House, **environment: str) -> AsyncIterator[tuple[Process, Process]]:
    """A gateway with an auth of its own."""
    port = free_port()
    own = {f"CODETECT_GATEWAY_{name}": value for name, value in environment.items()}
    own |= {"CODETECT_AUTH_URL": f"http://127.0.0.1:{port}", "CODETECT_GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
    async with upstream(port) as auth, gateway(house.environment | own) as process:
        await auth.answers("/.well-known/jwks.json")
        await process.answers("/readyz")
        yield process, auth


async def test_id_and_secret_become_a_token_and_go_no_further(house: House) -> None:
    program = await Program().known_to(house.service)
    async with house.client(bearer=None) as client:
        answer = await client.post("/dicomweb/echo", content=b"body", headers=program.basic)
    assert answer.status_code == 201
    sent = [value for name, value in answer.json()["headers"] if name == "authorization"]
    assert len(sent) == 1
    assert sent[0].startswith("Bearer ")
    secret = program.basic["Authorization"].removeprefix("Basic ")
    assert secret not in answer.text


async def test_a_token_is_still_good_where_a_secret_is(house: House) -> None:
    async with house.client() as client:
        bearer = client.headers["authorization"]
        answer = await client.get("/dicomweb/echo", headers=[*client.headers.items(), ("Authorization", "Basic YTpi")])
    assert [value for name, value in answer.json()["headers"] if name == "authorization"] == [bearer]


async def test_requests_that_come_together_make_one_exchange(house: House) -> None:
    program = await Program().known_to(house.service)
    async with house.client(bearer=None) as client:
        answers = await asyncio.gather(*(client.get("/dicomweb/echo", headers=program.basic) for _ in range(40)))
        answers.append(await client.get("/dicomweb/echo", headers=program.basic))
    assert {answer.status_code for answer in answers} == {201}
    assert await program.exchanges(house.service) == 1


@pytest.mark.parametrize(
    "headers",
    [
        basic(f"{uuid7()}:wrong"),
        basic(f"{uuid7()}:"),
        basic("no colon"),
        {"Authorization": "Basic"},
        {"Authorization": "basic !!!!"},
        {"Authorization": "Basic /w=="},
        {"Authorization": b"Basic \xff"},
    ],
)
async def test_a_wrong_pair_is_refused(house: House, headers: dict[str, str]) -> None:
    async with house.client(bearer=None) as client:
        answer = await client.get("/dicomweb/echo", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:codetect:problem:credentials-refused"


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Digest x"}])
async def test_whoever_brings_nothing_is_told_what_to_bring(house: House, headers: dict[str, str]) -> None:
    async with house.client(bearer=None) as client:
        answer = await client.get("/dicomweb/echo", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, CHALLENGE)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:codetect:problem:credentials-missing"


@pytest.mark.parametrize("path", ["/api/v1/studies/echo", "/api/v1/ingest/echo"])
async def test_elsewhere_a_secret_is_no_login_and_goes_nowhere(house: House, path: str) -> None:
    program = await Program().known_to(house.service)
    async with house.client(bearer=None) as client:
        answer = await client.get(path, headers=program.basic)
    assert "authorization" not in {name for name, _ in answer.json()["headers"]}
    assert await program.exchanges(house.service) == 0


async def test_a_pair_is_good_at_its_own_facility_alone(house: House) -> None:
    program = await Program().known_to(house.service)
    async with house.client(bearer=None) as client, house.client(OTHER, bearer="x") as other:
        assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
        assert (await other.get("/dicomweb/echo", headers=program.basic)).status_code == 401
        # Not even auth could make it good there: its token would name the other facility.
        program_there = Program(OTHER)
        program_there.id, program_there.secret = program.id, program.secret
        await control(
            house.service, "grants", {program_there.name: {"access_token": program.token(), "expires_in": 600}}
        )
        answer = await other.get("/dicomweb/echo", headers=program.basic)
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:codetect:problem:token-invalid")


async def test_an_unknown_host_is_told_so_before_anything_is_asked(house: House) -> None:
    async with house.client("nowhere", bearer=None) as client:
        answer = await client.get("/dicomweb/echo", headers=Program().basic)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:codetect:problem:unknown-host")


async def test_a_revoked_client_stops_soon(house: House) -> None:
    async with apart(house, BASIC_FRESH_S="1") as (process, auth):
        program = await Program().known_to(auth)
        async with house.client(bearer=None, gateway=process) as client:
            assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
            await asyncio.sleep(1.1)
            assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
            assert await program.exchanges(auth) == 2
            await control(auth, "grants", {program.name: None})
            await asyncio.sleep(1.1)
            assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 401


async def test_a_token_is_renewed_before_it_runs_out(house: House) -> None:
    program = await Program().known_to(house.service, expires_in=31)
    async with house.client(bearer=None) as client:
        await client.get("/dicomweb/echo", headers=program.basic)
        await asyncio.sleep(1.1)
        await client.get("/dicomweb/echo", headers=program.basic)
    assert await program.exchanges(house.service) == 2


async def test_while_auth_is_away_who_was_known_goes_on(house: House) -> None:
    async with apart(house, BASIC_FRESH_S="0.5") as (process, auth):
        known, short, unknown = Program(), Program(), Program()
        await known.known_to(auth)
        await short.known_to(auth, expires_in=31)
        async with house.client(bearer=None, gateway=process) as client:
            for program in (known, short):
                assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
            await auth.stop()
            await asyncio.sleep(1.2)
            for _ in range(2):
                assert (await client.get("/dicomweb/echo", headers=known.basic)).status_code == 201
            for program in (short, unknown):
                answer = await client.get("/dicomweb/echo", headers=program.basic)
                assert (answer.status_code, answer.json()["part"]) == (503, "auth")
                assert int(answer.headers["retry-after"]) > 0


async def test_when_a_key_is_revoked_a_new_token_is_fetched(house: House) -> None:
    async with apart(house) as (process, auth):
        program, young = await Program().known_to(auth), SigningKey.generate()
        async with house.client(bearer=None, gateway=process) as client:
            assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
            await control(auth, "jwks", {"keys": [young.public_jwk()]})
            await program.known_to(auth, young)
            await asyncio.sleep(2.1)  # keys are asked for at most every two seconds
            newcomer = {"Authorization": f"Bearer {Program().token(young)}"}
            assert (await client.get("/dicomweb/echo", headers=newcomer)).status_code == 201
            assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201


async def test_a_revoked_client_is_out_within_a_minute_and_the_others_stay(house: House) -> None:
    async with apart(house) as (process, auth):
        revoked, other = await Program().known_to(auth), await Program().known_to(auth)
        async with house.client(bearer=None, gateway=process) as client:
            for program in (revoked, other):
                assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
            entry = {"facility": str(DEMO), "subject": revoked.id, "session": None, "since": int(time.time())}
            await control(auth, "grants", {revoked.name: None})
            await control(auth, "refused", [entry])
            started = time.monotonic()
            while (status := (await client.get("/dicomweb/echo", headers=revoked.basic)).status_code) == 201:
                assert time.monotonic() - started < 60
                await asyncio.sleep(0.5)
            assert status == 401
            assert (await client.get("/dicomweb/echo", headers=other.basic)).status_code == 201
            assert await other.exchanges(auth) == 1


async def test_guesses_are_throttled_and_those_who_are_known_are_not(house: House) -> None:
    async with apart(house, RATE_ANONYMOUS="10") as (process, auth):
        program = await Program().known_to(auth)
        if time.time() % 60 > 40:
            await asyncio.sleep(61 - time.time() % 60)
        async with house.client(bearer=None, gateway=process) as client:
            client.headers.update(elsewhere())
            for _ in range(20):  # many programs ask without credentials first, each time
                assert (await client.get("/dicomweb/echo")).status_code == 401
            assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
            guesses = [(await client.get("/dicomweb/echo", headers=Program().basic)).status_code for _ in range(11)]
            assert guesses == [401] * 9 + [429] * 2
            assert (await client.get("/dicomweb/echo", headers=program.basic)).status_code == 201
            one = Program().basic
            together = await asyncio.gather(*(client.get("/dicomweb/echo", headers=one) for _ in range(12)))
            assert {answer.status_code for answer in together} == {429}


async def test_the_same_wrong_pair_all_at_once_counts_each_time(house: House) -> None:
    async with apart(house, RATE_ANONYMOUS="10") as (process, _):
        if time.time() % 60 > 40:
            await asyncio.sleep(61 - time.time() % 60)
        one = Program().basic
        async with house.client(bearer=None, gateway=process) as client:
            client.headers.update(elsewhere())
            together = await asyncio.gather(*(client.get("/dicomweb/echo", headers=one) for _ in range(15)))
        assert Counter(answer.status_code for answer in together) == {401: 10, 429: 5}


async def test_a_pacs_may_send_two_thousand_small_studies_in_a_burst(house: House) -> None:
    """As fast as they are taken, with the limit that is the default, whatever its people may do."""
    async with apart(house, RATE_ANONYMOUS="300", RATE_PERSON="100") as (process, auth):
        program = await Program().known_to(auth)
        lines = [
            "POST /dicomweb/studies HTTP/1.1",
            f"Host: demo.localhost:{process.port}",
            f"Authorization: {program.basic['Authorization']}",
            "Content-Length: 2000",
        ]
        request = "\r\n".join([*lines, "", "x" * 2000]).encode()
        statuses: Counter[bytes] = Counter()

        async def send(count: int) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
            for _ in range(count):
                writer.write(request)
                statuses[(await reader.readuntil(b"\r\n"))[9:12]] += 1
                await reader.readuntil(b"}")
            writer.close()

        await asyncio.gather(*(send(250) for _ in range(8)))
        assert statuses == {b"200": 2000}
        assert await program.exchanges(auth) == 1


async def test_dicomweb_has_a_limit_of_its_own(house: House) -> None:
    async with apart(house, RATE_PACS="20", RATE_PERSON="5") as (process, _):
        if time.time() % 60 > 40:
            await asyncio.sleep(61 - time.time() % 60)
        async with house.client(DEMO, token(), process) as client:
            dicomweb = [(await client.get("/dicomweb/echo")).status_code for _ in range(22)]
            others = [(await client.get("/api/v1/studies/echo")).status_code for _ in range(6)]
        assert (dicomweb, others) == ([201] * 20 + [429] * 2, [201] * 5 + [429])


async def command(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "codetect_auth", "admin", *arguments, "--json"),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    made: dict[str, Any] = json.loads(out)
    return made


async def test_the_real_auth_service_takes_what_the_gateway_brings(house: House, infra: Infrastructure) -> None:
    await infra.migrate("auth")
    port, slug = free_port(), f"f-{uuid7().hex}"
    environment = house.environment | {
        "CODETECT_AUTH_URL": f"http://127.0.0.1:{port}",
        "CODETECT_AUTH_PORT": str(port),
        "CODETECT_GATEWAY_BASIC_FRESH_S": "1",
    }
    await command(environment, "create-facility", "--slug", slug, "--name", "Clinic")
    scopes = ("--scope", "read", "--scope", "identity")
    made = await command(environment, "create-api-client", "--facility", slug, "--name", "PACS", *scopes)
    headers = basic(f"{made['client_id']}:{made['client_secret']}")
    async with running("codetect_auth", "api", port=port, env=environment) as auth:
        await auth.answers("/readyz")  # a gateway that finds no keys at its start looks again after two seconds
        async with gateway(environment) as process:
            await process.answers("/readyz")
            async with house.client(slug, bearer=None, gateway=process) as client:
                answer = await client.get("/dicomweb/echo", headers=headers)
                assert answer.status_code == 201
                bearer = {"Authorization": dict(answer.json()["headers"])["authorization"]}
                me = (await client.get("/api/v1/auth/me", headers=bearer)).json()
                assert (me["id"], me["scopes"]) == (made["client_id"], ["identity", "read"])
                assert (await client.get("/api/v1/auth/me", headers=headers)).status_code == 401
                assert (await client.get("/dicomweb/echo", headers=basic(f"{uuid7()}:wrong"))).status_code == 401
                await auth_sql(infra, f"UPDATE api_clients SET revoked_at = now() WHERE id = '{made['client_id']}'")
                await asyncio.sleep(1.1)
                assert (await client.get("/dicomweb/echo", headers=headers)).status_code == 401


async def auth_sql(infra: Infrastructure, statement: str) -> None:
    connection = await asyncpg.connect(infra.environment["CODETECT_AUTH_DATABASE_SYSTEM_URL"])
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
