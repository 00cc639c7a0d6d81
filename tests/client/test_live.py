"""The live connection: nothing is missed, whatever happens to the socket."""

import asyncio
from contextlib import aclosing

import pytest
from codetect import Client, LiveEvent, Refused, Unreachable

from tests.client.double import Double


async def take(client: Client, number: int, after: str | None = None) -> list[LiveEvent]:
    """So many events, besides those that only say that there is a connection."""
    taken: list[LiveEvent] = []
    async with aclosing(client.watch(after)) as events:
        async for event in events:
            if event.type != "ready":
                taken.append(event)
            if len(taken) == number:
                break
    return taken


async def until(condition: "callable") -> None:  # type: ignore[valid-type]
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_first_it_says_that_it_is_ready(client: Client) -> None:
    async with aclosing(client.watch()) as events:
        assert (await anext(events)).type == "ready"


async def test_what_happened_before_is_told_when_a_cursor_is_given(client: Client, double: Double) -> None:
    for number in range(5):
        double.tell("thing.happened", number=number)
    taken = await take(client, 3, after="2.0badcafe")
    assert [event.data["number"] for event in taken] == [2, 3, 4]


async def test_cuts_lose_nothing_and_double_nothing(client: Client, double: Double) -> None:
    taking = asyncio.create_task(take(client, 300))
    await until(lambda: double.sockets)
    for number in range(300):
        double.tell("thing.happened", number=number)
        if number % 60 == 30:
            await asyncio.sleep(0.05)
            await double.cut()
            double.fail("POST /api/v1/live/ticket", 503, retry_after="0")
    taken = await asyncio.wait_for(taking, 30)
    assert [event.data["number"] for event in taken] == list(range(300))
    assert double.times("POST /api/v1/live/ticket") > 5


async def test_a_gap_that_the_server_cannot_fill_is_told(client: Client, double: Double) -> None:
    for number in range(5):
        double.tell("thing.happened", number=number)
    double.held_from = 3
    (event,) = await take(client, 1, after="1.0badcafe")
    assert (event.type, event.cursor) == ("resync", "5.0badcafe")


async def test_a_cut_right_after_ready_does_not_swallow_a_gap(client: Client, double: Double) -> None:
    for number in range(5):
        double.tell("thing.happened", number=number)
    double.held_from, double.cut_after_ready = 3, 1
    (event,) = await take(client, 1, after="1.0badcafe")
    assert event.type == "resync"


async def test_each_connection_has_a_ticket_of_its_own(client: Client, double: Double) -> None:
    taking = asyncio.create_task(take(client, 1))
    await until(lambda: double.sockets)
    await double.cut()
    await until(lambda: double.sockets)
    double.tell("thing.happened")
    await taking
    assert not double.tickets
    assert double.times("POST /api/v1/live/ticket") == 2


async def test_it_gives_up_when_patience_ends(client: Client, double: Double) -> None:
    double.live = False
    client.api._patience_s = 0
    with pytest.raises(Unreachable, match="no live connection"):
        await anext(client.watch(patience_s=0.5))


async def test_a_refusal_is_no_reason_to_try_again(client: Client, double: Double) -> None:
    double.fail("POST /api/v1/live/ticket", 403)
    with pytest.raises(Refused):
        await anext(client.watch())
    assert double.times("POST /api/v1/live/ticket") == 1


async def test_frames_that_are_none_of_ours_are_passed_over(client: Client, double: Double) -> None:
    taking = asyncio.create_task(take(client, 1))
    await until(lambda: double.sockets)
    for ws in double.sockets:
        await ws.send_text("no json")
        await ws.send_json(["a list"])
    double.tell("thing.happened")
    assert [event.type for event in await taking] == ["codetect.thing.happened.v1"]
