"""The oracle of the fault tests: what was answered 202, and what became of it.

It talks plain HTTP and WebSocket to the gateway, as a stranger would, and tries everything again until it is answered:
whatever a fault did to a request, what counts is what was promised.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import websockets

from tests.faults.studies import new_study

MODEL = "covid-ct-densenet169"
FINAL = {"completed", "failed", "cancelled"}


@dataclass(frozen=True)
class Facility:
    """Where the ledger's client works, and as whom."""

    port: int
    host: str
    client_id: str
    client_secret: str


@dataclass
class Ledger:
    """Submits small studies, notes each 202, and compares in the end."""

    facility: Facility
    http: httpx.AsyncClient
    promised: dict[str, int] = field(default_factory=dict)
    completed_frames: Counter[str] = field(default_factory=Counter)
    resyncs: int = 0
    surprises: list[str] = field(default_factory=list)
    _cursor: str | None = None
    _token: str = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, facility: Facility) -> AsyncIterator[Self]:
        """A ledger that listens on the WebSocket, reconnecting, as long as it is open."""
        limits = httpx.Limits(max_keepalive_connections=0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{facility.port}", timeout=20, limits=limits) as http:
            ledger = cls(facility, http)
            await ledger._log_in()
            listening = asyncio.create_task(ledger._listen())
            while ledger._cursor is None:
                await asyncio.sleep(0.05)
            try:
                yield ledger
            finally:
                listening.cancel()
                await asyncio.wait([listening])

    async def _log_in(self) -> None:
        async def ask() -> httpx.Response:
            data = {"grant_type": "client_credentials"}
            auth = (self.facility.client_id, self.facility.client_secret)
            return await self.http.post("/oauth/token", data=data, auth=auth, headers={"Host": self.facility.host})

        self._token = (await self._patiently(ask)).json()["access_token"]

    async def api(self, method: str, path: str, **rest: Any) -> Any:
        """The JSON answer to a request, asked again while the house is shaken."""

        async def ask() -> httpx.Response:
            headers = {"Host": self.facility.host, "Authorization": f"Bearer {self._token}"}
            answer = await self.http.request(method, f"/api/v1{path}", headers=headers, **rest)
            if answer.status_code == 401:
                await self._log_in()
            return answer

        return (await self._patiently(ask)).json()

    async def _patiently(self, ask: Callable[[], Awaitable[httpx.Response]], patience_s: float = 120) -> httpx.Response:
        last: object = None
        async with asyncio.timeout(patience_s):
            while True:
                try:
                    answer = await ask()
                    if answer.is_success:
                        return answer
                    last = f"{answer.status_code} {answer.text[:200]}"
                    if answer.status_code not in (401, 404, 409, 429, 500, 502, 503, 504):
                        raise AssertionError(last)
                    if answer.status_code == 500:
                        self.surprises.append(str(last))
                except httpx.HTTPError as error:
                    last = repr(error)
                await asyncio.sleep(0.3)
        raise AssertionError(f"no answer within {patience_s} s: {last}")

    async def submit(self, files: list[bytes] | None = None) -> str:
        """Post a study and complete it; returns the upload's id once it was answered 202."""
        files = files or new_study()
        upload = await self.api("POST", "/uploads", json={"models": [MODEL]})
        for number, body in enumerate(files, 1):

            async def post(number: int = number, body: bytes = body) -> httpx.Response:
                fields = {**upload["post"]["fields"], "key": f"{upload['key_prefix']}{number:06}"}
                return await self.http.post(upload["post"]["url"], data=fields, files={"file": ("x", body)})

            await self._patiently(post)
        claim = {"file_count": len(files), "total_bytes": sum(map(len, files))}
        await self.api("POST", f"/uploads/{upload['id']}/complete", json=claim)
        self.promised[upload["id"]] = len(files)
        return str(upload["id"])

    @asynccontextmanager
    async def submitting(self, pause_s: float = 1.0) -> AsyncIterator[None]:
        """Studies keep coming while the block runs."""
        stop = asyncio.Event()

        async def submissions() -> None:
            while not stop.is_set():
                await self.submit()
                await asyncio.sleep(pause_s)

        task = asyncio.create_task(submissions())
        try:
            yield
        finally:
            stop.set()
            await task

    async def analyses(self, upload_id: str) -> list[dict[str, Any]]:
        """All analyses that came of an upload."""
        return list((await self.api("GET", "/analyses", params={"upload_id": upload_id}))["items"])

    async def settle(self, within_s: float = 180) -> None:
        """Wait until everything promised has its result, then hold it against the promises: lost 0, doubled 0."""
        async with asyncio.timeout(within_s):
            for upload_id, files in self.promised.items():
                while (upload := await self.api("GET", f"/uploads/{upload_id}"))["state"] not in ("done", "refused"):
                    await asyncio.sleep(0.3)
                assert upload["state"] == "done", upload
                assert Counter(f["state"] for f in upload["files"]) == {"accepted": files}, upload
                while not (found := await self.analyses(upload_id)) or any(a["status"] not in FINAL for a in found):
                    await asyncio.sleep(0.3)
                studies = {s["study_id"] for s in upload["studies"]}
                visible = Counter((a["study_id"], a["model"]["name"]) for a in found if not a["superseded"])
                assert {study for study, _ in visible} == studies, (upload, found)
                assert set(visible.values()) == {1}, found
                for analysis in found:
                    assert analysis["status"] == "completed", analysis
                    assert analysis["slices_total"] == files, analysis
                    while not (self.completed_frames[analysis["id"]] or self.resyncs):
                        await asyncio.sleep(0.1)
        doubled = {k: n for k, n in self.completed_frames.items() if n > 1}
        assert not doubled, f"frames seen twice: {doubled}"
        assert self.resyncs == 0

    async def _listen(self) -> None:
        while True:
            try:
                ticket = await self.api("POST", "/live/ticket")
                first = {"ticket": ticket["ticket"]} | ({"after": self._cursor} if self._cursor else {})
                uri = f"ws://{self.facility.host}/api/v1/live"
                address = {"host": "127.0.0.1", "port": self.facility.port}
                async with websockets.connect(uri, **address, ping_interval=2, ping_timeout=5) as socket:
                    await socket.send(json.dumps(first))
                    async for text in socket:
                        self._frame(json.loads(text))
            except (OSError, TimeoutError, websockets.WebSocketException, httpx.HTTPError):
                await asyncio.sleep(0.2)

    def _frame(self, frame: dict[str, Any]) -> None:
        self._cursor = frame["cursor"]
        if frame["type"] == "resync":
            self.resyncs += 1
        if frame["type"] == "codetect.analysis.completed.v1":
            self.completed_frames[frame["data"]["analysis_id"]] += 1
