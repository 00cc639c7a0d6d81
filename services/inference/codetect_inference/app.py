"""The API process; the worker's application stands in `worker.py`, so that no API process loads ONNX Runtime."""

from collections.abc import AsyncIterator, Sequence

from codetect_shared import topology
from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.bus import EventConsumer
from codetect_shared.jobs import Reaper
from codetect_shared.outbox import Relay
from codetect_shared.schema import migrated
from fastapi import FastAPI

from codetect_inference import model_routes, result_routes, routes
from codetect_inference.consumers import HANDLERS
from codetect_inference.feedback import routes as feedback_routes
from codetect_inference.models import ANALYSES
from codetect_inference.notes import routes as note_routes
from codetect_inference.registry import Registry
from codetect_inference.removals import sweep
from codetect_inference.settings import Settings
from codetect_inference.views import routes as view_routes
from codetect_inference.watch import routes as watch_routes
from codetect_inference.watch.looking import look

ROUTERS = (
    routes.analyses,
    result_routes.results,
    feedback_routes.of_analyses,
    feedback_routes.feedback,
    model_routes.models,
    watch_routes.models,
    view_routes.views,
    note_routes.notes,
)


def api(settings: Settings) -> FastAPI:
    """Routes; the consumer that queues analyses; relay, reaper and the sweep of removed results."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, storage = app.state.db, app.state.storage
        app.state.registry = Registry(db, storage, settings)
        readiness(app, {"database": migrated(db, "codetect_inference"), "storage": storage.ping})
        yield [
            Relay(settings.database_system_url, settings.rabbitmq_url, "inference").run,
            Reaper(settings.database_system_url, ANALYSES).run,
            EventConsumer(settings.rabbitmq_url, topology.STUDIES, db, HANDLERS).run,
            every(30, "removals", lambda: sweep(db, storage)),
            every(600, "drift", lambda: look(db)),
        ]

    return create_app(settings, "inference", parts, ROUTERS)
