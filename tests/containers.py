"""The same servers from containers, for machines where Docker answers."""

import asyncio
import base64
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import docker
from codetect_local import buckets
from codetect_local.secrets import make
from codetect_local.services import database_urls
from docker.errors import DockerException
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

IMAGES = {"postgres": "postgres:18", "rabbitmq": "rabbitmq:4", "minio": "minio/minio"}


def available() -> bool:
    """Whether Docker answers and has, or can get, the images."""
    if "DOCKER_HOST" not in os.environ and not Path("/var/run/docker.sock").exists():
        return False  # docker's library would leave a socket open, finding out
    try:
        client = docker.from_env(timeout=5)
        for image in IMAGES.values():
            if not client.images.list(image):
                client.images.pull(image)
    except DockerException:
        return False
    return True


@asynccontextmanager
async def servers() -> AsyncIterator[dict[str, str]]:
    """PostgreSQL, RabbitMQ and MinIO, and the variables that name them."""
    password, kms = secrets.token_urlsafe(24), base64.b64encode(secrets.token_bytes(32)).decode()
    postgres = DockerContainer(IMAGES["postgres"]).with_env("POSTGRES_PASSWORD", password).with_exposed_ports(5432)
    rabbitmq = (
        DockerContainer(IMAGES["rabbitmq"])
        .with_env("RABBITMQ_DEFAULT_USER", "codetect")
        .with_env("RABBITMQ_DEFAULT_PASS", password)
        .with_exposed_ports(5672)
    )
    minio = (
        DockerContainer(IMAGES["minio"])
        .with_env("MINIO_ROOT_USER", "codetect")
        .with_env("MINIO_ROOT_PASSWORD", password)
        .with_env("MINIO_KMS_SECRET_KEY", f"codetect:{kms}")
        .with_command("server /data")
        .with_exposed_ports(9000)
    )

    def start() -> dict[str, str]:
        for container, ready in (
            (postgres, r"PostgreSQL init process complete(?s:.*)ready to accept connections"),
            (rabbitmq, "Server startup complete"),
            (minio, "API:"),
        ):
            container.start()
            wait_for_logs(container, ready, timeout=60)

        def at(container: DockerContainer, port: int) -> str:
            return f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"

        url = f"http://{at(minio, 9000)}"
        buckets.ensure(buckets.client(url, "codetect", password), "codetect-")
        return {
            "CODETECT_POSTGRES_ADMIN_URL": f"postgresql://postgres:{password}@{at(postgres, 5432)}/postgres",
            "CODETECT_RABBITMQ_URL": f"amqp://codetect:{password}@{at(rabbitmq, 5672)}/",
            "CODETECT_STORAGE_URL": url,
            "CODETECT_STORAGE_PUBLIC_URL": url,
            "CODETECT_STORAGE_ACCESS_KEY": "codetect",
            "CODETECT_STORAGE_SECRET_KEY": password,
            "CODETECT_STORAGE_BUCKET_PREFIX": "codetect-",
            "CODETECT_BASE_DOMAIN": "localhost",
            "CODETECT_MASTER_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
        }

    try:
        yield await asyncio.to_thread(start)
    finally:
        for container in (postgres, rabbitmq, minio):
            await asyncio.to_thread(container.stop)


def databases(environment: dict[str, str]) -> dict[str, str]:
    """The services' databases on that server, with passwords of this session."""
    return database_urls(environment["CODETECT_POSTGRES_ADMIN_URL"], make())
