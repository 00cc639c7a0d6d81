"""The parts of a multipart/related body (RFC 2387), one after the other while it arrives; large ones in files."""

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from pathlib import Path

from codetect_shared.problems import Problem
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from codetect_ingest.children import Source
from codetect_ingest.dicom.reading import LARGE
from codetect_ingest.scratch import nameless_file

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

    More than `LARGE` bytes lie on the disk of `folder`, until it is closed.
    """

    folder: Path
    largest: int
    content_type: str = ""
    size: int = 0
    too_large: bool = False
    _data: bytearray = field(default_factory=bytearray)
    _file: Path | None = None
    _room: ExitStack = field(default_factory=ExitStack)

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
            self._file = self._file or self._room.enter_context(nameless_file(self.folder))
            with self._file.open("ab") as file:
                file.write(self._data)
                file.write(chunk)
            self._data.clear()
        else:
            self._data += chunk

    def close(self) -> None:
        """Give up its room on the disk: its source is gone."""
        self._room.close()

    def _drop(self) -> None:
        self.too_large, self.size = True, 0
        self._data.clear()
        self.close()


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


async def parts(body: AsyncIterable[bytes], content_type: str, folder: Path, largest: int) -> AsyncGenerator[Part]:
    """Yield each part once it is whole, and close it then; close this, too, when leaving early.

    Raises MediaTypeUnsupported, BodyMalformed.
    """
    boundary = boundary_of(content_type)
    if boundary is None:
        with closing(Part(folder, largest, DICOM)) as only:
            async for chunk in body:
                only.grow(chunk)
            if only.size or only.too_large:
                yield only
        return
    with closing(_Collector(boundary, folder, largest)) as collector:
        async for chunk in body:
            for part in collector.feed(chunk):
                yield part
                part.close()
        collector.finish()


class _Collector:
    """Turns the parser's callbacks into parts."""

    def __init__(self, boundary: str, folder: Path, largest: int) -> None:
        self._done = False
        self._new = partial(Part, folder, largest)
        self._part, self._ready, self._given = self._new(), list[Part](), list[Part]()
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
        self._given, self._ready = self._ready, []
        return self._given

    def close(self) -> None:
        """Close what hasn't been yielded, or not to the end."""
        for part in (*self._given, *self._ready, self._part):
            part.close()

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
