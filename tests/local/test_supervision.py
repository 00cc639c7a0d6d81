"""Supervision, with small programs in place of the servers."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from codetect_local.ports import free_block, is_free, require_free
from codetect_local.processes import BOOT, of_ours, stop_orphans
from codetect_local.programs import Program
from codetect_local.settings import Settings, Trouble
from codetect_local.stack import Stack
from codetect_local.supervision import Supervisor

PARENT_AND_CHILD = "import subprocess,time; subprocess.Popen(['sleep','600']); time.sleep(600)"


async def always_ready() -> None:
    """Nothing to wait for."""


def program(name: str, code: str, **more: str) -> Program:
    return Program(name, [sys.executable, "-c", code], always_ready, **more)


def until(condition: Callable[[], object], patience_s: float = 10) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path)
    yield found
    found.stop()


def test_a_program_that_is_killed_comes_back(supervisor: Supervisor) -> None:
    supervisor.start([program("one", PARENT_AND_CHILD)])
    supervisor.launch("one")
    until(lambda: len(of_ours(supervisor.run)) == 2)
    killed = supervisor.kill("one")
    until(lambda: supervisor.processes()["one"]["pid"] not in (0, killed))
    until(lambda: len(of_ours(supervisor.run)) == 2)


def test_a_program_that_fails_at_once_is_tried_again_and_its_output_kept(supervisor: Supervisor) -> None:
    supervisor.start([program("one", "raise SystemExit('the reason')")])
    supervisor.launch("one")
    until(lambda: (supervisor.log / "one.log").read_text().count("the reason") >= 2)


def test_stop_ends_children_of_programs_too(supervisor: Supervisor) -> None:
    supervisor.start([program("one", PARENT_AND_CHILD)])
    supervisor.launch("one")
    until(lambda: len(of_ours(supervisor.run)) == 2)
    family = of_ours(supervisor.run)
    assert supervisor.stop() <= 1  # the child may have outlived its parent, and was found
    until(lambda: not any(Path(f"/proc/{process.pid}").exists() for process in family))


def test_stop_finds_everything_after_the_supervisor_was_killed_hard(supervisor: Supervisor) -> None:
    supervisor.start([program("one", PARENT_AND_CHILD), program("two", PARENT_AND_CHILD)])
    supervisor.launch("one", "two")
    until(lambda: len(of_ours(supervisor.run)) == 4)
    os.kill(supervisor.pid() or 0, signal.SIGKILL)
    until(lambda: supervisor.pid() is None)
    assert supervisor.stop() == 4
    assert of_ours(supervisor.run) == []


def test_starting_again_after_a_hard_kill_replaces_what_was_left(supervisor: Supervisor) -> None:
    supervisor.start([program("one", PARENT_AND_CHILD)])
    supervisor.launch("one")
    until(lambda: len(of_ours(supervisor.run)) == 2)
    left = of_ours(supervisor.run)
    os.kill(supervisor.pid() or 0, signal.SIGKILL)
    until(lambda: supervisor.pid() is None)
    supervisor.start([program("one", PARENT_AND_CHILD)])
    supervisor.launch("one")
    until(lambda: len(of_ours(supervisor.run)) == 2)
    assert not {process.pid for process in left} & {process.pid for process in of_ours(supervisor.run)}


def test_a_number_that_another_process_has_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        boot, stat = BOOT.read_text().strip(), Path(f"/proc/{other.pid}/stat").read_text()
        started = stat.split()[21]
        older = stat.replace(f" {started} ", f" {int(started) - 100} ", 1)
        (tmp_path / "one.pid").write_text(f"{boot} {older}")
        assert of_ours(tmp_path) == []
        (tmp_path / "one.pid").write_text(f"an earlier boot {stat}")
        assert of_ours(tmp_path) == []
        assert stop_orphans(tmp_path) == 0
        assert other.poll() is None
        (tmp_path / "one.pid").write_text(f"{boot} {stat}")
        assert [process.pid for process in of_ours(tmp_path)] == [other.pid]
        other.kill()


def test_environment_and_odd_folder_names_reach_the_program_unchanged(tmp_path: Path) -> None:
    state = tmp_path / "a %folder 'of' mine" / ("deep" * 30)  # longer than the path of a socket may be
    state.mkdir(parents=True)
    supervisor = Supervisor(state)
    awkward = "quo\"te 'n' 100% $HOME `x` \\ üñ"
    one = Program(
        "one",
        [sys.executable, "-c", "import os; print(os.environ['AWKWARD'], flush=True); __import__('time').sleep(60)"],
        always_ready,
        {"AWKWARD": awkward, "PYTHONIOENCODING": "utf-8"},
    )
    try:
        supervisor.start([one])
        supervisor.launch("one")
        until(lambda: awkward in (supervisor.log / "one.log").read_text())
    finally:
        supervisor.stop()


def test_secrets_in_the_environment_of_programs_are_for_the_owner_alone(supervisor: Supervisor) -> None:
    supervisor.start([program("one", "pass")])
    assert supervisor.run.stat().st_mode & 0o077 == 0
    assert (supervisor.run / "one.sh").stat().st_mode & 0o077 == 0


async def test_a_taken_port_is_named_with_its_holder_and_the_setting_that_helps() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(Trouble) as trouble:
            require_free(Settings(), [("gateway", port), ("auth", free_block())])
    said = str(trouble.value)
    assert f"Port {port} (gateway)" in said
    assert f"process {os.getpid()}" in said
    assert "CODETECT_GATEWAY_PORT" in said
    assert "CODETECT_PORT_OFFSET" in said
    assert "auth" not in said.lower().replace("(gateway)", "")


def test_a_free_block_is_free() -> None:
    start = free_block(10)
    assert all(is_free(port) for port in range(start, start + 10))


def test_our_ports_are_not_those_of_outgoing_connections_or_of_test_stacks() -> None:
    ports = {name: field.default for name, field in Settings.model_fields.items() if name.endswith("_port")}
    assert len(set(ports.values())) == len(ports) > 15
    assert max(ports.values()) < 20000


def test_a_port_set_by_name_is_not_shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CODETECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CODETECT_PORT_OFFSET", "1000")
    monkeypatch.setenv("CODETECT_AUTH_PORT", "8999")
    settings = Settings()
    assert settings.port("gateway") == 9080
    assert settings.port("auth") == 8999
    assert settings.port("auth", 1) == 9019


def test_halted_programs_stay_down_until_launched(supervisor: Supervisor) -> None:
    supervisor.start([program("one", PARENT_AND_CHILD), program("two", PARENT_AND_CHILD)])
    supervisor.launch("one", "two")
    until(lambda: len(of_ours(supervisor.run)) == 4)
    supervisor.halt("one", "two")
    assert {info["pid"] for info in supervisor.processes().values()} == {0}
    supervisor.halt("one")  # again: no complaint
    supervisor.launch("one")
    until(lambda: supervisor.processes()["one"]["statename"] == "RUNNING")
    assert supervisor.processes()["two"]["pid"] == 0


async def test_a_program_that_keeps_falling_over_is_told_with_its_last_words(tmp_path: Path) -> None:
    stack = Stack(Settings(state_dir=tmp_path))

    async def never() -> None:
        raise ConnectionError("nobody there")

    failing = Program("one", [sys.executable, "-c", "raise SystemExit('no such model')"], never)
    stack.supervisor.start([failing])
    stack.supervisor.launch("one")
    try:
        with pytest.raises(Trouble, match="no such model"):
            await stack._ready(failing)
    finally:
        stack.supervisor.stop()
