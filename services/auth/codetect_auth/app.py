"""The process `api` of auth."""

from collections.abc import AsyncIterator, Sequence

from codetect_shared import topology
from codetect_shared.app import Background, create_app, every, readiness
from codetect_shared.crowds import BatchConsumer
from codetect_shared.jobs import Reaper
from codetect_shared.outbox import Relay
from codetect_shared.tokens import JwksCache
from fastapi import FastAPI
from sqlalchemy import delete, func

from codetect_auth import admin_routes, factor_routes, passkeys, refusals, revocations, routes, sessions, throttle
from codetect_auth.context import Auth
from codetect_auth.keys import SigningKeys
from codetect_auth.models import LoginChallenge
from codetect_auth.passwords import Passwords
from codetect_auth.settings import Settings
from codetect_auth.trail import routes as trail_routes
from codetect_auth.trail.chaining import Chains
from codetect_auth.webhooks.models import DELIVERIES
from codetect_auth.webhooks.routes import router as webhook_routes
from codetect_auth.webhooks.running import telling

SWEEP_S = 300
NOTICE_S = 10
ROTATE_S = 3600


def api(settings: Settings) -> FastAPI:
    """All of auth's routes, its relay, the audit trail's consumer, and the sweep of what has run out."""

    async def parts(app: FastAPI) -> AsyncIterator[Sequence[Background]]:
        db, passwords = app.state.db, Passwords(settings.hash_threads)
        auth = app.state.auth = Auth(settings, db, passwords, SigningKeys(db, settings.master_key))
        await auth.keys.ensure()
        app.state.jwks = JwksCache(lambda: routes.trust(auth), settings.issuer, fresh_s=0)  # it is at the source
        readiness(app, {"database": db.ping, "signing key": auth.keys.jwks})
        relay = Relay(settings.database_system_url, settings.rabbitmq_url, "auth")
        chains = Chains(settings.master_key)
        consumer = BatchConsumer(settings.rabbitmq_url, topology.AUDIT, db, chains.take)
        reaper = Reaper(settings.database_system_url, DELIVERIES)
        async with telling(settings, db) as told:
            yield [
                relay.run,
                reaper.run,
                consumer.run,
                *told,
                every(NOTICE_S, "auth.audit", lambda: chains.notice(db)),
                every(SWEEP_S, "auth.sweep", lambda: sweep(auth)),
                every(ROTATE_S, "auth.keys", lambda: auth.keys.rotate_when_due(settings.key_days)),
            ]
        passwords.close()

    routers = [routes.router, factor_routes.router, admin_routes.router, trail_routes.router, webhook_routes]
    app = create_app(settings, "auth", parts, routers)
    refusals.record_refused_logins(app)
    return app


async def sweep(auth: Auth) -> None:
    """Forget steps of logins, refresh tokens and tries that are over."""
    async with auth.db.system() as session:
        await throttle.sweep(session)
        await sessions.sweep(session)
        await passkeys.sweep(session)
        await revocations.sweep(session)
        await session.execute(delete(LoginChallenge).where(LoginChallenge.expires_at < func.clock_timestamp()))
