"""Databases, roles and schemas: what `bootstrap` makes once, and what services' Alembic histories build on.

    python -m codetect_shared.migrations bootstrap

reads CODETECT_POSTGRES_ADMIN_URL (a superuser) and every CODETECT_<NAME>_DATABASE[_OWNER|_SYSTEM]_URL, and creates the
databases and roles these name. It can be run again: passwords are set anew, nothing is dropped.
"""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import sqlalchemy as sa
from alembic import command, context, op
from alembic.config import Config
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.pool import NullPool

from codetect_shared.audit import PAYLOAD, SUBJECT, audit, audit_counters
from codetect_shared.db import engine_of, fencing
from codetect_shared.events import AuditRecorded, UploadImported
from codetect_shared.inbox import inbox
from codetect_shared.outbox import CHANNEL, outbox
from codetect_shared.topology import AUDIT

IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


async def bootstrap(admin_url: str, environment: dict[str, str]) -> None:
    """Create the roles and databases that the services' URLs name."""
    for name in ("AUTH", "INGEST", "INFERENCE", "ANALYTICS", "GATEWAY"):
        if f"CODETECT_{name}_DATABASE_OWNER_URL" in environment:
            urls = {
                role: make_url(environment[f"CODETECT_{name}_DATABASE{role}_URL"]) for role in ("_OWNER", "", "_SYSTEM")
            }
            await _bootstrap_service(admin_url, urls["_OWNER"], urls[""], urls["_SYSTEM"])


async def _bootstrap_service(admin_url: str, owner: sa.URL, app: sa.URL, system: sa.URL) -> None:
    admin = await asyncpg.connect(admin_url)
    try:
        for url, rights in ((owner, "NOBYPASSRLS"), (app, "NOBYPASSRLS"), (system, "BYPASSRLS")):
            role = _identifier(url.username)
            verb = "ALTER" if await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role) else "CREATE"
            password = str(url.password).replace("'", "''")
            await admin.execute(f"{verb} ROLE {role} LOGIN NOSUPERUSER {rights} PASSWORD '{password}'")
            await admin.execute(f"ALTER ROLE {role} SET idle_in_transaction_session_timeout = '10s'")
        database = _identifier(owner.database)
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await admin.execute(f"CREATE DATABASE {database} OWNER {owner.username}")
        await admin.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        await admin.execute(f"GRANT CONNECT ON DATABASE {database} TO {app.username}, {system.username}")
        await admin.execute(f"GRANT CREATE ON DATABASE {database} TO {system.username}")
    finally:
        await admin.close()
    inside = await asyncpg.connect(
        make_url(admin_url).set(database=owner.database).render_as_string(hide_password=False)
    )
    try:
        await inside.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        await inside.execute(f"ALTER SCHEMA public OWNER TO {owner.username}")
        await inside.execute(f"GRANT USAGE ON SCHEMA public TO {app.username}, {system.username}")
        for what, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE, SELECT")):
            await inside.execute(
                f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner.username} "
                f"GRANT {rights} ON {what} TO {app.username}, {system.username}"
            )
    finally:
        await inside.close()


def _identifier(name: str | None) -> str:
    if not name or not IDENTIFIER.fullmatch(name):
        raise SystemExit(f"{name!r} can't be a database or role name here: use small letters, digits and _.")
    return name


def migrate(package: str, owner_url: str, to: str = "head") -> None:
    """Bring a service's schema to its newest version, or to another. `package` holds `migrations/versions`."""
    config = Config()
    config.set_main_option("script_location", str(files(package) / "migrations"))
    config.attributes["url"] = owner_url
    command.upgrade(config, to)


def run_env(metadata: sa.MetaData | None = None) -> None:
    """What a service's `migrations/env.py` calls: run the history in one transaction, one process at a time."""

    def run(connection: Connection) -> None:
        context.configure(connection=connection, target_metadata=metadata)
        with context.begin_transaction():
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('codetect.migrations'))"))
            context.run_migrations()

    async def connect() -> None:
        engine = engine_of(context.config.attributes["url"], poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                await connection.run_sync(run)
        finally:
            await engine.dispose()

    asyncio.run(connect())


def create_messaging() -> None:
    """In a first migration: the service's outbox (with its NOTIFY) and inbox."""
    for table in (outbox, inbox):
        table.create(op.get_bind())
    op.execute(f"""
        CREATE FUNCTION notify_outbox() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL; END $$
    """)
    op.execute("CREATE TRIGGER notify AFTER INSERT ON outbox FOR EACH STATEMENT EXECUTE FUNCTION notify_outbox()")
    fence("outbox")


def create_audit(service: str) -> None:
    """The service's audit table, which only ever grows, and its numbers per facility (docs/audit.md)."""
    for table in (audit, audit_counters):
        table.create(op.get_bind())
    _guard_audit(service)


def widen_audit(service: str) -> None:
    """The same out of an audit table that said less, whose rows nobody was told of: they are told now, in order."""
    audit_counters.create(op.get_bind())
    op.add_column("audit", sa.Column("event_id", sa.Uuid, server_default=sa.func.gen_random_uuid(), nullable=False))
    op.add_column("audit", sa.Column("session_id", sa.Uuid))
    for name in ("service", "target", "address", "request_id"):
        op.add_column("audit", sa.Column(name, sa.Text))
    op.create_unique_constraint("audit_event_id_key", "audit", ["event_id"])
    # Even the owner sees only one facility's rows below FORCE.
    for table in ("audit", "outbox"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"UPDATE audit SET service = '{service}', target = 'study/' || study_id")  # noqa: S608 - a constant
    op.execute("INSERT INTO audit_counters SELECT facility_id, max(sequence) FROM audit GROUP BY facility_id")
    op.execute(f"""
        INSERT INTO outbox (event_id, facility_id, queue, type, subject, sequence, data, time)
        SELECT event_id, facility_id, '{AUDIT.name}', '{AuditRecorded.type}', {SUBJECT}, sequence, {PAYLOAD}, at
        FROM audit ORDER BY facility_id, sequence
    """)  # noqa: S608 - constants
    for table in ("audit", "outbox"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.alter_column("audit", "service", nullable=False)
    op.execute("DROP POLICY facility ON audit")
    _guard_audit(service)


def _guard_audit(service: str) -> None:
    op.alter_column("audit", "service", server_default=service)
    op.create_index("audit_said", "audit", ["facility_id", "subject", "action", "target", "at"])
    fence("audit", "audit_counters")
    append_only("audit")


def append_only(table: str) -> None:
    """Rows of this table are neither changed nor removed, by its owner neither.

    But for `<table>_retention`, a setting under which the owner alone may remove rows, for what has been kept long
    enough; no role that serves requests has the privilege.
    """
    op.execute(f"""
        CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF TG_OP = 'DELETE' AND current_setting('codetect.{table}_retention', true) = 'on' THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION 'rows of {table} are neither changed nor removed' USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    each = f"EXECUTE FUNCTION {table}_append_only()"
    op.execute(f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW {each}")
    op.execute(f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {each}")
    op.execute(f"""
        CREATE POLICY retention ON {table} TO CURRENT_USER
        USING (current_setting('codetect.{table}_retention', true) = 'on')
    """)
    op.execute(f"""
        DO $$ DECLARE granted record; BEGIN
            FOR granted IN
                SELECT DISTINCT grantee::regrole AS role
                FROM pg_class, aclexplode(relacl) WHERE oid = '{table}'::regclass AND grantee NOT IN (0, relowner)
            LOOP
                EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM %s', granted.role);
            END LOOP;
        END $$
    """)  # noqa: S608 - names of our own


def index_studies(table: str) -> None:
    """Let the events in `table` (an outbox, or kept ones) be found by study, so that they can be forgotten."""
    op.create_index(f"{table}_study", table, [sa.text("(data ->> 'study_id')")])
    op.create_index(
        f"{table}_imported",
        table,
        [sa.text("(data -> 'studies')")],
        postgresql_using="gin",
        postgresql_where=sa.text(f"type = '{UploadImported.type}'"),
    )


def index_queued() -> None:
    """Let the outbox's rows for single queues, which go after an hour, be found among those that stay for long."""
    op.create_index("outbox_queued", "outbox", ["sent_at"], postgresql_where=sa.text("queue IS NOT NULL"))


def fence(*tables: str) -> None:
    """Row-level security: a session of the app role sees and writes only rows of the facility it has set."""
    for table in tables:
        for statement in fencing(table):
            op.execute(statement)


@contextmanager
def unfenced(*tables: str) -> Iterator[None]:
    """Within, a migration sees and changes the rows of all facilities. Else it sees none: even the owner is fenced."""
    for table in tables:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    yield
    for table in tables:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def aggregate_columns() -> list[sa.Column[Any]]:
    """Columns of `db.AggregateRow`."""
    return [
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("facility_id", sa.Uuid, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False, server_default="0"),
    ]


def job_columns() -> list[sa.Column[Any]]:
    """Columns of `jobs.JobRow`; call `job_index` after the table is there."""
    time = sa.DateTime(timezone=True)
    return [
        *aggregate_columns(),
        sa.Column("priority", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("available_at", time),
        sa.Column("lease_until", time),
        sa.Column("looked_at", time),
        sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    ]


def job_index(table: str) -> None:
    """The index that claims and the reaper use: only rows with something to do are in it."""
    op.create_index(
        f"{table}_due", table, ["priority", "available_at"], postgresql_where=sa.text("available_at IS NOT NULL")
    )


if __name__ == "__main__":
    if sys.argv[1:] != ["bootstrap"] or "CODETECT_POSTGRES_ADMIN_URL" not in os.environ:
        raise SystemExit("Usage: CODETECT_POSTGRES_ADMIN_URL=... python -m codetect_shared.migrations bootstrap")
    asyncio.run(bootstrap(os.environ["CODETECT_POSTGRES_ADMIN_URL"], dict(os.environ)))
