"""What the supervisor runs: one program per process, each through a small script that notes who it became."""

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = """#!/bin/sh
# Note the process (number, group, session, start time) so that it, and what it leaves behind, can be found later.
read -r boot </proc/sys/kernel/random/boot_id
read -r stat </proc/self/stat
echo "$boot $stat" >>{pid}
{exports}
cd {directory}
exec {command}
"""


@dataclass(frozen=True)
class Program:
    """One supervised process; `ready` returns when it serves and raises while it doesn't."""

    name: str
    command: list[str]
    ready: Callable[[], Awaitable[object]]
    environment: dict[str, str] = field(default_factory=dict)
    address: str = ""
    directory: str = "/"
    stop_signal: str = "TERM"
    stop_wait_s: int = 10
    service: bool = False

    def script(self, run: Path) -> str:
        """The shell script that starts it; the environment stands here, where only the owner can read it."""
        exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in self.environment.items())
        pid, directory = shlex.quote(f"{run}/{self.name}.pid"), shlex.quote(self.directory)
        return SCRIPT.format(pid=pid, exports=exports, directory=directory, command=shlex.join(self.command))

    def section(self) -> str:
        """Its part of the supervisor's configuration."""
        return f"""\
[program:{self.name}]
command=/bin/sh ./{self.name}.sh
autostart=false
autorestart=true
startsecs=1
startretries=100
stopsignal={self.stop_signal}
stopwaitsecs={self.stop_wait_s}
killasgroup=true
priority={20 if self.service else 10}
redirect_stderr=true
stdout_logfile=../log/{self.name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""
