"""The parts of a multipart/related body (RFC 2387), one after the other while it arrives."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from email.message import Message

from codetect_shared.problems import Problem
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

DICOM = "application/dicom"


class MediaTypeUnsupported(Problem):
    """This is stored only as multipart/related with parts of the type application/dicom."""

    status = 415


class BodyMalformed(Problem):
    """The request's body isn't the multipart message that its Content-Type says."""

    status = 400


@dataclass
class Part:
    """One part: its Content-Type, its bytes; `too_large` when it went beyond the limit, and then without bytes."""

    content_type: str = ""
    data: bytearray = field(default_factory=bytearray)
    too_large: bool = False


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


async def parts(body: AsyncIterable[bytes], content_type: str, largest: int) -> AsyncIterator[Part]:
    """Yield each part once it is whole; never more than one is held. Raises MediaTypeUnsupported, BodyMalformed."""
    boundary = boundary_of(content_type)
    if boundary is None:
        only = Part(DICOM)
        async for chunk in body:
            _grow(only, chunk, largest)
        if only.data or only.too_large:
            yield only
        return
    collector = _Collector(boundary, largest)
    async for chunk in body:
        for part in collector.feed(chunk):
            yield part
    collector.finish()


class _Collector:
    """Turns the parser's callbacks into parts."""

    def __init__(self, boundary: str, largest: int) -> None:
        self._done = False
        self._part, self._ready = Part(), list[Part]()
        self._name, self._value = bytearray(), bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": lambda data, start, end: _grow(self._part, memoryview(data)[start:end], largest),
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
        self._part = Part()

    def _header(self) -> None:
        if self._name.lower() == b"content-type":
            self._part.content_type = self._value.decode("latin-1").partition(";")[0].strip().lower()
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self._done = True


def _grow(part: Part, chunk: bytes | memoryview, largest: int) -> None:
    if part.too_large or len(part.data) + len(chunk) > largest:
        part.too_large, part.data = True, bytearray()
    else:
        part.data += chunk
