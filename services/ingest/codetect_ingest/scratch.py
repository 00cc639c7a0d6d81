"""Scratch folders: what a job writes on its way, gone with it. Writers are threads that end first (`in_thread`).

Beside each folder lies a lock that its process holds: containers that share a /tmp don't know each other's processes.
"""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from codetect_shared.problems import ServiceUnavailable

PREFIX = "codetect-import-"
LOCK = ".lock"
FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process's own, gone after the block."""
    with tempfile.NamedTemporaryFile(prefix=f"{PREFIX}{os.getpid()}-", suffix=LOCK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(lock.name.removesuffix(LOCK))
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def room_or_later() -> Iterator[None]:
    """Say of a full disk inside that sending again later helps: it is no fault of a file. Raises ServiceUnavailable."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise ServiceUnavailable("There is no room to read files at the moment; nothing of them is stored.") from error


@contextmanager
def nameless_file(folder: Path) -> Iterator[Path]:
    """A file on the folder's disk that has no name there: whatever becomes of its process, nothing of it stays.

    The path is this process's own, and good inside the block only.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Path(f"/proc/self/fd/{file.fileno()}")


def forget_scratch() -> None:
    """At the start: remove the scratch folders of importers that were killed."""
    here = Path(tempfile.gettempdir())
    for name in {path.name.removesuffix(LOCK) for path in here.glob(f"{PREFIX}*-*")}:
        if _is_free(lock := here / (name + LOCK)):
            shutil.rmtree(here / name, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _is_free(lock: Path) -> bool:
    """Tell whether nobody holds a lock any more."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
