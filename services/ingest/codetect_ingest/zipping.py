"""A zip that is written from front to back, so that it can be sent while it grows."""

from io import BytesIO
from typing import IO, Self, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo


class Zip:
    """Files stored as they are (images hardly shrink), zip64 where need be; what `add` returns can be sent at once."""

    def __init__(self) -> None:
        self._tail = _Tail()
        self._zip = ZipFile(cast(IO[bytes], self._tail), "w", ZIP_STORED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """One that isn't ended is dropped: `zipfile` would end it when it is collected."""
        self._zip.fp = None

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


class _Tail:
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

    def tell(self) -> int:
        return self._taken + self._rest.tell()

    def seek(self, offset: int) -> int:
        return self._taken + self._rest.seek(offset - self._taken)

    def write(self, data: bytes) -> int:
        return self._rest.write(data)

    def flush(self) -> None:
        """Nothing is held back."""
