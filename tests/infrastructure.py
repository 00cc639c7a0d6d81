"""Real servers for tests: ones that already run, else containers where Docker answers, else the local stack's own."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from codetect_local import buckets, rabbitmq, servers
from codetect_local.ports import free_block
from codetect_local.secrets import DATABASES
from codetect_local.secrets import load as load_secrets
from codetect_local.services import PROCESSES, database_urls
from codetect_local.settings import Settings
from codetect_local.stack import Stack
from codetect_shared import bus, topology
from codetect_shared.migrations import bootstrap, migrate
from pydantic import SecretStr

from tests import containers

PORTS = [name for name in Settings.model_fields if name.endswith("_port")]


def settings_apart(state: Path, replicas: int = 1) -> Settings:
    """Settings of a stack that shares nothing with any other, nor with this process's environment."""
    start = free_block()
    ports = {name: start + number for number, name in enumerate(PORTS)} | {"s3_internal_port": start + 80}
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    return Settings(**defaults | ports | {"state_dir": state, "replicas": replicas})


@dataclass
class Infrastructure:
    """Servers to test against, and a corner of each that nobody else uses."""

    environment: dict[str, str]
    migrated: set[str] = field(default_factory=set)
    storage_folder: Path | None = None  # where the object store keeps its bytes, where that is ours alone

    async def migrate(self, *services: str) -> None:
        """Make the databases of these services, if this session hasn't yet."""
        admin = self.environment["CODETECT_POSTGRES_ADMIN_URL"]
        for name in services:
            if name in self.migrated:
                continue
            own = {
                key: url for key, url in self.environment.items() if key.startswith(f"CODETECT_{name.upper()}_DATABASE")
            }
            # Roles belong to the whole server: two sessions must not alter them at once.
            async with locked(admin):
                await bootstrap(admin, own)
            await asyncio.to_thread(migrate, f"codetect_{name}", own[f"CODETECT_{name.upper()}_DATABASE_OWNER_URL"])
            self.migrated.add(name)


@asynccontextmanager
async def locked(admin_url: str) -> AsyncIterator[None]:
    """One pytest session at a time."""
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute("SELECT pg_advisory_lock(hashtext('codetect.tests'))")
        yield
    finally:
        await connection.close()


@asynccontextmanager
async def infrastructure(folder: Path) -> AsyncIterator[Infrastructure]:
    """The servers for one pytest session."""
    shared = os.environ.get("CODETECT_TEST_STATE")
    if shared:
        async with corner(Stack(Settings.of(Path(shared)))) as found:
            yield found
    elif containers.available():
        async with containers.servers() as environment:
            yield Infrastructure(environment | process_ports() | containers.databases(environment))
    else:
        stack = Stack(settings_apart(folder))
        try:
            await stack.up(with_services=False)
            data = stack.settings.state / "s3" / "data"
            yield Infrastructure(stack.environment() | process_ports(), storage_folder=data)
        finally:
            clear(stack)


@asynccontextmanager
async def corner(stack: Stack) -> AsyncIterator[Infrastructure]:
    """A vhost, databases and buckets of our own on servers that others use too."""
    name = f"t{secrets.token_hex(4)}"
    known, settings = load_secrets(stack.settings.state), stack.settings
    environment = stack.environment()
    admin = environment["CODETECT_POSTGRES_ADMIN_URL"]
    environment |= database_urls(admin, known, prefix=f"{name}_")
    environment["CODETECT_RABBITMQ_URL"] = rabbitmq.url(settings, known) + name
    environment["CODETECT_STORAGE_BUCKET_PREFIX"] = f"{name}-"
    keys = (environment[f"CODETECT_STORAGE_{key}"] for key in ("URL", "ACCESS_KEY", "SECRET_KEY"))
    store = buckets.client(*keys)
    await asyncio.to_thread(rabbitmq.add_vhost, settings, name)
    await asyncio.to_thread(buckets.ensure, store, f"{name}-")
    try:
        yield Infrastructure(environment | process_ports())
    finally:
        await asyncio.to_thread(rabbitmq.delete_vhost, settings, name)
        await asyncio.to_thread(buckets.remove, store, f"{name}-")
        connection = await asyncpg.connect(admin)
        for database in DATABASES:
            await connection.execute(f"DROP DATABASE IF EXISTS {name}_{database} WITH (FORCE)")
        await connection.close()


async def empty_broker(url: str) -> None:
    """Leave nothing that other tests told: who starts to consume now would apply it."""
    async with bus.connect(SecretStr(url), "emptying") as connection:
        channel = await connection.channel()
        await topology.declare(channel)
        for name in (*(q.name for q in topology.EVENT_QUEUES), *topology.JOB_QUEUES, topology.DEAD_LETTERS):
            await (await channel.get_queue(name, ensure=False)).purge()


def process_ports() -> dict[str, str]:
    """An address to listen on for each service, should a test start one."""
    start = free_block()
    services = dict.fromkeys(service for _, service, _ in PROCESSES)
    hosts = {f"CODETECT_{name.upper()}_HOST": "127.0.0.1" for name in services}
    return hosts | {f"CODETECT_{name.upper()}_PORT": str(start + number) for number, name in enumerate(services)}


def clear(stack: Stack) -> None:
    """Stop a stack and erase its data; the logs stay for whoever asks why a test failed."""
    stack.down()
    for data in ("postgres", "rabbitmq", "s3"):
        shutil.rmtree(stack.settings.state / data, ignore_errors=True)


__all__ = ["Infrastructure", "clear", "empty_broker", "infrastructure", "servers", "settings_apart"]
