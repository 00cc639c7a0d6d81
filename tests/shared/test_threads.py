"""Work in threads and side by side: none of it goes on behind the back of who asked for it."""

import asyncio
import threading
from pathlib import Path

import pytest
from codetect_shared.threads import in_thread, together


async def test_a_cancelled_one_waits_for_its_thread() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(10)
        ended.append(True)

    task = asyncio.create_task(in_thread(work))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


async def test_an_error_in_a_thread_is_the_callers() -> None:
    with pytest.raises(FileNotFoundError):
        await in_thread(Path("/nowhere/at/all").read_bytes)


async def test_when_one_fails_the_others_have_ended() -> None:
    ended = []

    async def fails() -> None:
        raise ValueError("no")

    async def goes_on() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0.01)
            ended.append(True)

    with pytest.raises(ValueError, match="no"):
        await together(goes_on(), fails())
    assert ended == [True]


async def test_results_come_in_order() -> None:
    assert await together(asyncio.sleep(0.02, 1), asyncio.sleep(0, 2)) == (1, 2)
