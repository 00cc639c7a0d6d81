"""The one public door: everything a client sends comes in here, and goes where its path says."""

import ipaddress
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.problems import NotFound
from codetect_shared.schema import migrated
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from codetect_gateway import fitness, sockets, tickets
from codetect_gateway.browsers import Browsers
from codetect_gateway.context import Gateway
from codetect_gateway.door import Door, Facilities
from codetect_gateway.early import Linger
from codetect_gateway.headers import SecureHeaders
from codetect_gateway.limits import TELL_S, Limits
from codetect_gateway.live import Live
from codetect_gateway.openapi import Documents
from codetect_gateway.pages import add_home, add_pages
from codetect_gateway.parts import PREFIXES, open_parts
from codetect_gateway.programs import Programs
from codetect_gateway.proxy import Proxy
from codetect_gateway.settings import Settings
from codetect_gateway.web import BUILT, add_web

SWEEP_S = 60
POLL_S = 10


def api(settings: Settings) -> FastAPI:
    """The gateway's application."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, opened = app.state.db, open_parts(settings)
        facilities, limits = Facilities(opened["auth"], settings), Limits(db)
        programs = Programs(opened["auth"], settings.basic_fresh_s)
        browsers = Browsers(db, opened["auth"], settings.master_key)
        door = Door(facilities, programs, browsers, app.state.jwks, limits, settings)
        live = Live(settings.rabbitmq_url, settings.ring_events, settings.socket_frames, facilities.forget)
        app.state.gateway = Gateway(settings, db, opened, door, browsers, live, Documents(app.openapi(), opened))
        readiness(app, {"database": migrated(db, "codetect_gateway"), "stream": live.ready})

        async def sweep() -> None:
            await tickets.sweep(db)
            await limits.sweep()
            await browsers.sweep()
            live.forget()

        async def end_sockets() -> None:
            await app.state.jwks.poll()
            live.learn(app.state.jwks.refusals)

        async with AsyncExitStack() as stack:
            for part in opened.values():
                await stack.enter_async_context(part.transport)
            yield [
                live.run,
                every(TELL_S, "gateway.limits", limits.tell),
                every(SWEEP_S, "gateway.sweep", sweep),
                every(POLL_S, "gateway.endings", end_sockets),
            ]

    app = create_app(settings, "gateway", parts, [sockets.router, fitness.router], audited=False)
    app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") != app.openapi_url]
    app.router.redirect_slashes = False
    app.router.add_websocket_route("/api/v1/live", sockets.live_socket)
    add_pages(app)
    for prefix in PREFIXES:
        proxy = Proxy(prefix)
        app.router.add_route(prefix.path, proxy)  # type: ignore[arg-type]
        app.router.add_route(prefix.path + "/{rest:path}", proxy)  # type: ignore[arg-type]
    web = settings.web_dir or BUILT
    if (web / "index.html").is_file():
        add_web(app.router, web)
    else:
        add_home(app)
    app.add_middleware(Linger)
    app.add_middleware(SecureHeaders)
    app.add_middleware(MetricsWithin, networks=settings.metrics_networks)
    return app


class MetricsWithin:
    """ASGI middleware: /metrics is for those who watch over the platform, not for whoever reaches the public port."""

    def __init__(self, app: ASGIApp, networks: str) -> None:
        self.app = app
        self._networks = [ipaddress.ip_network(each.strip()) for each in networks.split(",") if each.strip()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer others as if it weren't there."""
        if scope["type"] == "http" and scope["path"] == "/metrics" and not self._within(scope):
            await NotFound().response()(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _within(self, scope: Scope) -> bool:
        client = scope.get("client")
        return client is not None and any(ipaddress.ip_address(client[0]) in network for network in self._networks)
