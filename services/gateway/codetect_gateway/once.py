"""Asking once for many: whoever comes while an answer is on its way waits for that one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Once(Generic[Answer]):
    """Questions by name; who goes takes nobody else's answer along."""

    def __init__(self) -> None:
        self._asking: dict[bytes, asyncio.Task[Answer]] = {}

    def __contains__(self, name: bytes) -> bool:
        return name in self._asking

    async def __call__(self, name: bytes, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer; `ask` is called unless it is being asked for already."""
        if name not in self._asking:
            self._asking[name] = asyncio.create_task(self._ask(name, ask))
        return await asyncio.shield(self._asking[name])

    async def _ask(self, name: bytes, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            return await ask()
        finally:
            del self._asking[name]
