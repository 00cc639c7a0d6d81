"""A facility of its own on the running stack, with something of everything in it, and those who ask for it.

It is opened through the API, and nothing of the demo's is touched: what is asked here may suspend, erase and end.
"""

import asyncio
import base64
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pyotp
from codetect_local.coming_in import answer
from codetect_local.demo import Demo
from codetect_local.stack import Stack

from tests.faults.studies import new_study
from tests.inference.samples import bundle_files, zipped

SLUG, SPARE, MODEL = "judged", "judged-spare", "judged"
PAGE = {"Sec-Fetch-Site": "same-origin"}
REFRESH_S = 240
addresses = (f"127.0.{a}.{b}" for a, b in itertools.product(range(10, 256), range(1, 255)))


@dataclass
class Party:
    """Somebody who asks, from an address of their own: what one does wrong is held against nobody else."""

    name: str
    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    refresh_token: str = ""
    since: float = 0.0

    async def log_in(self, person: dict[str, Any], page: bool = False) -> None:
        """With a password and a code; a page gets a cookie."""
        headers = PAGE if page else {}
        body = {key: person[key] for key in ("email", "password")}
        step = answer(await self.client.post("/api/v1/auth/login", json=body, headers=headers))
        code = pyotp.TOTP(person["totp_secret"]).now()
        body = {"mfa_token": step["mfa_token"], "method": "totp", "code": code}
        reply = await self.client.post("/api/v1/auth/mfa", json=body, headers=headers)
        if page:
            answer(reply)
            self.headers = PAGE | {"Cookie": reply.headers["set-cookie"].partition(";")[0]}
        else:
            self._take(answer(reply))

    async def keep(self) -> None:
        """Have a token that lasts for a while."""
        if self.refresh_token and time.monotonic() - self.since > REFRESH_S:
            body = {"refresh_token": self.refresh_token}
            self._take(answer(await self.client.post("/api/v1/auth/refresh", json=body)))

    async def is_in(self) -> bool:
        """Whether the login still is."""
        return (await self.client.get("/api/v1/auth/me", headers=self.headers)).is_success

    async def get(self, path: str) -> Any:
        return answer(await self.client.get(path, headers=self.headers))

    async def post(self, path: str, **body: Any) -> Any:
        return answer(await self.client.post(path, headers=self.headers, **body))

    def _take(self, tokens: dict[str, Any]) -> None:
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        self.refresh_token, self.since = tokens["refresh_token"], time.monotonic()


class Court(Demo):
    """The facility, and its parties by name."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.parties: dict[str, Party] = {}
        self.known: dict[str, str] = {}
        self._clients: list[httpx.AsyncClient] = []
        self.wrong_pair = basic("nobody", "wrong")
        # Of several addresses: each may only ask so often.
        self._strangers = itertools.cycle([self.party("a stranger") for _ in range(8)])

    @asynccontextmanager
    async def sitting(self) -> "AsyncIterator[Court]":
        """Open it; afterwards its model reads nobody's studies."""
        usher = await self.person("usher", "operator")  # the other one's login is ended
        try:
            await self.open(usher)
            yield self
            await usher.keep()
            path = "/api/v1/models/{name}/{version}".format(**self.known)
            answer(await usher.client.patch(path, json={"active": False}, headers=usher.headers))
        finally:
            for client in self._clients:
                await client.aclose()

    def stranger(self, headers: Mapping[str, str]) -> Party:
        """Somebody with nothing but these headers."""
        return replace(next(self._strangers), headers=dict(headers))

    def party(self, name: str, slug: str = SLUG) -> Party:
        """Somebody unknown so far."""
        port = self.settings.port("gateway")
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Host": f"{slug}.{self.settings.base_domain}:{port}"},
            transport=httpx.AsyncHTTPTransport(local_address=next(addresses), verify=False),
            timeout=60,
        )
        self._clients.append(client)
        return Party(name, client)

    async def person(self, name: str, role: str, page: bool = False) -> Party:
        """A person of the facility, or the operator, who has logged in."""
        who = ("--email", f"{name}@{SLUG}.example", "--name", name.title(), "--with-totp")
        if role == "operator":
            made = await self.auth("create-operator", *who)
        else:
            made = await self.auth("create-person", "--facility", SLUG, "--role", role, "--right", "identity", *who)
        party = self.party(name, "admin" if role == "operator" else SLUG)
        await party.log_in(made, page)
        return party

    async def open(self, usher: Party) -> None:
        """Open it, bring people in, and have a study analysed there."""
        for slug in (SLUG, SPARE):
            made = await usher.post("/api/v1/facilities", json={"slug": slug, "name": slug.title()})
        self.known = {"facility_id": made["id"]}
        people = {"operator": "operator", "admin": "admin", "member": "member", "viewer": "viewer", "victim": "viewer"}
        came = await asyncio.gather(*(self.person(*each) for each in people.items()))
        pages = await asyncio.gather(*(self.person(name, "admin", page=True) for name in ("page", "leaver", "ender")))
        self.parties = {party.name: party for party in (*came, *pages)}
        await self._fill(usher, self.parties["admin"])
        for party in self.parties.values():
            own = await party.get("/api/v1/auth/factors")
            party.known = self.known | {"factor_id": own["items"][0]["id"]}
        (session,) = (await self.parties["ender"].get("/api/v1/auth/sessions"))["items"]
        self.parties["ender"].known = {"session_id": session["id"]}

    async def _fill(self, usher: Party, admin: Party) -> None:
        """Something of everything that has an address."""
        known = self.known
        files = {"bundle": ("bundle.zip", zipped(bundle_files(name=MODEL)), "application/zip")}
        model = await usher.post("/api/v1/models", files=files)
        known |= {"name": model["name"], "version": model["version"], "n": "0", "number": "0", "frames": "1"}
        known |= {"tag": "7FE00010"}
        members = (await admin.get("/api/v1/members"))["items"]
        known["member_id"] = next(one["id"] for one in members if one["email"].startswith("victim@"))
        invited = await admin.post("/api/v1/invitations", json={"email": "i@judged.example", "name": "I"})
        known["invitation_id"] = invited["items"][0]["invitation"]["id"]
        client = await admin.post("/api/v1/api-clients", json={"name": "pacs"})
        self.pacs = self.party("a PACS")
        self.pacs.headers, self.pacs.known = basic(client["client_id"], client["client_secret"]), known
        known["client_id"] = (await admin.post("/api/v1/api-clients", json={"name": "spare"}))["client_id"]
        hook = {"url": "https://hook.judged.example/", "types": ["codetect.study.received.v1"]}
        known["webhook_id"] = (await admin.post("/api/v1/webhooks", json=hook))["id"]
        sent = await admin.post(f"/api/v1/webhooks/{known['webhook_id']}/test")
        known["delivery_id"] = sent["id"]
        pacs = {"name": "pacs", "url": "https://pacs.judged.example/dicomweb"}
        known["destination_id"] = (await admin.post("/api/v1/ingest/destinations", json=pacs))["id"]
        await self._analyse(admin)

    async def _analyse(self, admin: Party) -> None:
        """An upload whose study has been analysed."""
        known, slices = self.known, new_study(12)
        upload = await admin.post("/api/v1/uploads", json={"reference": "mine"})
        known["upload_id"], form = upload["id"], upload["post"]
        async with httpx.AsyncClient(trust_env=False) as store:
            for number, content in enumerate(slices):
                fields = form["fields"] | {"key": f"{upload['key_prefix']}{number:06}"}
                (await store.post(form["url"], data=fields, files={"file": content})).raise_for_status()
        claim = {"file_count": len(slices), "total_bytes": sum(map(len, slices))}
        await admin.post(f"/api/v1/uploads/{upload['id']}/complete", json=claim)
        async with asyncio.timeout(120):
            while True:
                found = (await admin.get("/api/v1/analyses"))["items"]
                if done := [one for one in found if one["status"] == "completed"]:
                    break
                await asyncio.sleep(0.5)
        known |= {"analysis_id": done[0]["id"], "study_id": done[0]["study_id"]}
        contrary = {"label": "grey", "says": "absent" if done[0]["findings"][0]["positive"] else "present"}
        path = f"/api/v1/analyses/{known['analysis_id']}/feedback"
        known["feedback_id"] = (await admin.post(path, json={"findings": [contrary]}))["items"][0]["id"]
        found = await admin.client.get("/dicomweb/instances", headers=admin.headers)
        names = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}
        known |= {name: found.json()[0][tag]["Value"][0] for name, tag in names.items()}


def basic(id: str, secret: str) -> dict[str, str]:
    """What a PACS sends with each request."""
    return {"Authorization": "Basic " + base64.b64encode(f"{id}:{secret}".encode()).decode()}
