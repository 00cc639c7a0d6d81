"""Errors reach operators: noticed as they are logged, told when the broker is there, without anybody's words."""

import asyncio
from collections.abc import Iterator

import pytest
from codetect_shared import telemetry, telling, troubles
from codetect_shared.troubles import Trouble
from opentelemetry.sdk.trace import TracerProvider
from pydantic import SecretStr

from tests.shared.conftest import Shop

SECRET = "Doe^Jane"  # noqa: S105 - a name that must not get out


@pytest.fixture(autouse=True)
def nothing_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    troubles.waiting.clear()
    monkeypatch.setattr(telling, "LOOK_S", 0.05)
    monkeypatch.setattr(telling, "AWAY_S", 0.05)
    yield
    troubles.waiting.clear()


def log(method: str, said: str, **values: object) -> dict[str, object]:
    entry = {"event": said, "timestamp": "2026-11-27T01:02:03Z", "process": "shop", **values}
    return dict(troubles.noticed(None, method, entry))


def noticed() -> list[Trouble]:
    return [Trouble.model_validate_json(one) for one in troubles.waiting]


def failure() -> Exception:
    try:
        Trouble.model_validate_json(SECRET)
    except ValueError as error:
        return error
    raise AssertionError


def test_an_error_is_noticed_with_its_ids_and_none_of_its_words() -> None:
    with TracerProvider().get_tracer("test").start_as_current_span("request") as span:
        entry = log("error", "surprise", exc_info=failure(), request_id="abc", error=SECRET)
        trace_id = f"{span.get_span_context().trace_id:032x}"
    assert entry["trace_id"] == trace_id
    (one,) = noticed()
    assert (one.process, one.said, one.kind) == ("shop", "surprise", "ValidationError")
    assert (one.request_id, one.trace_id) == ("abc", trace_id)
    assert SECRET not in one.model_dump_json()


def test_the_place_is_the_innermost_line_of_ours() -> None:
    try:
        telemetry.configure(None, "shop")  # type: ignore[arg-type]
    except AttributeError as error:
        log("error", "surprise", exc_info=error)
    (one,) = noticed()
    assert one.place
    assert one.place.startswith("codetect_shared.telemetry:")


def test_a_warning_counts_when_nobody_expected_it() -> None:
    log("warning", "attempt failed", exc_info=failure(), job="7")
    log("warning", "interrupted", error="refused")
    log("info", "request", status=500)
    assert [(one.said, one.job) for one in noticed()] == [("attempt failed", "7")]


def test_the_oldest_give_way() -> None:
    for number in range(troubles.MOST + 5):
        log("error", f"{number}")
    assert len(noticed()) == troubles.MOST
    assert noticed()[0].said == "5"


async def test_what_waits_is_told_and_read_newest_first(shop: Shop) -> None:
    telling_it = asyncio.create_task(telling.tell(shop.rabbitmq))
    for number in range(3):
        log("error", f"told {number}")
    async with asyncio.timeout(20):
        while troubles.waiting:
            await asyncio.sleep(0.05)
    telling_it.cancel()
    await asyncio.wait([telling_it])
    assert [one.said for one in await telling.latest(shop.rabbitmq, 3)] == ["told 2", "told 1", "told 0"]
    assert [one.said for one in await telling.latest(shop.rabbitmq, 1)] == ["told 2"]


async def test_while_the_broker_is_away_errors_wait_and_nothing_is_logged_of_it(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    log("error", "before the storm")
    away = asyncio.create_task(telling.tell(SecretStr("amqp://guest:guest@127.0.0.1:1/")))
    await asyncio.sleep(0.5)
    assert [one.said for one in noticed()] == ["before the storm"]
    away.cancel()
    await asyncio.wait([away])
    assert capsys.readouterr().out == ""


async def test_no_trouble_of_its_own_ends_a_process(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(url: SecretStr) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(telling, "_send", broken)
    task = asyncio.create_task(telling.tell(shop.rabbitmq))
    await asyncio.sleep(0.5)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])


async def test_what_ends_a_process_is_told_at_its_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "LOOK_S", 60)
    dying = asyncio.create_task(telling.tell(shop.rabbitmq))
    await asyncio.sleep(0)
    log("critical", "background part died", exc_info=failure())
    dying.cancel()
    await asyncio.wait([dying])
    assert not troubles.waiting
    assert (await telling.latest(shop.rabbitmq, 1))[0].said == "background part died"
