"""What an analysis costs: processor and GPU time, and bytes moved; added up while it runs."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from codetect_shared import events

Result = TypeVar("Result")


@dataclass
class Cost:
    """One attempt's. `cpu_s` of the threads that read, prepare, run and write; `gpu_s` is the wall time of its share of
    runs on a GPU; `model_s` the same on whatever runs the model. What the process does for all alike isn't in it.
    """

    cpu_s: float = 0.0
    gpu_s: float = 0.0
    model_s: float = 0.0
    bytes_read: int = 0
    bytes_written: int = 0

    async def thread(self, function: Callable[..., Result], *arguments: object) -> Result:
        """`asyncio.to_thread`, and what it took is counted."""

        def timed() -> tuple[Result, float]:
            begun = time.thread_time()
            return function(*arguments), time.thread_time() - begun

        result, seconds = await asyncio.to_thread(timed)
        self.cpu_s += seconds
        return result

    def told(self) -> events.Cost:
        """As it is kept and told."""
        return events.Cost(
            cpu_ms=round(1000 * self.cpu_s),
            gpu_ms=round(1000 * self.gpu_s),
            bytes_read=self.bytes_read,
            bytes_written=self.bytes_written,
        )
