"""The five services' processes, their databases and what they are told through the environment."""

import asyncio
import os
import sys
from urllib.parse import urlsplit, urlunsplit

from codetect_local import ports
from codetect_local.account import as_user, give
from codetect_local.programs import Program
from codetect_local.secrets import DATABASES, ROLES
from codetect_local.settings import ROOT, Settings
from codetect_local.tls import Certificate

# (process, service, what to run)
PROCESSES = (
    ("gateway", "gateway", "api"),
    ("auth", "auth", "api"),
    ("mailer", "auth", "mailer"),
    ("ingest", "ingest", "api"),
    ("importer", "ingest", "importer"),
    ("inference", "inference", "api"),
    ("worker", "inference", "worker"),
    ("analytics", "analytics", "api"),
    ("projector", "analytics", "projector"),
)

# What is freed goes back to the system: one password hashed would otherwise leave 20 MB with auth for good.
FRUGAL = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "262144"}


def addresses(settings: Settings) -> dict[str, str]:
    """Where services find each other, and what the world calls us."""
    return {
        "CODETECT_BASE_DOMAIN": settings.base_domain,
        **{
            f"CODETECT_{name.upper()}_URL": f"http://127.0.0.1:{settings.port(name)}"
            for name in ("gateway", "auth", "ingest", "inference", "analytics")
        },
    }


def database_urls(admin_url: str, secrets: dict[str, str], prefix: str = "codetect_") -> dict[str, str]:
    """Each service's database under its three roles, on the server of the administrator's URL."""
    parts = urlsplit(admin_url)
    host = parts.netloc.rpartition("@")[2]
    return {
        f"CODETECT_{name.upper()}_DATABASE_{'' if role == 'app' else role.upper() + '_'}URL": urlunsplit(
            (
                parts.scheme,
                f"codetect_{name}_{role}:{secrets[f'{name}_{role}']}@{host}",
                f"/{prefix}{name}",
                parts.query,
                "",
            )
        )
        for name in DATABASES
        for role in ROLES
    }


def programs(settings: Settings, environment: dict[str, str]) -> list[Program]:
    """Every process of every service, as many times as wanted."""
    give(settings.state / "home", settings.run_as)
    return [
        _program(settings, environment, name, service, what, replica)
        for name, service, what in PROCESSES
        for replica in range(settings.replicas)
    ]


def public_gateway(settings: Settings, environment: dict[str, str], cert: Certificate) -> Program:
    """A gateway more, with TLS, for everybody; the other one stays for this machine's own use."""
    door = {
        "CODETECT_GATEWAY_TLS_CERT_FILE": str(cert.chain),
        "CODETECT_GATEWAY_TLS_KEY_FILE": str(cert.key),
        "CODETECT_GATEWAY_HOST": settings.listen,
        **cert.told(),
    }
    return _program(settings, environment, "https", "gateway", "api", 0, door)


def _program(
    settings: Settings,
    environment: dict[str, str],
    name: str,
    service: str,
    what: str,
    replica: int,
    special: dict[str, str] | None = None,
) -> Program:
    port = settings.port(name, replica)

    async def ready() -> None:
        await ports.answers(port, "/readyz", encrypted=special is not None)

    passed_on = {key: value for key, value in os.environ.items() if key.startswith("CODETECT_")}
    own = {
        f"CODETECT_{service.upper()}_HOST": "127.0.0.1",
        f"CODETECT_{service.upper()}_PORT": str(port),
        "HOME": str(settings.state / "home"),
        "PYTHONUNBUFFERED": "1",
        **(FRUGAL if what == "api" else {}),
        **(special or {}),
    }
    hidden = ("POSTGRES_ADMIN_URL", "DATABASE_OWNER_URL", "PORT_OFFSET")
    told = {key: value for key, value in (passed_on | environment | own).items() if not key.endswith(hidden)}
    return Program(
        name if replica == 0 else f"{name}-{replica + 1}",
        [*as_user(settings.run_as, settings.state), sys.executable, "-m", f"codetect_{service}", what],
        ready,
        told,
        address=f"127.0.0.1:{port}",
        directory=str(ROOT),
        stop_wait_s=20,
        service=True,
    )


async def command(module: str, *arguments: str, environment: dict[str, str], stdin: str = "") -> tuple[int, str, str]:
    """A short-lived command of ours: its exit code, what it printed, what it complained about."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        env=os.environ | environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(stdin.encode())
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")


def prepare_to_migrate() -> None:
    """Import what migrations need: over a second, spent while the servers start."""
    import codetect_shared.migrations  # noqa: F401


def migrate(environment: dict[str, str]) -> None:
    """Databases, roles and tables, up to date; in this one process, since starting one for each takes far longer."""
    from codetect_shared import migrations

    asyncio.run(migrations.bootstrap(environment["CODETECT_POSTGRES_ADMIN_URL"], environment))
    for name in DATABASES:
        migrations.migrate(f"codetect_{name}", environment[f"CODETECT_{name.upper()}_DATABASE_OWNER_URL"])
