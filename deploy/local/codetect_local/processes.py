"""What the kernel knows: processes left behind by a supervisor that died, and who holds a port."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

BOOT = Path("/proc/sys/kernel/random/boot_id")


class Process(NamedTuple):
    """One line of /proc/<pid>/stat, as far as it tells who is who."""

    pid: int
    state: str
    group: int
    session: int
    started: int

    @classmethod
    def parse(cls, stat: str) -> "Process":
        """The name stands in brackets and may hold anything, so count from the last one."""
        fields = stat[stat.rindex(")") + 2 :].split()
        return cls(int(stat.split(" ", 1)[0]), fields[0], int(fields[2]), int(fields[3]), int(fields[19]))


def running() -> list[Process]:
    """Every live process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            process = Process.parse(stat.read_text())
        except (OSError, ValueError):
            continue
        if process.state not in "ZX":
            found.append(process)
    return found


def of_ours(run: Path) -> list[Process]:
    """The live processes of the groups that the pid files name; a number used again by another doesn't match."""
    boot = BOOT.read_text().strip()
    records = []
    for line in (line for file in run.glob("*.pid") for line in file.read_text().splitlines()):
        noted, _, stat = line.partition(" ")
        if noted == boot:
            records.append(Process.parse(stat))
    return [
        process
        for process in running()
        if any(
            (process.group, process.session) == (record.group, record.session)
            and (process.started == record.started if process.pid == record.pid else process.started >= record.started)
            for record in records
        )
    ]


def stop_orphans(run: Path, patience_s: float = 10) -> int:
    """End what a dead supervisor left; politely first."""
    orphans = of_ours(run)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        # INT first: PostgreSQL waits for its clients on TERM; those that don't heed it get TERM.
        deadline = time.monotonic() + (patience_s if number != signal.SIGINT else 1)
        for process in of_ours(run):
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue
        while of_ours(run) and time.monotonic() < deadline:
            time.sleep(0.1)
    return len(orphans)


def holder(port: int) -> str | None:
    """The process that listens on a TCP port, as far as we may see it."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == "0A" and int(columns[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(descriptor) in inodes:
                process = descriptor.parents[1]
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"process {process.name}, {command[:80]}"
        except OSError:
            continue
    return None
