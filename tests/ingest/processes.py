"""Looking at processes that may end at any moment, as those do that read hostile files."""

import psutil


def resident(process: psutil.Process) -> int:
    """Bytes of memory it holds; 0 when it has ended."""
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def parent(process: psutil.Process) -> int | None:
    """The parent's process id; None when it has ended."""
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None
