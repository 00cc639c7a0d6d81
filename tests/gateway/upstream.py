"""A small real service behind the gateway: `python -m tests.gateway.upstream PORT JWKS`. It plays them all."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Form, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse, StreamingResponse

MIB = 2**20
SECRET = "inside"


def application(jwks: str) -> FastAPI:
    app = FastAPI()
    facilities = {"demo", "other"}
    cancelled: list[str] = []
    grants: dict[str, dict[str, Any]] = {}
    asked: list[str] = []
    published = json.loads(jwks)
    refused: list[dict[str, Any]] = []

    @app.get("/api/v1/facility")
    async def facility(request: Request) -> Response:
        slug = request.headers.get("x-forwarded-host", "").partition(".")[0]
        return JSONResponse({"slug": slug}) if slug in facilities else Response(status_code=404)

    @app.post("/control/facilities")
    async def control_facilities(request: Request) -> None:
        facilities.clear()
        facilities.update(await request.json())

    @app.get("/control/cancelled")
    async def control_cancelled() -> list[str]:
        return cancelled

    @app.get("/.well-known/jwks.json")
    async def keys() -> Response:
        return JSONResponse(published)

    @app.get("/internal/trust")
    async def trust() -> Response:
        return JSONResponse(published | {"refused": refused})

    @app.post("/control/refused")
    async def control_refused(request: Request) -> None:
        refused[:] = await request.json()

    @app.post("/control/jwks")
    async def control_jwks(request: Request) -> None:
        published.clear()
        published.update(await request.json())

    @app.post("/oauth/token")
    async def token(
        request: Request,
        grant_type: Annotated[str, Form()],
        client_id: Annotated[str, Form()],
        client_secret: Annotated[str, Form()],
    ) -> Response:
        assert grant_type == "client_credentials"
        assert "authorization" not in request.headers
        name = f"{request.headers['x-forwarded-host'].partition('.')[0]} {client_id}:{client_secret}"
        asked.append(name)
        await asyncio.sleep(0.1)
        grant = grants.get(name)
        return JSONResponse(grant) if grant else JSONResponse({"error": "invalid_client"}, 401)

    @app.post("/control/grants")
    async def control_grants(request: Request) -> None:
        for name, grant in (await request.json()).items():
            grants[name] = grant

    @app.get("/control/asked")
    async def control_asked(name: str) -> int:
        return asked.count(name)

    @app.api_route(
        "/api/v1/studies/echo{rest:path}", include_in_schema=False, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]
    )
    @app.api_route("/dicomweb/echo", include_in_schema=False, methods=["GET", "POST"])
    @app.api_route("/api/v1/ingest/echo", include_in_schema=False, methods=["GET"])
    @app.api_route("/api/v1/auth/echo", include_in_schema=False, methods=["GET", "POST"])
    async def echo(request: Request) -> Response:
        body = await request.body()
        seen = {
            "method": request.method,
            "target": request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode(),
            "headers": [[k.decode("latin-1"), v.decode("latin-1")] for k, v in request.scope["headers"]],
            "body": body.decode("latin-1"),
        }
        headers = {"X-Study": "yes", "Connection": "X-Secret", "X-Secret": SECRET, "Server": "upstream"}
        return JSONResponse(seen, status_code=201, headers=headers)

    @app.get("/api/v1/studies/cookies")
    async def cookies() -> Response:
        response = Response(b"")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    @app.get("/api/v1/studies/redirect")
    async def redirect(request: Request) -> Response:
        return RedirectResponse(str(request.url_for("echo", rest="")))

    @app.get("/api/v1/studies/big")
    async def big(mib: int) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(mib * 16):
                yield bytes(MIB // 16)

        return StreamingResponse(pieces(), headers={"Content-Length": str(mib * MIB)})

    @app.post("/dicomweb/studies")
    async def stow(request: Request) -> dict[str, object]:
        digest, received = hashlib.sha256(), 0
        async for chunk in request.stream():
            digest.update(chunk)
            received += len(chunk)
        return {"received": received, "sha256": digest.hexdigest()}

    @app.post("/dicomweb/full")
    async def full(close: bool) -> Response:
        """Refuses a body unseen, and closes the connection or not."""
        headers = {"Connection": "close"} if close else {}
        return JSONResponse({"type": "full"}, status_code=507, headers=headers)

    @app.get("/api/v1/studies/slow")
    async def slow(request: Request, mark: str) -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.02)
        cancelled.append(mark)

    @app.get("/api/v1/studies/late")
    async def late() -> None:
        await asyncio.sleep(60)

    @app.get("/api/v1/studies/endless")
    async def endless(mark: str) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x" * 65536
                    await asyncio.sleep(0)
            finally:
                cancelled.append(mark)

        return StreamingResponse(pieces())

    @app.get("/api/v1/studies/cut")
    async def cut() -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half"
            raise ConnectionResetError

        return StreamingResponse(pieces())

    return app


if __name__ == "__main__":
    uvicorn.run(
        application(json.loads(sys.argv[2])), port=int(sys.argv[1]), log_level="critical", timeout_keep_alive=65
    )
