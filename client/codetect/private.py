"""Files in the user's own folders that nobody else can read, and locks between this user's processes."""

import os
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def write(path: Path, text: str) -> None:
    """Replace a file in one step, mode 0600."""
    folder(path.parent)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def folder(path: Path) -> Path:
    """A folder of mode 0700."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def lock(path: Path) -> IO[str] | None:
    """The file, open and locked until it is closed; None while another process holds it."""
    folder(path.parent)
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        file.close()
        return None
    except OSError:
        pass  # a file system without locks: go on without
    return file
