"""The service's processes: the API, and the importer, which answers only for its health."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import httpx
from codetect_shared import topology
from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.bus import EventConsumer
from codetect_shared.jobs import Reaper, Worker
from codetect_shared.outbox import Relay
from codetect_shared.schema import migrated
from fastapi import FastAPI

from codetect_ingest import consumers, delivering, destination_routes, routes
from codetect_ingest.ahead import Ahead, Shelf
from codetect_ingest.children import Children
from codetect_ingest.delivering import Deliverer
from codetect_ingest.dicomweb import decoding, reading_routes, storing_routes
from codetect_ingest.dicomweb.blocks import Blocks
from codetect_ingest.erasing import finish
from codetect_ingest.export_routes import exports
from codetect_ingest.facility_routes import facility
from codetect_ingest.identity_routes import identities, of_uploads
from codetect_ingest.importer import Importer, give_up, give_up_assembly
from codetect_ingest.intake import IN_HAND_PER_CHILD
from codetect_ingest.life_routes import life
from codetect_ingest.models import ASSEMBLIES, DELIVERIES, UPLOADS
from codetect_ingest.retention import retain
from codetect_ingest.scratch import forget_scratch
from codetect_ingest.service import Ingest
from codetect_ingest.settings import Settings
from codetect_ingest.sweep import sweep

DRAIN_S = 15  # supervisors wait 20 s
SWEEP_S = 60
ERASE_S = 5
DELIVERY_TIMEOUT_S = 30
FOLLOWED = 2  # uploads read ahead side by side: one client may be slow
# In this order: what has a name of its own below /studies before what could be an id there.
ROUTERS = [
    routes.uploads,
    of_uploads,
    identities,
    exports,
    routes.studies,
    life,
    facility,
    storing_routes.router,
    reading_routes.dicomweb,
    destination_routes.router,
]


def api(settings: Settings) -> FastAPI:
    """Routes; the consumer that makes facilities' keys; relay and reaper; what sweeps, erases and forgets."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        children = Children(settings.children)
        viewers = Children(settings.children, answer=decoding.answer)
        decoding.be_silent()
        await asyncio.to_thread(forget_scratch)
        blocks = Blocks(storage, settings.image_cache_bytes)
        hands = asyncio.Semaphore(IN_HAND_PER_CHILD * children.size)
        app.state.ingest = Ingest(settings, db, storage, children, viewers, blocks, hands)
        readiness(app, {"database": migrated(db, "codetect_ingest"), "storage": storage.ping})
        yield [
            Relay(settings.database_system_url, settings.rabbitmq_url, "ingest").run,
            Reaper(settings.database_system_url, UPLOADS, ASSEMBLIES, DELIVERIES).run,
            EventConsumer(settings.rabbitmq_url, topology.FACILITIES, db, consumers.handlers(settings.master_key)).run,
            EventConsumer(settings.rabbitmq_url, topology.RESULTS, db, consumers.results(settings.master_key)).run,
            every(SWEEP_S, "ingest.sweep", lambda: sweep(app.state.ingest)),
            every(SWEEP_S, "ingest.retention", lambda: retain(app.state.ingest)),
            every(ERASE_S, "ingest.erasures", lambda: finish(app.state.ingest)),
        ]
        children.close()
        viewers.close()

    return create_app(settings, "ingest", parts, ROUTERS)


def importer(settings: Settings) -> FastAPI:
    """One upload, one study, one delivery at a time, an upload's files read by as many children as there are cores."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        children = Children(settings.children)
        await asyncio.to_thread(children.warm)
        await asyncio.to_thread(forget_scratch)
        readiness(app, {"database": migrated(db, "codetect_ingest"), "storage": storage.ping})
        shelf = Shelf()
        work = Importer(settings, db, storage, children, shelf)
        url = settings.rabbitmq_url
        async with httpx.AsyncClient(timeout=DELIVERY_TIMEOUT_S, trust_env=False) as client:
            deliver = Deliverer(settings, db, storage, client)
            turn = asyncio.Lock()  # one upload at a time, also of those that were read ahead
            imports = Worker(UPLOADS, db, url, work.run, give_up, drain_s=DRAIN_S, turn=turn)
            ahead = Ahead(settings, db, storage, children, shelf, imports)
            yield [
                imports.run,
                *[ahead.run] * FOLLOWED,
                Worker(ASSEMBLIES, db, url, work.assemble, give_up_assembly, drain_s=DRAIN_S).run,
                Worker(DELIVERIES, db, url, deliver.run, delivering.give_up, drain_s=DRAIN_S).run,
            ]
        children.close()

    return create_app(settings, "importer", parts)
