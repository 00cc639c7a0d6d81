"""The stack as a whole: what belongs to it, up, down, reset, status."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from codetect_local import buckets, orthanc, rabbitmq, secrets, servers, services, tls
from codetect_local.ports import require_free
from codetect_local.programs import Program
from codetect_local.settings import Settings, Trouble
from codetect_local.supervision import Supervisor

FREE_MB = 2000
CERTIFICATE = re.compile(f"^export {tls.DIGEST}=.*\\n", re.MULTILINE)
OURS = (
    "run",
    "log",
    "mail",
    "home",
    "postgres",
    "rabbitmq",
    "s3",
    "orthanc",
    "tls",
    "secrets.json",
    "settings.json",
    "demo.json",
)


class Stack:
    """One stack: its settings, secrets, programs and supervisor."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.supervisor = Supervisor(settings.state)

    def environment(self) -> dict[str, str]:
        """Every CODETECT_ variable that services, migrations and tests need."""
        settings, known = self.settings, secrets.load(self.settings.state)
        storage = settings.storage_url or f"http://127.0.0.1:{settings.port('s3')}"
        return {
            "CODETECT_POSTGRES_ADMIN_URL": servers.admin_url(settings, known),
            "CODETECT_RABBITMQ_URL": rabbitmq.url(settings, known),
            "CODETECT_STORAGE_URL": storage,
            "CODETECT_STORAGE_PUBLIC_URL": settings.storage_public_url or self._public_storage() or storage,
            "CODETECT_STORAGE_ACCESS_KEY": settings.storage_access_key or known["storage_access_key"],
            "CODETECT_STORAGE_SECRET_KEY": settings.storage_secret_key or known["storage_secret_key"],
            "CODETECT_STORAGE_BUCKET_PREFIX": settings.storage_bucket_prefix,
            "CODETECT_AUTH_SMTP_HOST": "127.0.0.1",
            "CODETECT_AUTH_SMTP_PORT": str(settings.port("smtp")),
            "CODETECT_AUTH_SMTP_TLS": "none",
            "CODETECT_FACILITY_URL": settings.address.format("{facility}"),
            "CODETECT_MASTER_KEY": known["master_key"],
            **servers.storage_environment(settings),
            **services.addresses(settings),
            **services.database_urls(servers.admin_url(settings, known), known),
        }

    def programs(self, *, with_services: bool = True) -> list[Program]:
        """What this stack runs; a server that a URL in the environment names is somebody else's."""
        settings, known = self.settings, secrets.load(self.settings.state)
        cert = tls.certificate(settings)
        found = [servers.mail(settings)]
        if settings.rabbitmq_url is None:
            found += [servers.epmd(settings), servers.broker(settings, known)]
        if settings.postgres_admin_url is None:
            servers.prepare_postgres(settings, known)
            found.append(servers.postgres(settings, known))
        if settings.storage_url is None:
            found.append(servers.storage(settings, known))
            if cert and not settings.storage_public_url:
                found.append(servers.public_storage(settings, cert))
        if settings.pacs:
            found.append(orthanc.server(settings, known))
        if with_services:
            found += services.programs(settings, self.environment())
            found += [services.public_gateway(settings, self.environment(), cert)] if cert else []
            found += [orthanc.forwarder(settings, known)] if settings.pacs else []
        return found

    def _public_storage(self) -> str | None:
        """Where clients reach the object store with TLS."""
        settings = self.settings
        if settings.host is None or settings.storage_url is not None:
            return None
        return f"https://{settings.host}:{settings.port('s3_https')}"

    async def up(self, *, with_services: bool = True) -> list[Program]:
        """Everything that isn't running yet, in order, each waited for."""
        if self.settings.rabbitmq_url is None:
            rabbitmq.install()
        if self.settings.pacs:
            orthanc.install()
        self._make_room()
        programs = self.programs(with_services=with_services)
        plan = {program.name: program.script(self.supervisor.run) for program in programs}
        if self.supervisor.pid() is None:
            self.supervisor.stop()
            require_free(self.settings, list(self._ports(programs)))
            servers.remove_sockets(self.settings)
            self.settings.save()
            self.supervisor.start(programs)
        running = self.supervisor.scripts()
        if _but_for_certificates(plan) != _but_for_certificates(running):
            raise Trouble(f"A stack with other settings runs from {self.settings.state}. Stop it first: make down.")
        if not all(info["statename"] == "RUNNING" for info in self.supervisor.processes().values()):
            await self._start_in_order(programs)
        if renewed := [program for program in programs if plan[program.name] != running[program.name]]:
            self.supervisor.replace(renewed)
        await asyncio.gather(*(self._ready(program) for program in programs))
        return programs

    async def _start_in_order(self, programs: list[Program]) -> None:
        own = [program for program in programs if program.service]
        others = [program for program in programs if not program.service]
        self.supervisor.launch(*(program.name for program in others))
        waits = [self._ready(program) for program in others]
        if own:
            waits.append(asyncio.to_thread(services.prepare_to_migrate))
        await asyncio.gather(*waits)
        await asyncio.to_thread(self._buckets)
        if own:
            await asyncio.to_thread(services.migrate, self.environment())
            self.supervisor.launch(*(program.name for program in own))

    def down(self) -> int:
        """Stop all that runs from this state folder; how many processes had lost their supervisor."""
        orphans = self.supervisor.stop(last=servers.NAMES)
        if (self.settings.state / "settings.json").exists():
            servers.remove_sockets(Settings.of(self.settings.state))
        return orphans

    def reset(self) -> None:
        """Stop, then forget everything; of a folder that holds other things too, only what is ours."""
        self.down()
        for path in map(self.settings.state.joinpath, OURS):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.settings.state.rmdir()

    def _buckets(self) -> None:
        known = self.environment()
        keys = (known[f"CODETECT_STORAGE_{key}"] for key in ("URL", "ACCESS_KEY", "SECRET_KEY"))
        buckets.ensure(buckets.client(*keys), self.settings.storage_bucket_prefix)

    def _make_room(self) -> None:
        state = self.settings.state
        try:
            state.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Trouble(f"The state folder {state} can't be made: {error.strerror}.") from None
        if not os.access(state, os.W_OK):
            raise Trouble(f"The state folder {state} can't be written to. Choose another with CODETECT_STATE_DIR.")
        free_mb = shutil.disk_usage(state).free // 2**20
        if free_mb < FREE_MB:
            raise Trouble(
                f"{state} has {free_mb} MB of disk left; CoDetect needs {FREE_MB}. "
                "Make room, or choose another folder with CODETECT_STATE_DIR."
            )

    def _ports(self, programs: Iterable[Program]) -> Iterable[tuple[str, int]]:
        for program in programs:
            port = urlsplit(f"//{program.address}").port
            if port:
                yield program.name, port
        if self.settings.rabbitmq_url is None:
            yield "rabbitmq_dist", self.settings.port("rabbitmq_dist")
        if self.settings.storage_url is None:
            yield from (("s3_internal", self.settings.port("s3_internal") + n) for n in range(7))
        if self.settings.pacs:
            yield "orthanc_dicom", self.settings.port("orthanc_dicom")

    async def _ready(self, program: Program, patience_s: float = 300, starts: int = 4) -> None:
        deadline = time.monotonic() + patience_s
        pids = set()
        while True:
            try:
                async with asyncio.timeout(10):
                    await program.ready()
                return
            except Exception as error:
                pids.add(self.supervisor.processes()[program.name]["pid"])
                if len(pids) > starts or time.monotonic() > deadline:
                    log = self.supervisor.log / f"{program.name}.log"
                    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
                    raise Trouble(
                        f"{program.name} did not become ready ({type(error).__name__}: {error}). "
                        f"The end of {log}:\n{tail}"
                    ) from None
            await asyncio.sleep(0.2)

    def status(self) -> str:
        """What runs, as JSON."""
        if self.supervisor.pid() is None:
            return json.dumps({})
        return json.dumps({name: info["statename"] for name, info in self.supervisor.processes().items()}, indent=1)


def _but_for_certificates(scripts: dict[str, str]) -> dict[str, str]:
    """What scripts say besides which certificate is served, which may change while the rest runs on."""
    return {name: CERTIFICATE.sub("", script) for name, script in scripts.items()}
