"""The worker process: takes analyses, runs them on shared engines, drains when it is told to end."""

import ctypes
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from codetect_shared.app import Background, create_app, readiness
from codetect_shared.jobs import Worker
from codetect_shared.schema import migrated
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_inference import service
from codetect_inference.analysing import Analyser
from codetect_inference.engines import Engines
from codetect_inference.models import ANALYSES, Analysis
from codetect_inference.settings import WorkerSettings

DRAIN_S = 15  # supervisors wait 20 s
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h


async def give_up(session: AsyncSession, row: Analysis, error: Exception | None) -> None:
    """After the last attempt."""
    await service.fail(session, row, "gave_up")


def app(settings: WorkerSettings) -> FastAPI:
    """As many analyses in hand as the settings say, and one more when an urgent one comes; on shared engines."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        give_memory_back()
        engines = Engines(db, storage, settings)
        readiness(
            app,
            {"database": migrated(db, "codetect_inference"), "storage": storage.ping, "models": engines.ready},
            engines.facts,
        )
        run = Analyser(db, storage, engines, settings).run
        hand = Worker(ANALYSES, db, settings.rabbitmq_url, run, give_up, drain_s=DRAIN_S)
        hands = [hand.run for _ in range(settings.jobs_in_hand)]
        yield [engines.keep_loaded, *hands, lambda: hand.overtake(len(hands))]
        engines.close()

    return create_app(settings, "worker", parts)


def give_memory_back() -> None:
    """Let glibc return whatever held a volume: left alone, it keeps freed ones in its heaps, and a worker grows.

    What a slice takes it shall keep: given back after each, the kernel must clear it again for the next.
    """
    with suppress(AttributeError, OSError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 2**21)
        mallopt(M_TRIM_THRESHOLD, 2**21)
