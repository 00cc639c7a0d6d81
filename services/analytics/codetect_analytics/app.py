"""The two processes: the API that answers, and the projector that counts."""

from collections.abc import AsyncIterator, Sequence

from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.expiring import forget_now_and_then
from codetect_shared.outbox import Relay
from codetect_shared.schema import migrated
from fastapi import FastAPI
from sqlalchemy import make_url, text

from codetect_analytics.forget import forget_erased
from codetect_analytics.models import FIGURES_VERSION
from codetect_analytics.projector import Projector
from codetect_analytics.routes import router
from codetect_analytics.settings import ProjectorSettings, Settings


class FiguresMissing(Exception):
    """The projector has not made the figures of this version yet."""


def api(settings: Settings) -> FastAPI:
    """The HTTP API, and the relay that tells whom it refused something."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        async def figures() -> None:
            async with app.state.db.system() as session:
                if await session.scalar(text("SELECT figures_version FROM cursor")) != FIGURES_VERSION:
                    raise FiguresMissing

        readiness(app, {"database": migrated(app.state.db, "codetect_analytics"), "figures": figures})

        relay = Relay(settings.database_system_url, settings.rabbitmq_url, "analytics")
        yield [relay.run, lambda: forget_now_and_then(settings.database_system_url)]

    return create_app(settings, "analytics", parts, [router])


def projector(settings: ProjectorSettings) -> FastAPI:
    """The projector, with health and metrics."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        part = Projector(settings.database_system_url, settings.rabbitmq_url, app_role(settings))
        readiness(app, {"database": migrated(app.state.db, "codetect_analytics"), "stream": part.check}, part.facts)
        yield [part.run, every(30, "forgetting", lambda: forget_erased(app.state.db))]

    return create_app(settings, "projector", parts)


def app_role(settings: Settings) -> str:
    """The role that may read figures."""
    return make_url(settings.database_url.get_secret_value()).username or ""
