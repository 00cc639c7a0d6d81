"""What the supervisor runs: one program per process, each through a small script that notes who it became."""

import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

SCRIPT = """#!/bin/sh
# Note the process (number, group, session, start time) so that it can be found when the supervisor is gone.
read -r boot </proc/sys/kernel/random/boot_id
read -r stat </proc/self/stat
echo "$boot $stat" >{pid}
{exports}
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
        return SCRIPT.format(
            pid=shlex.quote(str(run / f"{self.name}.pid")), exports=exports, command=shlex.join(self.command)
        )

    def section(self, run: Path, log: Path) -> str:
        """Its part of the supervisor's configuration."""
        path = str(run / self.name).replace("%", "%%")
        return "\n".join(
            (
                f"[program:{self.name}]",
                f"command=/bin/sh '{path}.sh'",
                f"directory={self.directory}",
                "autostart=false",
                "autorestart=true",
                "startsecs=1",
                "startretries=100",
                f"stopsignal={self.stop_signal}",
                f"stopwaitsecs={self.stop_wait_s}",
                "killasgroup=true",
                f"priority={20 if self.service else 10}",
                "redirect_stderr=true",
                f"stdout_logfile={str(log / self.name).replace('%', '%%')}.log",
                "stdout_logfile_maxbytes=20MB",
                "stdout_logfile_backups=2",
                "",
            )
        )
