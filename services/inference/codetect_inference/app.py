"""The service's processes: the API, and the worker, which answers only for its health."""

import ctypes
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from codetect_shared import topology
from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.bus import EventConsumer
from codetect_shared.jobs import Reaper, Worker
from codetect_shared.outbox import Relay
from fastapi import FastAPI

from codetect_inference import routes
from codetect_inference.consumers import HANDLERS
from codetect_inference.engines import Engines
from codetect_inference.models import ANALYSES
from codetect_inference.removals import sweep
from codetect_inference.settings import Settings, WorkerSettings
from codetect_inference.worker import Analyser, give_up

DRAIN_S = 15  # supervisors wait 20 s
M_MMAP_THRESHOLD = -3  # malloc.h


def api(settings: Settings) -> FastAPI:
    """Routes; the consumer that queues analyses; relay, reaper and the sweep of removed results."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        readiness(app, {"database": db.ping, "storage": storage.ping})
        yield [
            Relay(settings.database_system_url, settings.rabbitmq_url, "inference").run,
            Reaper(settings.database_system_url, ANALYSES).run,
            EventConsumer(settings.rabbitmq_url, topology.STUDIES, db, HANDLERS).run,
            every(30, "removals", lambda: sweep(db, storage)),
        ]

    return create_app(settings, "inference", parts, [routes.analyses, routes.models])


def worker(settings: WorkerSettings) -> FastAPI:
    """As many analyses in hand as the settings say, on shared engines."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        give_memory_back()
        engines = Engines(db, storage, settings)
        readiness(app, {"database": db.ping, "storage": storage.ping, "models": engines.ready}, engines.facts)
        run = Analyser(db, storage, engines).run
        hand = Worker(ANALYSES, db, settings.rabbitmq_url, run, give_up, drain_s=DRAIN_S)
        hands = [hand.run for _ in range(settings.jobs_in_hand)]
        yield [engines.keep_loaded, *hands]
        engines.close()

    return create_app(settings, "worker", parts)


def give_memory_back() -> None:
    """Let glibc return whatever held a volume: left alone, it keeps freed ones in its heaps, and a worker grows."""
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)
