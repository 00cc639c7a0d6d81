"""The auth service in this process on a real Postgres, and people to log in."""

import asyncio
import io
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pyotp
import pytest
from codetect_auth import admin, app, people
from codetect_auth.app import api
from codetect_auth.context import Auth
from codetect_auth.models import Facility
from codetect_auth.settings import Settings
from codetect_shared.sealing import unseal
from codetect_shared.tokens import Role
from fastapi import FastAPI
from sqlalchemy import text

from tests.infrastructure import Infrastructure, empty_broker

addresses = (f"10.{a}.{b}.{c}" for a, b, c in itertools.product(range(256), repeat=3))


@dataclass
class Account:
    """Somebody's e-mail address, password and authenticator, at a facility's own host."""

    client: httpx.AsyncClient
    email: str
    password: str
    totp_secret: str = ""
    recovery_codes: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The facility's host name."""
        return str(self.client.headers["x-forwarded-host"])

    def code(self, steps: int = 0) -> str:
        """The code of this moment, or of some steps (30 s) from now."""
        return pyotp.TOTP(self.totp_secret).at(int(time.time()) + 30 * steps)

    async def step_one(self, **headers: str) -> httpx.Response:
        body = {"email": self.email, "password": self.password}
        return await self.client.post("/api/v1/auth/login", json=body, headers=headers)

    async def step_two(self, mfa_token: str, code: str, method: str = "totp", **headers: str) -> httpx.Response:
        body = {"mfa_token": mfa_token, "method": method, "code": code}
        return await self.client.post("/api/v1/auth/mfa", json=body, headers=headers)

    async def enrol(self) -> dict[str, Any]:
        """The first login, with the code of the step before this one, so that the next login needn't wait."""
        while time.time() % 30 > 27:  # on its way it would become the code of two steps before
            await asyncio.sleep(0.1)
        token = (await self.step_one()).json()["enrolment_token"]
        enrolment = await self.client.post("/api/v1/auth/totp/enrol", json={"enrolment_token": token})
        self.totp_secret = enrolment.json()["secret"]
        body = {"enrolment_token": token, "code": self.code(-1)}
        answer = await self.client.post("/api/v1/auth/totp/confirm", json=body)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        self.recovery_codes = tokens["recovery_codes"]
        return tokens

    async def refresh(self, refresh_token: str) -> httpx.Response:
        return await self.client.post("/api/v1/auth/refresh", json={"refresh_token": refresh_token})

    async def get(self, path: str, access_token: str) -> httpx.Response:
        return await self.send("GET", path, access_token)

    async def send(self, method: str, path: str, access_token: str, body: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {access_token}"}
        return await self.client.request(method, path, json=body, headers=headers)


@dataclass
class House:
    """The running service, and facilities in it."""

    app: FastAPI
    auth: Auth

    def client(self, host: str, address: str | None = None) -> httpx.AsyncClient:
        """A client as the gateway would forward it, from an address of its own."""
        headers = {"X-Forwarded-Host": host, "X-Forwarded-For": address or next(addresses)}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://auth", headers=headers)

    async def facility(self, slug: str | None = None) -> Facility:
        return await people.open_facility(self.auth.db, slug or f"f-{secrets.token_hex(6)}", "Test Clinic")

    async def account(self, role: Role = Role.MEMBER, facility: Facility | None = None) -> Account:
        """A person who hasn't logged in yet."""
        if role is Role.OPERATOR:
            facility = await self.auth.facility_of("admin.localhost") or await self.facility("admin")
        facility = facility or await self.facility()
        email, password = f"{secrets.token_hex(6)}@clinic.example", secrets.token_urlsafe(15)
        hashed = await self.auth.passwords.hash(password)
        await people.add_person(self.auth.db, facility, email, "Test Person", role, hashed)
        return Account(self.client(f"{facility.slug}.localhost"), email, password)

    def account_at(self, slug: str, email: str) -> Account:
        """Somebody who isn't there yet."""
        return Account(self.client(f"{slug}.localhost"), email, "seven quiet herons")

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        """Look at, or bend, the database behind the service's back."""
        async with self.auth.db.system() as session:
            result = await session.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    async def mails(self, to: str, kind: str | None = None) -> list[dict[str, Any]]:
        """The facts of the mails asked for to an address, oldest first, unsealed as the mailer would."""
        found = []
        for row in await self.sql("SELECT id, kind, sealed_letter FROM mails ORDER BY created_at, id"):
            if row.sealed_letter is not None and kind in (None, row.kind):
                letter = json.loads(unseal(self.auth.settings.master_key, row.sealed_letter, f"mail/{row.id}"))
                if letter["to"] == to:
                    found.append({"kind": row.kind, **letter["facts"]})
        return found

    async def token(self, to: str, kind: str) -> str:
        """The token in the newest mail of a kind."""
        return str((await self.mails(to, kind))[-1]["url"]).partition("#token=")[2]

    async def stale(self, account: Account, refresh_token: str) -> dict[str, Any]:
        """The account's tokens as they would be eleven minutes after it last gave a second factor."""
        await self.sql(
            "UPDATE sessions SET proven_at = proven_at - interval '11 minutes' WHERE person_id IN"
            " (SELECT id FROM people WHERE email = :email)",
            email=account.email,
        )
        answer = await account.refresh(refresh_token)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def id_of(self, account: Account) -> str:
        [(id,)] = await self.sql("SELECT id FROM people WHERE email = :email", email=account.email)
        return str(id)

    async def pass_time(self, seconds: int) -> None:
        """Let the waits of everybody's throttles run down."""
        await self.sql(f"UPDATE throttle SET next_at = next_at - interval '{seconds} seconds'")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[House]:
    service = api(settings)
    async with service.router.lifespan_context(service):
        yield House(service, service.state.auth)


@pytest.fixture(scope="package")
async def house(infra: Infrastructure, environment: Mapping[str, str]) -> AsyncIterator[House]:
    await infra.migrate("auth")
    # Endpoints of webhooks stand on this machine in tests, which no operator would allow otherwise.
    settings = Settings(webhook_networks="127.0.0.0/8")
    await empty_broker(environment["CODETECT_RABBITMQ_URL"])
    with pytest.MonkeyPatch.context() as patch:
        # Tests sweep when they mean to: it asks for mails about API clients of tests before.
        patch.setattr(app, "SWEEP_S", 86_400)
        async with running(settings) as house:
            yield house


class Shell:
    """Runs `python -m codetect_auth admin ... --json` in a thread of this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    async def __call__(self, *arguments: str, password: str = "") -> tuple[int, dict[str, Any], str]:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
        self._capsys.readouterr()
        code = 0
        try:
            await asyncio.to_thread(admin.run, [*arguments, "--json"])
        except SystemExit as error:
            code = int(error.code or 0)
        captured = self._capsys.readouterr()
        return code, json.loads(captured.out) if code == 0 else {}, captured.err


@pytest.fixture
def shell(house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(capsys, monkeypatch)
