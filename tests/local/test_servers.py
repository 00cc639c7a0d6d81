"""The command that starts and stops the stack, on real servers of its own."""

import asyncio
import json
import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from codetect_local import buckets, rabbitmq
from codetect_local.ports import is_free
from codetect_local.settings import Settings
from codetect_local.stack import Stack

from tests.infrastructure import clear, settings_apart


def command(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m codetect_local` as a person runs it."""
    own = {f"CODETECT_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODETECT_")}
    call = [sys.executable, "-m", "codetect_local", *arguments]
    return subprocess.run(call, env=kept | own, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    found = settings_apart(tmp_path_factory.mktemp("servers"))
    done = command(found, "up", "--servers")
    assert done.returncode == 0, done.stderr
    yield found
    clear(Stack(found))


@pytest.fixture
def stack(settings: Settings) -> Stack:
    return Stack(settings)


def test_up_again_changes_nothing_and_is_quick(settings: Settings, stack: Stack) -> None:
    before = {name: info["pid"] for name, info in stack.supervisor.processes().items()}
    done = command(settings, "up", "--servers")
    assert done.returncode == 0, done.stderr
    assert {name: info["pid"] for name, info in stack.supervisor.processes().items()} == before
    assert str(settings.port("postgres")) in done.stdout


def test_up_with_other_settings_says_to_stop_first(settings: Settings) -> None:
    done = command(settings.model_copy(update={"smtp_port": settings.smtp_port + 1}), "up", "--servers")
    assert done.returncode == 1
    assert "make down" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_stack_on_the_same_ports_is_told_which_and_by_whom(settings: Settings, tmp_path: Path) -> None:
    done = command(settings.model_copy(update={"state_dir": tmp_path}), "up", "--servers")
    assert done.returncode == 1
    assert f"Port {settings.port('postgres')} (postgres) is taken by process" in done.stderr
    assert "CODETECT_POSTGRES_PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_servers_run_without_root_and_on_loopback_alone(settings: Settings, stack: Stack) -> None:
    for name, info in stack.supervisor.processes().items():
        status = Path(f"/proc/{info['pid']}/status").read_text()
        uid = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1]
        assert uid != "0", name
    ports = {settings.port(name) for name in ("postgres", "rabbitmq", "rabbitmq_dist", "s3", "smtp")}
    ports |= {settings.s3_internal_port + step for step in range(7)}
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    for column in (columns[1] for columns in listening if columns[3] == "0A"):
        address, port = column.split(":")
        if int(port, 16) in ports:
            assert address == "0100007F"


async def test_passwords_are_asked_for(settings: Settings) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://postgres:wrong@127.0.0.1:{settings.port('postgres')}/postgres")
    for name in ("secrets.json", "settings.json"):
        assert (settings.state / name).stat().st_mode & 0o077 == 0


def test_what_is_stored_is_not_readable_on_disk(settings: Settings, stack: Stack) -> None:
    keys = (stack.environment()[f"CODETECT_STORAGE_{key}"] for key in ("URL", "ACCESS_KEY", "SECRET_KEY"))
    store = buckets.client(*keys)
    secret = b"DoeJaneDoeJaneDoeJane" * 1000
    path = settings.state / "plain"
    path.write_bytes(secret)
    for name in buckets.NAMES:
        store.fput_object(f"codetect-{name}", "some/object", str(path))
    path.unlink()
    files = [file for file in (settings.state / "s3").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) > len(buckets.NAMES) * len(secret)
    assert not [file for file in files if b"DoeJane" in file.read_bytes()]


def test_raw_objects_expire(stack: Stack) -> None:
    keys = (stack.environment()[f"CODETECT_STORAGE_{key}"] for key in ("URL", "ACCESS_KEY", "SECRET_KEY"))
    rules = buckets.client(*keys).get_bucket_lifecycle("codetect-raw")
    assert rules is not None
    assert [rule.expiration.days for rule in rules.rules if rule.expiration] == [buckets.RAW_DAYS]


def test_mail_is_kept_as_files(settings: Settings) -> None:
    with smtplib.SMTP("127.0.0.1", settings.port("smtp")) as client:
        client.sendmail("a@example.org", ["b@example.org"], "Subject: hello\r\n\r\nJust testing, ünd so.\r\n".encode())
    (mail,) = (settings.state / "mail").glob("*.eml")
    assert b"X-Envelope-To: b@example.org" in mail.read_bytes()
    assert "Just testing, ünd so.".encode() in mail.read_bytes()


async def test_killed_servers_come_back_with_what_they_held(settings: Settings, stack: Stack) -> None:
    admin = stack.environment()["CODETECT_POSTGRES_ADMIN_URL"]
    connection = await asyncpg.connect(admin)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await connection.close()
    for name in ("postgres", "rabbitmq", "epmd", "s3"):
        stack.supervisor.kill(name)
    started = time.monotonic()
    await stack.up(with_services=False)
    assert time.monotonic() - started < 30
    connection = await asyncpg.connect(admin)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()
    # The broker is reachable for administration too, so its port mapper knows it.
    await asyncio.to_thread(rabbitmq.add_vhost, settings, "another")


def test_down_leaves_nothing_even_without_its_supervisor(settings: Settings, stack: Stack) -> None:
    os.kill(stack.supervisor.pid() or 0, signal.SIGKILL)
    done = command(settings, "down")
    assert done.returncode == 0, done.stderr
    assert "lost their supervisor" in done.stdout
    everything = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(settings.state) not in everything
    assert not list(Path("/tmp").glob(f"seaweedfs-*-{settings.s3_internal_port // 10}?.sock"))
    assert is_free(settings.port("epmd"))
    assert is_free(settings.port("postgres"))
    assert json.loads(command(settings, "status").stdout) == {}


def test_reset_erases_the_state_and_nothing_else(settings: Settings) -> None:
    (settings.state / "somebody's").write_text("thesis")
    done = command(settings, "reset")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in settings.state.iterdir()] == ["somebody's"]
