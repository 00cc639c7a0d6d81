"""Running an application until the process is told to end."""

import asyncio
import contextlib
import sys
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE

from codetect_shared.settings import ServiceSettings

SHUTDOWN_S = 30
TICK_S = 1  # as often as the Date header changes


class Server(uvicorn.Server):
    """uvicorn's, which wakes up ten times a second to see whether it should end: nine idle processes add up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._signalled = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Wait for a signal, and keep the headers up to date meanwhile."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._signalled.wait(), TICK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal, and wake up for it."""
        super().handle_exit(sig, frame)
        if self._loop:
            self._loop.call_soon_threadsafe(self._signalled.set)


def serve(app: FastAPI, settings: ServiceSettings, **uvicorn_settings: Any) -> None:
    """Run the process until SIGTERM; answers in flight get `SHUTDOWN_S` seconds."""
    config: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "date_header": True,
        "proxy_headers": False,
        "timeout_graceful_shutdown": SHUTDOWN_S,
        "timeout_keep_alive": 65,
        "lifespan": "on",
    }
    server = Server(uvicorn.Config(app, **(config | uvicorn_settings)))
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
