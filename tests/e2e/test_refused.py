"""The whole stack, two processes of each: how soon a logout and a suspension bite, at each service and socket."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from codetect_local.demo import Demo, answer
from codetect_local.stack import Stack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

SERVICES = {
    "ingest": "/api/v1/studies",
    "inference": "/api/v1/analyses",
    "analytics": "/api/v1/analytics/summary",
    "auth": "/api/v1/auth/me",
    "gateway": "/api/v1/studies",
}
MINUTE_S, SOCKET_S = 60, 5


class Held:
    """An access token, where it is good, and the sockets it opened at both gateway processes."""

    def __init__(self, demo: Demo, token: str) -> None:
        self.demo, self.settings = demo, demo.settings
        self.headers = {"Authorization": f"Bearer {token}", "Host": demo.hosts["demo"]}

    async def status(self, service: str, replica: int) -> int:
        url = f"http://127.0.0.1:{self.settings.port(service, replica)}{SERVICES[service]}"
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            return (await client.get(url, headers=self.headers)).status_code

    async def statuses(self) -> dict[tuple[str, int], int]:
        places = [(service, replica) for service in SERVICES for replica in range(2)]
        return dict(zip(places, await asyncio.gather(*(self.status(*place) for place in places)), strict=True))

    async def socket(self, replica: int) -> ClientConnection:
        port, host = self.settings.port("gateway", replica), self.demo.hosts["demo"]
        async with httpx.AsyncClient(trust_env=False) as client:
            got = await client.post(f"http://127.0.0.1:{port}/api/v1/live/ticket", headers=self.headers)
        socket = await connect(f"ws://{host}/api/v1/live", host="127.0.0.1", port=port, proxy=None)
        await socket.send(json.dumps({"ticket": got.json()["ticket"]}))
        assert "ready" in str(await socket.recv())
        return socket


async def closed_after(socket: ClientConnection, started: float) -> float:
    with pytest.raises(ConnectionClosed, match="4401"):
        async with asyncio.timeout(SOCKET_S):
            while True:
                await socket.recv()
    return time.monotonic() - started


async def refused_after(held: Held, started: float) -> dict[tuple[str, int], float]:
    """Seconds until each process of each service refuses the token; all are asked twice a second."""
    times: dict[tuple[str, int], float] = {}
    while time.monotonic() - started < MINUTE_S:
        for place, status in (await held.statuses()).items():
            if status == 401:
                times.setdefault(place, time.monotonic() - started)
        if len(times) == 2 * len(SERVICES):
            return times
        await asyncio.sleep(0.5)
    raise AssertionError(f"still accepted after a minute: {times}")


class Member(Demo):
    """Keeps the refresh token, too."""

    def logged_in(self, person: dict[str, Any], tokens: dict[str, Any]) -> str:
        self.tokens = tokens
        return super().logged_in(person, tokens)


async def test_a_logout_and_a_suspension_bite_everywhere_within_a_minute_and_close_sockets_at_once(
    stack: Stack,
) -> None:
    demo = Member(stack)
    await demo.open_facility()
    for act in ("logout", "suspension"):
        held, tokens = Held(demo, await asyncio.to_thread(demo.log_in, "member")), demo.tokens
        assert set((await held.statuses()).values()) == {200}
        admin = {"Authorization": f"Bearer {await asyncio.to_thread(demo.log_in, 'admin')}"}
        async with AsyncExitStack() as opened:
            sockets = [await opened.enter_async_context(await held.socket(replica)) for replica in range(2)]
            with demo.door("member") as door:
                me = answer(door.get("/api/v1/auth/me", headers=held.headers))
                started = time.monotonic()
                if act == "logout":
                    body = {"refresh_token": tokens["refresh_token"]}
                    assert door.post("/api/v1/auth/logout", json=body).status_code == 204
                else:
                    path, body = f"/api/v1/members/{me['id']}", {"status": "suspended"}
                    assert door.patch(path, json=body, headers=admin).json()["status"] == "suspended"
            sockets_s = await asyncio.gather(*(closed_after(socket, started) for socket in sockets))
        times = await refused_after(held, started)
        print(f"{act}: sockets closed after {max(sockets_s):.2f} s, tokens refused after {max(times.values()):.0f} s")
        assert max(sockets_s) < SOCKET_S
        assert max(times.values()) < MINUTE_S
        if act == "suspension":
            with demo.door("admin") as door:
                assert door.patch(path, json={"status": "active"}, headers=admin).status_code == 200
