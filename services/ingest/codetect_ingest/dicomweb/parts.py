"""The parts of a multipart/related body (RFC 2387), one after the other while it arrives; large ones in files."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from pathlib import Path

from codetect_shared.db import uuid7
from codetect_shared.problems import Problem
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from codetect_ingest.children import Source
from codetect_ingest.dicom.reading import LARGE

DICOM = "application/dicom"


class MediaTypeUnsupported(Problem):
    """This is stored only as multipart/related with parts of the type application/dicom."""

    status = 415


class BodyMalformed(Problem):
    """The request's body isn't the multipart message that its Content-Type says."""

    status = 400


@dataclass
class Part:
    """One part: its Content-Type, its size, its bytes; `too_large` when it went beyond the limit, and then without any.

    More than `LARGE` bytes lie in a file of `folder`.
    """

    folder: Path
    largest: int
    content_type: str = ""
    size: int = 0
    too_large: bool = False
    _data: bytearray = field(default_factory=bytearray)
    _file: Path | None = None

    @property
    def source(self) -> Source:
        """Its bytes, or where they lie."""
        return self._file or bytes(self._data)

    def grow(self, chunk: bytes | memoryview) -> None:
        """Take more of it. Raises OSError of the folder."""
        self.size += len(chunk)
        if self.too_large or self.size > self.largest:
            self._drop()
        elif self.size > LARGE:
            self._file = self._file or self.folder / f"{uuid7()}.part"
            with self._file.open("ab") as file:
                file.write(self._data)
                file.write(chunk)
            self._data.clear()
        else:
            self._data += chunk

    def _drop(self) -> None:
        self.too_large, self.size = True, 0
        self._data.clear()
        if self._file:
            self._file.unlink(missing_ok=True)


def boundary_of(content_type: str) -> str | None:
    """Return the boundary; None for a single application/dicom body. Raises MediaTypeUnsupported."""
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_type() == DICOM:
        return None
    kind, boundary = message.get_param("type", DICOM), message.get_boundary()
    if message.get_content_type() != "multipart/related" or not boundary or str(kind).lower() != DICOM:
        raise MediaTypeUnsupported(
            'Send Content-Type: multipart/related; type="application/dicom"; boundary=..., each instance a part.'
        )
    return boundary


async def parts(body: AsyncIterable[bytes], content_type: str, folder: Path, largest: int) -> AsyncIterator[Part]:
    """Yield each part once it is whole; never more than one is held. Raises MediaTypeUnsupported, BodyMalformed."""
    boundary = boundary_of(content_type)
    if boundary is None:
        only = Part(folder, largest, DICOM)
        async for chunk in body:
            only.grow(chunk)
        if only.size or only.too_large:
            yield only
        return
    collector = _Collector(boundary, folder, largest)
    async for chunk in body:
        for part in collector.feed(chunk):
            yield part
    collector.finish()


class _Collector:
    """Turns the parser's callbacks into parts."""

    def __init__(self, boundary: str, folder: Path, largest: int) -> None:
        self._done = False
        self._new = partial(Part, folder, largest)
        self._part, self._ready = self._new(), list[Part]()
        self._name, self._value = bytearray(), bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": lambda data, start, end: self._part.grow(memoryview(data)[start:end]),
                "on_part_end": lambda: self._ready.append(self._part),
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._header,
                "on_end": self._end,
            },
        )

    def feed(self, chunk: bytes) -> list[Part]:
        """Take some of the body; return the parts that are whole now."""
        try:
            self._parser.write(chunk)
        except MultipartParseError as error:
            raise BodyMalformed(f"It can't be read at byte {error.offset} of a piece of it.") from error
        ready, self._ready = self._ready, []
        return ready

    def finish(self) -> None:
        """Notice a body that ended too early."""
        if not self._done:
            raise BodyMalformed("It ended before its closing boundary: part of it was lost. Send it again.")

    def _begin(self) -> None:
        self._part = self._new()

    def _header(self) -> None:
        if self._name.lower() == b"content-type":
            self._part.content_type = self._value.decode("latin-1").partition(";")[0].strip().lower()
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self._done = True
