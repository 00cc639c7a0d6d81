"""Every process is a FastAPI application: routes for an API, only health and metrics for a worker.

What has a life (database, store, keys, background parts) opens in the lifespan and closes there.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import structlog
from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from codetect_shared import audit, bus, openapi, problems, telemetry, telling
from codetect_shared.db import Database
from codetect_shared.settings import ServiceSettings
from codetect_shared.storage import Storage
from codetect_shared.tokens import JwksCache, identify

log = structlog.get_logger()
Background = Callable[[], Awaitable[None]]
Parts = Callable[[FastAPI], "AsyncIterator[Sequence[Background]]"]


def create_app(
    settings: ServiceSettings,
    process: str,
    parts: Parts,
    routers: Sequence[APIRouter] = (),
    *,
    docs: bool = False,
    audited: bool = True,
) -> FastAPI:
    """An application for one process; `audited`: its database has an audit table, where refusals are written down.

    `parts(app)` is an async generator that opens what the process needs beyond database, store and keys (all on
    `app.state`), yields the coroutine functions to run in the background until the end, then closes.
    """
    telemetry.configure(settings, process)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.settings = settings
        app.state.db = Database(settings.database_url, settings.database_system_url, settings.database_pool_size)
        app.state.storage = Storage(settings)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(app.state.db.close)
            client = await stack.enter_async_context(httpx.AsyncClient())
            app.state.jwks = JwksCache.over_http(client, str(settings.auth_url), settings.issuer)
            background = await stack.enter_async_context(asynccontextmanager(parts)(app))
            await stack.enter_async_context(running([*background, lambda: telling.tell(settings.rabbitmq_url)]))
            log.info("started", port=settings.port)
            yield
            log.info("stopping")

    app = FastAPI(
        title=f"CoDetect {process}",
        version="1",
        lifespan=lifespan,
        docs_url="/docs" if docs else None,
        redoc_url=None,
        generate_unique_id_function=_operation_id,
        responses={"default": {"model": problems.ProblemBody, "description": "A problem (RFC 9457)."}},
    )
    problems.install_handlers(app, identify)
    if audited:
        audit.record_refusals(app)
    app.add_middleware(telemetry.RequestTelemetry)
    app.include_router(_health_routes())
    for router in routers:
        app.include_router(router)
    openapi.describe(app)
    return app


def _operation_id(route: APIRoute) -> str:
    """The route function's name: generated clients read well."""
    return route.name


@asynccontextmanager
async def running(parts: Sequence[Background]) -> AsyncIterator[None]:
    """Run background parts; a part that ends by itself ends the process, so that its supervisor starts it anew."""
    tasks = [asyncio.create_task(_guarded(part)) for part in parts]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _guarded(part: Background) -> None:
    try:
        await part()
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        log.critical("background part died", exc_info=error)
    os.kill(os.getpid(), signal.SIGTERM)


def every(seconds: float, name: str, task: Callable[[], Awaitable[Any]]) -> Background:
    """A background part that calls `task` now and then, through every interruption."""

    async def rounds() -> None:
        while True:
            await task()
            await asyncio.sleep(seconds)

    return lambda: bus.forever(name, rounds, slowest_s=max(2.0, seconds / 4))


def _health_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @router.get("/metrics")
    async def metrics() -> Response:
        """Prometheus metrics."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router


def readiness(
    app: FastAPI, checks: dict[str, Callable[[], Awaitable[Any]]], facts: dict[str, Any] | None = None
) -> None:
    """Add /readyz: each check is awaited for 3 s at most; 503 names what is missing."""

    async def state(check: Callable[[], Awaitable[Any]]) -> str:
        try:
            async with asyncio.timeout(3):
                await check()
        except Exception as error:
            return f"unavailable: {type(error).__name__}"
        return "ok"

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> JSONResponse:
        states = dict(zip(checks, await asyncio.gather(*map(state, checks.values())), strict=True))
        ready = all(value == "ok" for value in states.values())
        return JSONResponse({"ready": ready, "checks": states, **(facts or {})}, 200 if ready else 503)
