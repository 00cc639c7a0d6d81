"""An application is ready when its parts are, and a request's id and trace go through it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping

import pytest
from codetect_shared import app as shared_app
from codetect_shared.app import create_app, every, readiness
from codetect_shared.settings import ServiceSettings
from codetect_shared.testing import Tokens, running
from fastapi import FastAPI
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="CODETECT_INGEST_")


@pytest.fixture
def settings(environment: Mapping[str, str]) -> Settings:
    return Settings()


async def nothing(_: FastAPI) -> AsyncIterator[list[shared_app.Background]]:
    yield []


async def test_readiness_names_what_is_missing(settings: Settings) -> None:
    broken = True

    async def check() -> None:
        if broken:
            raise ConnectionError("secret address")

    app = create_app(settings, "test", nothing)
    readiness(app, {"part": check}, {"provider": "cpu"})
    async with running(app, Tokens()) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]) == (503, {"part": "unavailable: ConnectionError"})
        broken = False
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["provider"]) == (200, "cpu")
        assert (await client.get("/healthz")).status_code == 200
        assert "codetect_http_request_seconds" in (await client.get("/metrics")).text


async def test_a_request_id_comes_back_and_a_bad_one_is_replaced(settings: Settings) -> None:
    async with running(create_app(settings, "test", nothing), Tokens()) as client:
        given = await client.get("/healthz", headers={"x-request-id": "abc"})
        assert given.headers["x-request-id"] == "abc"
        for bad in ("", "x" * 65, "a\x01b"):
            answer = await client.get("/healthz", headers={"x-request-id": bad})
            assert len(answer.headers["x-request-id"]) == 32


async def test_a_background_part_that_dies_ends_the_process(settings: Settings) -> None:
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)

    async def dies() -> None:
        raise RuntimeError

    async def parts(_: FastAPI) -> AsyncIterator[list[shared_app.Background]]:
        yield [dies]

    try:
        async with running(create_app(settings, "test", parts), Tokens()), asyncio.timeout(5):
            await terminated.wait()
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)


async def test_what_is_done_now_and_then_goes_on_after_a_failure() -> None:
    calls: list[int] = []
    enough = asyncio.Event()

    async def task() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError
        if len(calls) == 3:
            enough.set()

    part = asyncio.create_task(every(0.01, "test", task)())  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        await enough.wait()
    part.cancel()
