"""What of an interrupted submission is at the server already, so that the same command goes on where it stopped.

One small file an unfinished submission, in the user's state folder: the upload's id, then a line for each posted
number. It is named by a hash of what is submitted and holds no file names (they may be PHI).
"""

import hashlib
import io
import json
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO
from uuid import UUID

import platformdirs

from codetect import private
from codetect.errors import UnderWay
from codetect.files import Source

KEPT_S = 14 * 24 * 3600


class Journal(AbstractContextManager["Journal"]):
    """The state of one submission; while it is open no other process takes up the same one."""

    upload_id: UUID | None = None

    def __init__(self, fingerprint: str) -> None:
        self.posted: set[int] = set()
        self._path = _folder() / f"{fingerprint}.txt"
        self._file: IO[str] = io.StringIO()

    def __enter__(self) -> "Journal":
        """Read what there is; raises UnderWay. Where nothing can be written, nothing can be taken up later."""
        try:
            _sweep()
            file = private.lock(self._path)
        except OSError:
            file = io.StringIO()
        if file is None:
            raise UnderWay("Another codetect process is submitting these same files; wait for it, or stop it.")
        self._file = file
        lines = file.read().split("\n")[:-1]
        with suppress(ValueError, IndexError):
            self.upload_id = UUID(lines[0])
            self.posted = {int(line) for line in lines[1:] if line.isdigit()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the file for the next time, unless there is nothing to go on with."""
        self._file.close()
        if self.upload_id is None:
            with suppress(OSError):
                self._path.unlink()

    def begin(self, upload_id: UUID) -> None:
        """A new upload, with nothing posted yet."""
        self.forget()
        self.upload_id = upload_id
        self._note(str(upload_id))

    def note_posted(self, number: int) -> None:
        """A file is at the object store."""
        self.posted.add(number)
        self._note(str(number))

    def forget(self) -> None:
        """There is nothing to go on with."""
        self.upload_id, self.posted = None, set()
        self._file.seek(0)
        self._file.truncate()

    def _note(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()


def fingerprint(url: str, sources: Iterable[Source], options: object) -> str:
    """The same for the same unchanged files, sent to the same facility with the same wishes."""
    digest = hashlib.sha256(json.dumps([url, options], sort_keys=True, default=str).encode())
    for source in sources:
        digest.update(json.dumps([str(source.path.absolute()), source.name, source.size, source.version]).encode())
    return digest.hexdigest()


def _sweep() -> None:
    """Remove what was left lying for two weeks: the server has forgotten it too."""
    for path in _folder().glob("*.txt"):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - KEPT_S:
                path.unlink()


def _folder() -> Path:
    return Path(platformdirs.user_state_path("codetect")) / "uploads"
