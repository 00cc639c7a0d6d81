"""The service's processes: the API, and the importer, which answers only for its health."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from codetect_shared import topology
from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.bus import EventConsumer
from codetect_shared.jobs import Reaper, Worker
from codetect_shared.outbox import Relay
from fastapi import FastAPI

from codetect_ingest import consumers, routes
from codetect_ingest.children import Children
from codetect_ingest.dicomweb import decoding, reading_routes, storing_routes
from codetect_ingest.importer import Importer, forget_scratch, give_up, give_up_assembly
from codetect_ingest.models import ASSEMBLIES, UPLOADS
from codetect_ingest.service import Ingest
from codetect_ingest.settings import Settings
from codetect_ingest.sweep import sweep

DRAIN_S = 15  # supervisors wait 20 s
SWEEP_S = 60


def api(settings: Settings) -> FastAPI:
    """Routes; the consumer that makes facilities' keys; relay, reaper and the sweep of what uploads leave behind."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        children = Children(settings.children)
        viewers = Children(settings.children, answer=decoding.answer)
        decoding.be_silent()
        await asyncio.to_thread(forget_scratch)
        app.state.ingest = Ingest(settings, db, storage, children, viewers)
        readiness(app, {"database": db.ping, "storage": storage.ping})
        yield [
            Relay(settings.database_system_url, settings.rabbitmq_url, "ingest").run,
            Reaper(settings.database_system_url, UPLOADS, ASSEMBLIES).run,
            EventConsumer(settings.rabbitmq_url, topology.FACILITIES, db, consumers.handlers(settings.master_key)).run,
            every(SWEEP_S, "ingest.sweep", lambda: sweep(app.state.ingest)),
        ]
        children.close()
        viewers.close()

    routers = [routes.uploads, routes.studies, storing_routes.router, reading_routes.dicomweb]
    return create_app(settings, "ingest", parts, routers)


def importer(settings: Settings) -> FastAPI:
    """One upload and one study at a time, an upload's files read by as many children as there are cores."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        children = Children(settings.children)
        await asyncio.to_thread(children.warm)
        await asyncio.to_thread(forget_scratch)
        readiness(app, {"database": db.ping, "storage": storage.ping})
        work = Importer(settings, db, storage, children)
        url = settings.rabbitmq_url
        yield [
            Worker(UPLOADS, db, url, work.run, give_up, drain_s=DRAIN_S).run,
            Worker(ASSEMBLIES, db, url, work.assemble, give_up_assembly, drain_s=DRAIN_S).run,
        ]
        children.close()

    return create_app(settings, "importer", parts)
