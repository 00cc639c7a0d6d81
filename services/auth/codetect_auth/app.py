"""The API of auth; the mailer is a process of its own (`mails.app`)."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from codetect_shared import topology
from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.bus import EventConsumer
from codetect_shared.crowds import BatchConsumer
from codetect_shared.jobs import Reaper
from codetect_shared.outbox import Relay
from codetect_shared.schema import migrated
from codetect_shared.tokens import JwksCache
from fastapi import FastAPI
from sqlalchemy import delete, func, select, update

from codetect_auth import (
    admin_routes,
    clients,
    facilities,
    facility_routes,
    factor_routes,
    passkeys,
    refusals,
    revocations,
    routes,
    sessions,
    throttle,
)
from codetect_auth.access import routes as access_routes
from codetect_auth.access import states
from codetect_auth.context import Auth
from codetect_auth.keys import SigningKeys
from codetect_auth.mails import routes as mail_routes
from codetect_auth.models import MAILS, LoginChallenge, Mail, MailState, PasswordReset
from codetect_auth.passwords import Passwords
from codetect_auth.settings import Settings
from codetect_auth.trail import routes as trail_routes
from codetect_auth.trail.chaining import Chains
from codetect_auth.webhooks.models import DELIVERIES
from codetect_auth.webhooks.routes import router as webhook_routes

SWEEP_S, DAY = 300, timedelta(days=1)
NOTICE_S = 10
ROTATE_S = 3600
KEPT = timedelta(days=400)
RETURNS = timedelta(days=30)  # by then a mail has come back, if it does, and its address' key is of no more use
# In this order: /facility/checklist and /invitations/accept before what could be an id there.
ROUTERS = [
    routes.router,
    factor_routes.router,
    access_routes.router,
    facility_routes.router,
    admin_routes.router,
    mail_routes.router,
    trail_routes.router,
    webhook_routes,
]


def api(settings: Settings) -> FastAPI:
    """All of auth's routes, its relay, the audit trail's consumer, and the sweep of what has run out."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, passwords = app.state.db, Passwords(settings.hash_threads)
        auth = app.state.auth = Auth(settings, db, passwords, SigningKeys(db, settings.master_key))
        await auth.keys.ensure()
        app.state.jwks = JwksCache(lambda: routes.trust(auth), settings.issuer, fresh_s=0)  # it is at the source
        readiness(app, {"database": migrated(db, "codetect_auth"), "signing key": auth.keys.jwks})
        relay = Relay(settings.database_system_url, settings.rabbitmq_url, "auth")
        chains = Chains(settings.master_key)
        facts = EventConsumer(settings.rabbitmq_url, topology.FACTS, db, facilities.handlers())
        reaper = Reaper(settings.database_system_url, MAILS, DELIVERIES)
        rotate = every(ROTATE_S, "auth.keys", lambda: auth.keys.rotate_when_due(settings.key_days))
        yield [
            relay.run,
            facts.run,
            reaper.run,
            BatchConsumer(settings.rabbitmq_url, topology.AUDIT, db, chains.take).run,
            every(NOTICE_S, "auth.audit", lambda: chains.notice(db)),
            every(SWEEP_S, "auth.sweep", lambda: sweep(auth)),
            rotate,
        ]
        passwords.close()

    app = create_app(settings, "auth", parts, ROUTERS)
    refusals.record_refused_logins(app)
    return app


async def sweep(auth: Auth) -> None:
    """Forget steps of logins, refresh tokens, tries and mails that are over; see that what has run out says so."""
    async with auth.db.system() as session:
        await throttle.sweep(session)
        await sessions.sweep(session)
        await passkeys.sweep(session)
        await revocations.sweep(session)
        await session.execute(delete(LoginChallenge).where(LoginChallenge.expires_at < func.clock_timestamp()))
        await session.execute(delete(PasswordReset).where(PasswordReset.expires_at < func.clock_timestamp() - DAY))
        old = Mail.state != MailState.QUEUED, Mail.created_at < func.clock_timestamp() - KEPT
        await session.execute(delete(Mail).where(Mail.id.in_(select(Mail.id).where(*old).limit(2000))))
        ended = Mail.state != MailState.QUEUED, Mail.created_at < func.clock_timestamp() - RETURNS
        known = select(Mail.id).where(*ended, Mail.address_key.is_not(None)).limit(2000)
        await session.execute(update(Mail).where(Mail.id.in_(known)).values(address_key=None))
    async with auth.db.system() as session:
        await states.expire(session)
        await states.forget(session)
    async with auth.db.system() as session:
        await clients.warn(auth, session)
