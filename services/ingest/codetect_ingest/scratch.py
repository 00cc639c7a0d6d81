"""Scratch folders: what a job writes on its way, gone with it. Writers are threads that end first (`in_thread`)."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "codetect-import-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process's own, gone after the block."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def forget_scratch() -> None:
    """At the start: remove the scratch folders of importers that were killed, also of one that had our number.

    In a container every importer is process 1.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid == str(os.getpid()) or not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
