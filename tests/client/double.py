"""A server of the contract in memory, for what a real one can't be made to do: policies that end at once, cut sockets,
lost answers, a clock that is hours off. Everything else is tested against the real stack in tests/e2e.
"""

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from itertools import count
from typing import Any
from uuid import uuid4
from zipfile import ZipFile

import uvicorn
from codetect.credentials import totp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

TOTP_SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
EMAIL, PASSWORD = "reader@example.org", "correct horse battery staple"
CLIENT_ID, CLIENT_SECRET = "018f0000-0000-7000-8000-000000000001", "s3cret"
FACILITY_ID = "018f0000-0000-7000-8000-0000000000fa"
BUCKET = "/codetect-raw"


@dataclass
class Fault:
    """What happens to the next `times` requests whose method and path begin so."""

    begins: str
    times: int
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False  # the request takes effect, its answer is lost


@dataclass
class Double:
    """The server's state, and the knobs of its faults."""

    port: int = 0
    scheme: str = "http"
    token_s: int = 600
    policy_s: float = 600
    post_s: float = 0
    clock_off: timedelta = timedelta()
    max_file_bytes: int = 10_000_000
    max_files: int = 1000
    analyses_per_study: int = 1
    live: bool = True
    faults: list[Fault] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    store: dict[str, bytes] = field(default_factory=dict)
    posts: list[str] = field(default_factory=list)
    names_sent: list[str] = field(default_factory=list)
    uploads: dict[str, dict[str, Any]] = field(default_factory=dict)
    analyses: dict[str, dict[str, Any]] = field(default_factory=dict)
    studies: dict[str, dict[str, Any]] = field(default_factory=dict)
    cut_zips: bool = False
    stale: bool = False  # nobody has proved lately that it is them
    frames: list[dict[str, Any]] = field(default_factory=list)
    held_from: int = 0
    cut_after_ready: int = 0
    sockets: set[WebSocket] = field(default_factory=set)
    tickets: set[str] = field(default_factory=set)
    access: dict[str, float] = field(default_factory=dict)
    refresh: set[str] = field(default_factory=set)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    busy: int = 0
    busiest: int = 0
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    @property
    def url(self) -> str:
        return f"{self.scheme}://demo.localhost:{self.port}"

    def times(self, begins: str) -> int:
        """How often this was asked."""
        return sum(line.startswith(begins) for line in self.log)

    def fail(self, begins: str, status: int | None, times: int = 1, *, after: bool = False, **headers: str) -> None:
        """Answer with a status, or (None) cut the connection."""
        self.faults.append(Fault(begins, times, status, {k.replace("_", "-"): v for k, v in headers.items()}, after))

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock_off

    def tell(self, thing: str, **data: Any) -> None:
        """An event for everybody."""
        number = len(self.frames)
        frame = {
            "type": f"codetect.{thing}.v1",
            "time": self.now().isoformat(),
            "cursor": f"{number + 1}.0badcafe",
            "data": data,
        }
        self.frames.append(frame)
        for ws in list(self.sockets):
            self.spawn(self._send(ws, frame))

    async def _send(self, ws: WebSocket, frame: dict[str, Any]) -> None:
        try:
            await ws.send_text(json.dumps(frame))
        except Exception:
            self.sockets.discard(ws)

    async def cut(self) -> None:
        """Cut all sockets."""
        for ws in list(self.sockets):
            self.sockets.discard(ws)
            await ws.close(1012)

    def spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def tokens(self) -> dict[str, Any]:
        access, refresh = f"access-{next(self.numbers)}", f"refresh-{next(self.numbers)}"
        self.access[access] = time.monotonic() + self.token_s
        self.refresh.add(refresh)
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.token_s,
            "refresh_token": refresh,
        }

    def policy(self, upload: dict[str, Any]) -> dict[str, Any]:
        ends = self.now() + timedelta(seconds=self.policy_s)
        upload["expires_at"] = ends
        claims = json.dumps({"upload": upload["id"], "ends": ends.timestamp()})
        return {
            "id": upload["id"],
            "state": upload["state"],
            "post": {
                "url": f"{self.scheme}://s3.localhost:{self.port}{BUCKET}",
                "fields": {"policy": base64.b64encode(claims.encode()).decode(), "x-amz-date": "20260101T000000Z"},
            },
            "key_prefix": f"f/{upload['id']}/",
            "max_file_bytes": self.max_file_bytes,
            "max_files": self.max_files,
            "max_total_bytes": 10**9,
            "expires_at": ends.isoformat(),
        }

    async def process(self, upload: dict[str, Any]) -> None:
        """Import, then analyse, when the test lets it."""
        keys = sorted(k for k in self.store if k.startswith(f"f/{upload['id']}/"))
        study = str(uuid4())
        for key in keys:
            file = next(f for f in upload["files"] if f["number"] == int(key[-6:]))
            if self.store[key].startswith(b"junk"):
                file |= {"state": "refused", "code": "not_dicom", "detail": "This isn't a DICOM file."}
            else:
                file |= {"state": "accepted", "study_id": study}
            upload["files_done"] += 1
        accepted = sum(f["state"] == "accepted" for f in upload["files"])
        upload["studies"] = [{"study_id": study, "version": 1, "series": 1, "instances": accepted}] if accepted else []
        upload["state"] = "done" if accepted else "refused"
        self.tell("upload.imported" if accepted else "upload.refused", upload_id=upload["id"])
        if not accepted:
            return
        for number in range(self.analyses_per_study):
            analysis = {
                "id": str(uuid4()),
                "study_id": study,
                "study_version": 1,
                "upload_id": upload["id"],
                "status": "queued",
                "model": {"name": f"model-{number}", "version": "1.0.0", "sha256": "ab", "title": "A model"},
                "created_at": self.now().isoformat(),
                "slices_total": accepted,
                "slices_done": 0,
                "slices_analysed": None,
                "findings": [],
                "warnings": [],
                "timings": dict.fromkeys(("upload_ms", "import_ms", "queued_ms", "inference_ms", "total_ms")),
                "tags": ["=cmd()"],
                "folder": None,
            }
            self.analyses[analysis["id"]] = analysis
            ids = {"analysis_id": analysis["id"], "study_id": study, "upload_id": upload["id"]}
            self.tell("analysis.queued", **ids)
            self.spawn(self.analyse(analysis, ids))

    async def analyse(self, analysis: dict[str, Any], ids: dict[str, str]) -> None:
        analysis["status"] = "running"
        for done in range(1, analysis["slices_total"] + 1):
            self.tell("analysis.progressed", **ids, slices_done=done, slices_total=analysis["slices_total"])
        await self.go_on.wait()
        finding = {"label": "covid", "probability": 0.75, "threshold": 0.5, "positive": True}
        analysis |= {
            "status": "completed",
            "finished_at": self.now().isoformat(),
            "slices_done": analysis["slices_total"],
            "slices_analysed": analysis["slices_total"],
            "findings": [finding],
            "warnings": [{"code": "few_slices", "detail": "Few slices were read."}],
            "timings": {"upload_ms": 1, "import_ms": 2, "queued_ms": 3, "inference_ms": 4, "total_ms": 10},
        }
        self.tell("analysis.completed", **ids, findings=[finding], slices_total=1, slices_analysed=1)


def codes() -> list[str]:
    """Codes of this half minute and of the last: a test may be slow."""
    return [totp(TOTP_SECRET, time.time() - ago) for ago in (0, 30)]


def problem(status: int, kind: str, detail: str = "") -> JSONResponse:
    body = {"type": f"urn:codetect:problem:{kind}", "title": kind.capitalize() + ".", "status": status}
    return JSONResponse(body | ({"detail": detail} if detail else {}), status, media_type="application/problem+json")


def routes(double: Double) -> list[Route | WebSocketRoute]:
    Handler = Callable[[Request], Awaitable[Response]]

    def route(method: str, path: str, handler: Handler, *, bearer: bool = True) -> Route:
        async def guarded(request: Request) -> Response:
            double.log.append(f"{method} {request.url.path}")
            double.hosts.add(request.headers["host"])
            fault = next((f for f in double.faults if double.log[-1].startswith(f.begins) and f.times), None)
            if fault:
                fault.times -= 1
                if fault.after:
                    await handler(request)
                if fault.status is None:
                    request.scope["transport"].abort()
                    return Response()
                async for _ in request.stream():
                    pass
                return Response("fault", fault.status, fault.headers)
            if bearer:
                token = request.headers.get("authorization", "").removeprefix("Bearer ")
                if double.access.get(token, 0) < time.monotonic():
                    return problem(401, "token-invalid")
            response = await handler(request)
            response.headers["Date"] = format_datetime(double.now(), usegmt=True)
            return response

        return Route(path, guarded, methods=[method])

    async def facility(_: Request) -> Response:
        return JSONResponse({"slug": "demo", "name": "Demo Clinic", "login_methods": ["password+totp"]})

    async def login(request: Request) -> Response:
        body = await request.json()
        if (body["email"], body["password"]) == (EMAIL, PASSWORD):
            return JSONResponse({"mfa_token": "mfa", "methods": ["totp"], "enrolment_token": None})
        if body["email"] == "new@example.org":
            return JSONResponse({"mfa_token": None, "methods": None, "enrolment_token": "enrol"})
        return problem(401, "login-refused")

    async def mfa(request: Request) -> Response:
        right = (await request.json())["code"] in (*codes(), "recovery-code")
        return JSONResponse(double.tokens()) if right else problem(401, "code-refused")

    async def enrol(_: Request) -> Response:
        return JSONResponse({"secret": TOTP_SECRET, "otpauth_uri": "otpauth://totp/x", "qr_svg": "<svg/>"})

    async def confirm(request: Request) -> Response:
        if (await request.json())["code"] not in codes():
            return problem(401, "code-refused")
        return JSONResponse(double.tokens() | {"recovery_codes": ["one", "two"]})

    async def refresh(request: Request) -> Response:
        token = (await request.json())["refresh_token"]
        if token not in double.refresh:
            return problem(401, "refresh-refused")
        double.refresh.discard(token)
        return JSONResponse(double.tokens())

    async def logout(request: Request) -> Response:
        double.refresh.discard((await request.json())["refresh_token"])
        return Response(status_code=204)

    async def me(_: Request) -> Response:
        return JSONResponse({"id": str(uuid4()), "role": "member", "name": "Ada Reader", "email": EMAIL})

    async def oauth(request: Request) -> Response:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers["authorization"] != f"Basic {basic}":
            return problem(401, "client-refused")
        return JSONResponse({k: v for k, v in double.tokens().items() if k != "refresh_token"})

    async def open_upload(request: Request) -> Response:
        wishes = await request.json()
        key = request.headers["idempotency-key"]
        known = next((u for u in double.uploads.values() if u["key"] == key), None)
        upload = known or {
            "id": str(uuid4()),
            "key": key,
            "state": "open",
            "wishes": wishes,
            "files_total": 0,
            "files_done": 0,
            "studies": [],
            "files": [],
            "error": None,
        }
        double.uploads[upload["id"]] = upload
        return JSONResponse(double.policy(upload), 201)

    async def renew(request: Request) -> Response:
        upload = double.uploads.get(request.path_params["id"])
        if upload is None:
            return problem(404, "upload-not-found")
        if upload["state"] != "open":
            return problem(409, "wrong-state")
        return JSONResponse(double.policy(upload))

    def shown(upload: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in upload.items() if k not in ("key", "wishes", "expires_at")}

    async def complete(request: Request) -> Response:
        upload = double.uploads[request.path_params["id"]]
        claim = await request.json()
        if upload["state"] == "open":
            if upload["expires_at"] < double.now():
                return problem(410, "upload-expired")
            found = {k: v for k, v in double.store.items() if k.startswith(f"f/{upload['id']}/")}
            if (len(found), sum(map(len, found.values()))) != (claim["file_count"], claim["total_bytes"]):
                return problem(409, "claim-mismatch")
            upload["state"], upload["files_total"] = "importing", len(found)
            upload["files"] = [
                {"number": int(k[-6:]), "state": "pending", "code": None, "detail": None, "study_id": None}
                for k in sorted(found)
            ]
            double.spawn(double.process(upload))
        return JSONResponse(shown(upload), 202)

    async def get_upload(request: Request) -> Response:
        upload = double.uploads.get(request.path_params["id"])
        return JSONResponse(shown(upload)) if upload else problem(404, "upload-not-found")

    async def post_object(request: Request) -> Response:
        double.busy += 1
        double.busiest = max(double.busiest, double.busy)
        try:
            await asyncio.sleep(double.post_s)
            length = int(request.headers["content-length"])
            async with request.form() as form:
                claims = json.loads(base64.b64decode(str(form["policy"])))
                key = str(form["key"])
                if claims["ends"] < double.now().timestamp() or not key.startswith(f"f/{claims['upload']}/"):
                    return Response("<Error><Code>AccessDenied</Code></Error>", 403)
                file = form["file"]
                assert not isinstance(file, str)
                assert length > (file.size or 0)
                assert list(form)[-1] == "file", "S3 reads no field after the file"
                double.names_sent.append(file.filename or "")
                double.store[key] = await file.read()
                double.posts.append(key)
            return Response(status_code=204)
        finally:
            double.busy -= 1

    async def list_analyses(request: Request) -> Response:
        query = request.query_params
        found = [
            a
            for a in double.analyses.values()
            if all(a[k] == query[k] for k in ("upload_id", "study_id") if k in query)
        ]
        start = int(query.get("cursor", 0))
        page = found[start : start + 2]
        return JSONResponse({"items": page, "next": str(start + 2) if start + 2 < len(found) else None})

    async def get_analysis(request: Request) -> Response:
        found = double.analyses.get(request.path_params["id"])
        return JSONResponse(found) if found else problem(404, "analysis-not-found")

    async def get_paper(request: Request) -> Response:
        if request.path_params["id"] not in double.analyses:
            return problem(404, "analysis-not-found")
        return Response(request.path_params["name"], media_type="application/octet-stream")

    async def labels(_: Request) -> Response:
        return Response("SeriesInstanceUID,label\n" + "2.25.1,covid\n" * 100, media_type="text/csv")

    async def list_models(_: Request) -> Response:
        card = {"name": "model-0", "version": "1.0.0", "sha256": "ab", "title": "A model", "active": True, "card": {}}
        return JSONResponse({"items": [card], "next": None})

    async def register(request: Request) -> Response:
        async with request.form() as form:
            bundle = form["bundle"]
            assert not isinstance(bundle, str)
            double.store["bundle"] = await bundle.read()
        return JSONResponse({"name": "pushed", "version": "2.0.0"}, 201)

    def rollout(version: str, kind: str, **facts: Any) -> dict[str, Any]:
        about = {"name": "model-0", "version": version, "kind": kind, "since": "2026-01-01T00:00:00Z"}
        return about | {"facility_id": None, "share": None, "before": None} | facts

    async def roll_out(request: Request) -> Response:
        what, body = request.path_params["what"], await request.json()
        double.store["rollout"] = body
        kind = "active" if what == "activate" else what
        return JSONResponse(rollout(request.path_params["version"], kind, **body))

    async def end(_: Request) -> Response:
        return Response(status_code=204)

    async def roll_back(_: Request) -> Response:
        return JSONResponse(rollout("1.0.0", "active"))

    async def list_rollouts(_: Request) -> Response:
        canary = rollout("3.0.0", "canary", facility_id=FACILITY_ID, share=10)
        return JSONResponse({"items": [rollout("2.0.0", "active", before="1.0.0"), canary], "next": None})

    async def list_facilities(_: Request) -> Response:
        return JSONResponse({"items": [{"id": FACILITY_ID, "slug": "demo", "name": "Demo Clinic"}], "next": None})

    async def compare(_: Request) -> Response:
        figures = {"studies": 40, "agreement": 0.95, "mean_absolute_difference": 0.0312}
        verdicts = {"positive_shown": 4, "positive_candidate": 5, "positive_both": 4}
        one = {"against": "2.0.0", "label": "covid", "facility_id": None, **figures, **verdicts}
        items = [one | {"facility_id": FACILITY_ID}]
        return JSONResponse({"name": "model-0", "version": "3.0.0", "overall": [one], "items": items, "states": []})

    async def ticket(_: Request) -> Response:
        if not double.live:
            return problem(503, "service-unavailable")
        value = f"ticket-{next(double.numbers)}"
        double.tickets.add(value)
        return JSONResponse({"ticket": value, "cursor": f"{len(double.frames)}.0badcafe"})

    async def live(ws: WebSocket) -> None:
        await ws.accept()
        try:
            first = await ws.receive_json()
            if first["ticket"] not in double.tickets:
                await ws.close(4401)
                return
            double.tickets.discard(first["ticket"])
            after = int(first.get("after", f"{len(double.frames)}.0").partition(".")[0])
            lost = after < double.held_from
            head = len(double.frames)
            await ws.send_json({"type": "ready", "cursor": f"{head if lost else after}.0badcafe"})
            if double.cut_after_ready:
                double.cut_after_ready -= 1
                await ws.close(1012)
                return
            if lost:
                after = head
                await ws.send_json({"type": "resync", "cursor": f"{after}.0badcafe"})
            for frame in double.frames[after:]:
                await ws.send_json(frame)
            double.sockets.add(ws)
            while True:
                await ws.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            double.sockets.discard(ws)

    async def list_studies(_: Request) -> Response:
        return JSONResponse({"items": list(double.studies.values()), "next": None})

    async def export_study(request: Request) -> Response:
        study_id, view = request.path_params["id"], request.query_params["view"]
        if study_id not in double.studies:
            return problem(404, "study-not-found")
        body = BytesIO()
        with ZipFile(body, "w") as archive:
            archive.writestr(f"{study_id}/001/00001.dcm", view)
        return Response(body.getvalue()[: -9 if double.cut_zips else None], media_type="application/zip")

    async def step_up(request: Request) -> Response:
        if (await request.json())["code"] not in codes():
            return problem(403, "proof-refused")
        double.stale = False
        return JSONResponse({k: v for k, v in double.tokens().items() if k != "refresh_token"})

    async def erase_study(request: Request) -> Response:
        if double.stale:
            return problem(403, "step-up-required")
        if double.studies.pop(request.path_params["id"], None) is None:
            return problem(404, "study-not-found")
        erasure = {"study_id": request.path_params["id"], "requested_at": double.now().isoformat()}
        return JSONResponse(erasure, 202)

    api = "/api/v1"
    return [
        route("GET", f"{api}/studies", list_studies),
        route("GET", f"{api}/studies/{{id}}/export", export_study),
        route("DELETE", f"{api}/studies/{{id}}", erase_study),
        route("GET", f"{api}/facility", facility, bearer=False),
        route("POST", f"{api}/auth/login", login, bearer=False),
        route("POST", f"{api}/auth/mfa", mfa, bearer=False),
        route("POST", f"{api}/auth/totp/enrol", enrol, bearer=False),
        route("POST", f"{api}/auth/totp/confirm", confirm, bearer=False),
        route("POST", f"{api}/auth/refresh", refresh, bearer=False),
        route("POST", f"{api}/auth/logout", logout, bearer=False),
        route("POST", f"{api}/auth/step-up", step_up),
        route("GET", f"{api}/auth/me", me),
        route("POST", "/oauth/token", oauth, bearer=False),
        route("POST", f"{api}/uploads", open_upload),
        route("POST", f"{api}/uploads/{{id}}/renew", renew),
        route("POST", f"{api}/uploads/{{id}}/complete", complete),
        route("GET", f"{api}/uploads/{{id}}", get_upload),
        route("GET", f"{api}/analyses", list_analyses),
        route("GET", f"{api}/analyses/{{id}}", get_analysis),
        route("GET", f"{api}/analyses/{{id}}/{{name:path}}", get_paper),
        route("GET", f"{api}/feedback/labels.csv", labels),
        route("GET", f"{api}/models", list_models),
        route("POST", f"{api}/models", register),
        route("GET", f"{api}/models/rollouts", list_rollouts),
        route("POST", f"{api}/models/{{name}}/rollback", roll_back),
        route("GET", f"{api}/models/{{name}}/{{version}}/comparison", compare),
        route("POST", f"{api}/models/{{name}}/{{version}}/{{what}}", roll_out),
        route("DELETE", f"{api}/models/{{name}}/{{version}}/{{what}}", end),
        route("GET", f"{api}/facilities", list_facilities),
        route("POST", f"{api}/live/ticket", ticket),
        route("POST", BUCKET, post_object, bearer=False),
        WebSocketRoute(f"{api}/live", live),
    ]


@asynccontextmanager
async def serving(**tls: Any) -> AsyncIterator[Double]:
    """The double, listening on a free port of this machine; `tls` is what uvicorn takes."""
    double = Double(scheme="https" if tls else "http")
    double.go_on.set()
    listener = socket.create_server(("127.0.0.1", 0))
    double.port = listener.getsockname()[1]
    inner = Starlette(routes=routes(double))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["transport"] = send.__self__.transport  # uvicorn's, to be able to cut it
        await inner(scope, receive, send)

    config = uvicorn.Config(app, log_config=None, lifespan="off", date_header=False, ws="websockets-sansio", **tls)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve([listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield double
    finally:
        server.should_exit = server.force_exit = True
        for task in double.tasks:
            task.cancel()
        await asyncio.gather(running, *double.tasks, return_exceptions=True)
        listener.close()
