"""supervisord as our supervisor: its configuration, its start, and the calls to it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import Faults, SupervisorTransport  # type: ignore[import-untyped]

from codetect_local.processes import stop_orphans
from codetect_local.programs import Program
from codetect_local.settings import Trouble, private_file

# Its paths are relative to the run folder, where it stays, so that no folder's name can upset it; a socket's path may
# not be longer than 108, so that one isn't made absolute.
HEAD = """\
[unix_http_server]
file=/proc/self/cwd/supervisor.sock
chmod=0700
[supervisord]
logfile=../log/supervisord.log
pidfile=supervisord
childlogdir=../log
umask=022
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
RESTARTED_S = 10


class Supervisor:
    """The supervisor of one state folder."""

    def __init__(self, state: Path) -> None:
        self.run, self.log = state / "run", state / "log"

    def call(self, method: str, *arguments: Any) -> Any:
        """One call to supervisord, over a connection of its own."""
        folder = os.open(self.run, os.O_PATH)  # as above
        try:
            transport = SupervisorTransport(None, None, f"unix:///proc/self/fd/{folder}/supervisor.sock")
            with ServerProxy("http://local", transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        finally:
            os.close(folder)

    def pid(self) -> int | None:
        """The running supervisor's process number."""
        try:
            return int(self.call("getPID"))
        except (OSError, Fault):
            return None

    def start(self, programs: list[Program]) -> None:
        """Clear what an earlier one left behind, write the configuration, start; nothing runs yet but supervisord."""
        stop_orphans(self.run)
        self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.mkdir(exist_ok=True)
        for stale in self.run.iterdir():
            stale.unlink()
        self._write(programs)
        config = "\n".join((HEAD, *(program.section() for program in programs)))
        private_file(self.run / "supervisord.conf", config)
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", "supervisord.conf"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.run)
        deadline = time.monotonic() + 10
        while self.pid() is None:
            if done.returncode or time.monotonic() > deadline:
                raise Trouble(
                    f"The supervisor did not start: {done.stdout}{done.stderr} See {self.log}/supervisord.log."
                )
            time.sleep(0.05)

    def processes(self) -> dict[str, dict[str, Any]]:
        """Each program's state as supervisord sees it."""
        return {info["name"]: info for info in self.call("getAllProcessInfo")}

    def scripts(self) -> dict[str, str]:
        """What it was told to run."""
        return {path.stem: path.read_text() for path in self.run.glob("*.sh")}

    def launch(self, *names: str) -> None:
        """Start programs without waiting for them."""
        for name in names:
            try:
                self.call("startProcess", name, False)
            except Fault as fault:
                if fault.faultCode != Faults.ALREADY_STARTED:
                    raise

    def replace(self, programs: list[Program]) -> None:
        """Stop programs whose scripts say something else now, and start them from these without waiting."""
        names = [program.name for program in programs]
        self.halt(*names)
        self._write(programs)
        self.launch(*names)

    def _write(self, programs: list[Program]) -> None:
        for program in programs:
            private_file(self.run / f"{program.name}.sh", program.script(self.run))

    def halt(self, *names: str) -> None:
        """Stop programs side by side and wait until they are."""
        for name in names:
            try:
                self.call("stopProcess", name, False)
            except Fault as fault:
                if fault.faultCode not in (Faults.NOT_RUNNING, Faults.BAD_NAME):
                    raise
        while any(info["pid"] for name, info in self.processes().items() if name in names):
            time.sleep(0.1)

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Signal a program's whole process group, as the tests of faults do; its process number.

        One that has just ended is waited for until the supervisor has noticed and started it again.
        """
        deadline = time.monotonic() + RESTARTED_S
        while time.monotonic() < deadline:
            pid = int(self.call("getProcessInfo", name)["pid"])
            with contextlib.suppress(ProcessLookupError):
                if pid:  # 0 would be our own group
                    os.killpg(pid, number)
                    return pid
            time.sleep(0.1)
        raise Trouble(f"{name} doesn't run.")

    def stop(self, last: Collection[str] = ()) -> int:
        """End all of this state folder, the `last` ones after the others; how many had no supervisor."""
        pid = self.pid()
        if pid is not None:
            self.halt(*(name for name in self.processes() if name not in last))
            self.halt(*last)
            self.call("shutdown")
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.05)
        return stop_orphans(self.run)
