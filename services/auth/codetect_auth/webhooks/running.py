"""What has to run for webhooks to be told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from codetect_shared.app import Background, every
from codetect_shared.bus import EventConsumer
from codetect_shared.db import Database
from codetect_shared.jobs import Worker
from codetect_shared.topology import WEBHOOKS

from codetect_auth.settings import Settings
from codetect_auth.webhooks import managing
from codetect_auth.webhooks.delivering import Deliverer, give_up
from codetect_auth.webhooks.hearing import HANDLERS
from codetect_auth.webhooks.models import DELIVERIES
from codetect_auth.webhooks.reaching import Reach, networks

AT_ONCE = 4
SWEEP_S = 3600


@asynccontextmanager
async def telling(settings: Settings, db: Database) -> AsyncIterator[Sequence[Background]]:
    """The consumer of events, some deliverers, and the sweep; the API's `Reaper` knows `DELIVERIES`."""
    reach = Reach(networks(settings.webhook_networks))
    deliverer = Deliverer(db, settings.master_key, reach)

    async def sweep() -> None:
        async with db.system() as session:
            await managing.sweep(session)

    workers = [Worker(DELIVERIES, db, settings.rabbitmq_url, deliverer.run, give_up).run for _ in range(AT_ONCE)]
    consumer = EventConsumer(settings.rabbitmq_url, WEBHOOKS, db, HANDLERS).run
    try:
        yield [consumer, *workers, every(SWEEP_S, "auth.webhooks", sweep)]
    finally:
        await reach.close()
