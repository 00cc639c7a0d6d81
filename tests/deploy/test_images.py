"""An image's parts, without Docker: its lock in a fresh environment, its packages beside it, and every process starts.

What the shared development environment would hide (an import nobody declared, a package without a wheel) shows here.
"""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from codetect_local.services import PROCESSES

from tests.infrastructure import Infrastructure

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".venv/bin/uv"
SERVICES = ("gateway", "auth", "ingest", "inference", "analytics")
IMPORT_ALL = """
import importlib, pkgutil, sys
for package in map(importlib.import_module, sys.argv[1:]):
    names = [m.name for m in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
    assert len(names) > 3
    for name in names:
        if ".migrations.env" not in name and not name.endswith("__main__"):
            importlib.import_module(name)
"""


def copied(dockerfile: str) -> list[tuple[Path, str]]:
    """What a Dockerfile copies from the repository."""
    lines = re.findall(r"^COPY (?!--from)(\S+) (\S+)$", dockerfile, re.MULTILINE)
    return [(ROOT / source, target) for source, target in lines]


@pytest.fixture(scope="session", params=SERVICES)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The files an image would hold: /venv and /code."""
    name: str = request.param
    root = tmp_path_factory.mktemp(name)
    (lock,) = (
        source
        for source, target in copied((ROOT / f"services/{name}/Dockerfile").read_text())
        if source.suffix == ".txt" and "gpu" not in source.name
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    subprocess.run([UV, "venv", "--quiet", "--python", ROOT / ".venv/bin/python", root / "venv"], check=True)
    sync = [
        "pip",
        "sync",
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "--python",
        root / "venv/bin/python",
    ]
    subprocess.run([UV, *sync, lock], check=True, env=environment)
    for source, target in copied((ROOT / f"services/{name}/Dockerfile").read_text()):
        if target.startswith("/code/"):
            shutil.copytree(source, root / target[1:], ignore=shutil.ignore_patterns("__pycache__"))
    return name, root


def python(root: Path, environment: dict[str, str]) -> tuple[Path, dict[str, str]]:
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
    return root / "venv/bin/python", kept | environment | {"PYTHONPATH": str(root / "code"), "PYTHONWARNINGS": "error"}


def test_an_image_holds_its_service_and_shared_alone(image: tuple[str, Path]) -> None:
    name, root = image
    assert {path.name for path in (root / "code").iterdir()} == {"codetect_shared", f"codetect_{name}"}
    assert not list((root / "code").rglob("*.onnx"))
    assert not list((root / "venv").rglob("codetect*"))


def test_every_module_imports_and_leaves_no_trace(image: tuple[str, Path], tmp_path: Path) -> None:
    """ONNX Runtime makes an identifier of the machine, and reports to its maker, unless it is told not to."""
    name, root = image
    executable, environment = python(root, {"HOME": str(tmp_path)})
    command = [executable, "-c", IMPORT_ALL, f"codetect_{name}", "codetect_shared"]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


async def test_every_process_starts(image: tuple[str, Path], infra: Infrastructure, tmp_path: Path) -> None:
    name, root = image
    await infra.migrate(name)
    address = f"http://127.0.0.1:{infra.environment[f'CODETECT_{name.upper()}_PORT']}"
    hidden = ("DATABASE_OWNER_URL", "POSTGRES_ADMIN_URL")
    told = {k: v for k, v in infra.environment.items() if not k.endswith(hidden)}
    executable, environment = python(root, told | {"HOME": str(tmp_path)})
    for what in [what for _, service, what in PROCESSES if service == name]:
        log = tmp_path / f"{what}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [executable, "-m", f"codetect_{name}", what], env=environment, cwd="/", stdout=output, stderr=output
            )
        try:
            async with asyncio.timeout(60), httpx.AsyncClient() as client:
                while True:
                    assert process.poll() is None, log.read_text()
                    try:
                        assert (await client.get(f"{address}/healthz")).status_code == 200
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.2)
        finally:
            process.terminate()
            assert await asyncio.to_thread(process.wait, 60) in (0, -15), log.read_text()


async def test_migrations_run(image: tuple[str, Path], infra: Infrastructure) -> None:
    name, root = image
    await infra.migrate(name)
    owner = f"CODETECT_{name.upper()}_DATABASE_OWNER_URL"
    executable, environment = python(root, {owner: infra.environment[owner]})
    command = [executable, "-m", f"codetect_{name}", "migrate"]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
