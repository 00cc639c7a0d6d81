"""A zip that is written from front to back, so that it can be sent while it grows."""

from io import BytesIO, RawIOBase
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo


class Zip:
    """Files stored as they are (images hardly shrink), zip64 where need be; what `add` returns can be sent at once."""

    def __init__(self) -> None:
        self._tail = _Tail()
        self._zip = ZipFile(self._tail, "w", ZIP_STORED)

    def add(self, name: str, data: bytes) -> bytes:
        """Add a file; return the zip's next bytes."""
        info = ZipInfo(name)  # of 1980: when we wrote it is nobody's business
        info.external_attr = 0o600 << 16
        self._zip.writestr(info, data)
        return self._tail.take()

    def end(self) -> bytes:
        """Return the directory, which ends the zip."""
        self._zip.close()
        return self._tail.take()


class _Tail(RawIOBase):
    """The end of a file, of which the rest was taken: `zipfile` goes back no further than to an entry's own header.

    Otherwise sizes would stand behind the files, and stored files couldn't be read from a stream.
    """

    def __init__(self) -> None:
        self._taken, self._rest = 0, BytesIO()

    def take(self) -> bytes:
        taken = self._rest.getvalue()
        self._taken += len(taken)
        self._rest = BytesIO()
        return taken

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._taken + self._rest.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._taken + self._rest.seek(offset - self._taken, whence)

    def write(self, data: Any) -> int:
        return self._rest.write(data)
