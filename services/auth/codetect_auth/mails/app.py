"""The process that lets things out of the house, apart from the API and without what only that one needs in memory."""

from collections.abc import AsyncIterator, Sequence

from codetect_shared import topology
from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.bus import EventConsumer
from codetect_shared.jobs import Worker
from codetect_shared.schema import migrated
from fastapi import FastAPI

from codetect_auth.mails import mailer as sending
from codetect_auth.mails import results
from codetect_auth.models import MAILS
from codetect_auth.settings import MailerSettings
from codetect_auth.webhooks.running import telling

GROUPS_S = 5
DRAIN_S = 15  # supervisors wait 20 s


def mailer(settings: MailerSettings) -> FastAPI:
    """What leaves the house: mails, also of how analyses ended, and webhooks."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, url = app.state.db, settings.rabbitmq_url
        mailer = sending.Mailer(settings, db)
        readiness(app, {"database": migrated(db, "codetect_auth")})
        async with telling(settings, db) as told:
            yield [
                Worker(MAILS, db, url, mailer.run, sending.give_up, drain_s=DRAIN_S).run,
                EventConsumer(url, topology.ENDED, db, results.handlers(settings)).run,
                every(GROUPS_S, "auth.result_groups", lambda: results.tell_groups(db, settings)),
                *told,
            ]
        await mailer.close()

    return create_app(settings, "mailer", parts)
