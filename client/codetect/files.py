"""What a caller's paths hold: files on disk and members of zips, each opened when its turn comes.

A name is only ever shown to the caller; none is used as a path, and none leaves this machine (it may be PHI).
"""

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from codetect.models import Model

MAX_FILES = 100_000
MAX_ZIP_BYTES = 64 << 30
MAX_ZIP_RATIO = 100
MAX_ZIP_DIRECTORY_BYTES = 64 << 20
END_OF_DIRECTORY = b"PK\x05\x06"
END_OF_ZIP64_DIRECTORY = b"PK\x06\x06"
ZIP64 = 0xFFFFFFFF
ENCRYPTED = 0x1
UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError)


class Rejected(Model):
    """A file that isn't taken, under the name the caller knows it by."""

    file: str
    code: str
    detail: str


@dataclass(frozen=True)
class Source:
    """One file to send; size in bytes. `version` changes when its content does."""

    name: str
    size: int
    version: str
    path: Path
    archive: zipfile.ZipFile | None = None
    member: zipfile.ZipInfo | None = None

    def open(self) -> IO[bytes]:
        """The content; a member of a zip is inflated as it is read."""
        if self.archive and self.member:
            return self.archive.open(self.member)
        return self.path.open("rb")


@dataclass
class Collection:
    """What there is to send, what can't be sent, and what was left out because it is no image by its name."""

    sources: list[Source] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def collect(paths: Iterable[Path | str], stack: ExitStack) -> Collection:
    """Files, the files below folders, and the members of zips, always in the same order. `stack` keeps zips open."""
    found = Collection()
    for path in map(Path, paths):
        if path.is_dir():
            for below in _walk(path, found):
                if _is_clutter(str(below.relative_to(path))):
                    found.left_out.append(str(below))
                else:
                    _add(below, found, stack)
        else:
            _add(path, found, stack)
    return found


def _walk(folder: Path, found: Collection) -> Iterator[Path]:
    """Regular files below a folder, sorted; links to folders aren't followed."""

    def closed(error: OSError) -> None:
        detail = f"The folder can't be read: {error.strerror}."
        found.rejected.append(Rejected(file=str(error.filename), code="unreadable", detail=detail))

    for parent, folders, names in os.walk(folder, onerror=closed):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_file():
                yield path


def _add(path: Path, found: Collection, stack: ExitStack) -> None:
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise OSError("it is not a regular file")
        if path.suffix.lower() == ".zip":
            _add_zip(path, facts, found, stack)
            return
    except UNREADABLE as error:
        found.rejected.append(Rejected(file=str(path), code="unreadable", detail=f"The file can't be read: {error}."))
        return
    if facts.st_size == 0:
        found.rejected.append(Rejected(file=str(path), code="empty", detail="The file is empty."))
    else:
        found.sources.append(Source(str(path), facts.st_size, str(facts.st_mtime_ns), path))


def _add_zip(path: Path, facts: os.stat_result, found: Collection, stack: ExitStack) -> None:
    reason = _too_long_a_directory(path)
    if not reason:
        archive = stack.enter_context(zipfile.ZipFile(path))
        members = [info for info in archive.infolist() if not info.is_dir()]
        total = sum(info.file_size for info in members)
        if len(members) > MAX_FILES:
            reason = f"it holds {len(members):,} files, and {MAX_FILES:,} are taken at most"
        elif total > MAX_ZIP_BYTES:
            reason = f"it unpacks to {total:,} bytes, and {MAX_ZIP_BYTES:,} are taken at most"
        elif total > MAX_ZIP_RATIO * facts.st_size:
            reason = f"it unpacks to over {MAX_ZIP_RATIO} times its size, as no archive of images does"
    if reason:
        found.rejected.append(Rejected(file=str(path), code="zip_refused", detail=f"The zip isn't unpacked: {reason}."))
        return
    for info in members:
        name = f"{path}/{info.filename}"
        if _is_clutter(info.filename):
            found.left_out.append(name)
        elif info.filename.lower().endswith(".zip"):
            detail = "A zip inside a zip isn't unpacked; unpack the outer one first."
            found.rejected.append(Rejected(file=name, code="nested_zip", detail=detail))
        elif info.flag_bits & ENCRYPTED:
            detail = "The file is encrypted in its zip; unpack the zip with its password first."
            found.rejected.append(Rejected(file=name, code="encrypted", detail=detail))
        elif info.file_size == 0:
            found.rejected.append(Rejected(file=name, code="empty", detail="The file is empty."))
        else:
            found.sources.append(Source(name, info.file_size, f"{info.CRC:08x}", path, archive, info))


def _too_long_a_directory(path: Path) -> str:
    """Look at the zip's directory before `zipfile` reads it into memory whole."""
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, 65_557), os.SEEK_END)
        tail = file.read()
    at = tail.rfind(END_OF_DIRECTORY)
    if at < 0 or len(tail) < at + 16:
        return "it is damaged, or no zip at all"
    size: int = struct.unpack_from("<L", tail, at + 12)[0]
    at64 = tail.rfind(END_OF_ZIP64_DIRECTORY, 0, at)
    if size == ZIP64 and 0 <= at64 <= len(tail) - 48:
        size = struct.unpack_from("<Q", tail, at64 + 40)[0]
    if size > MAX_ZIP_DIRECTORY_BYTES:
        return "its list of files is longer than any sound one"
    return ""


def _is_clutter(name: str) -> bool:
    """What systems and publishers put beside images; DICOMDIR only repeats what the images say."""
    *parents, last = name.replace("\\", "/").split("/")
    return (
        "__MACOSX" in parents
        or last in (".DS_Store", "Thumbs.db", "desktop.ini", "DICOMDIR")
        or last.startswith(("._", "README", "LICENSE", "LICENCE"))
        or last.endswith(".md")
    )
