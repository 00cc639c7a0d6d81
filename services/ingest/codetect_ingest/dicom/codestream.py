"""Compressed images as bytes: what they claim to be, and their streams without what hides in them.

Only what a decoder needs is kept; comments, application data, thumbnails, boxes and bytes behind the end are not.
Nothing is decoded here. ADR 0023 has the lists and what remains.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from pydicom import uid

from codetect_ingest.dicom.refusals import Refusal, Refused

JPEG_2000 = {uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K}
# T.81 B.1.1.3, T.87 C.1
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
START_OF_SCAN, EXTENSION_LS = 0xDA, 0xF8
PRESET_PARAMETERS_LS = b"\x01"  # T.87 C.2.4.1; the other extensions are palettes
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}
JPEG_KEPT = JPEG_FRAMES | {0xC4, 0xCC, START_OF_SCAN, 0xDB, 0xDC, 0xDD, EXTENSION_LS}
JPEG_WITH_LENGTH = {*range(0xC0, 0xFF)} - {0xD8, 0xD9}
JPEG_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")  # restarts are part of a scan
# T.800 A.2, T.814 A.2
SOC, SIZ, SOT, SOD, EOC, TLM = b"\xff\x4f", b"\xff\x51", b"\xff\x90", b"\xff\x93", b"\xff\xd9", b"\xff\x55"
JPEG_2000_KEPT = {b"\xff" + code for code in (b"\x50", b"\x51", b"\x52", b"\x53", b"\x56", b"\x59", b"\x5c", b"\x5d")}
JPEG_2000_KEPT |= {b"\xff" + code for code in (b"\x5e", b"\x5f", b"\x60", b"\x61")}
NO_PACKET = re.compile(rb"\xff[\x93-\xff]")  # never in a tile-part's packets, whose own markers are SOP and EPH
SOT_LENGTH = 12
TLM_ENTRIES = 10_000
JP2_SIGNATURE = b"\0\0\0\x0cjP  "


class Shape(NamedTuple):
    """What a stream says of its image."""

    rows: int
    columns: int
    components: int
    precision: int


def shape(stream: bytes) -> Shape | None:
    """Return what a JPEG, JPEG-LS or JPEG 2000 stream itself claims; None where it claims nothing.

    Decoders allocate by these numbers (T.81 B.2.2, T.87 C.2.2, T.800 A.5.1), whatever the DICOM header says.
    """
    if stream[:4] == SOC + SIZ and len(stream) > 42:
        right, bottom, left, top = (_number(stream, at, 4) for at in range(8, 24, 4))
        return Shape(bottom - top, right - left, _number(stream, 40, 2), (stream[42] & 0x7F) + 1)
    if stream[:2] != SOI:
        return None
    at = 2
    while found := JPEG_MARKER.search(stream, at):
        marker, at = stream[found.start() + 1], found.end()
        if marker not in JPEG_WITH_LENGTH or at + 8 > len(stream):
            return None
        if marker in JPEG_FRAMES:
            return Shape(_number(stream, at + 3, 2), _number(stream, at + 5, 2), stream[at + 7], stream[at + 2])
        at += _number(stream, at, 2)
    return None


def stripped(stream: bytes, syntax: str) -> bytes:
    """Return the stream with only what decodes to the image. `UNDECODABLE` where it isn't a whole stream."""
    return _jpeg_2000(stream) if syntax in JPEG_2000 else _jpeg(stream)


def _jpeg(stream: bytes) -> bytes:
    """Keep frames, tables and scans up to the first end of image."""
    if stream[:2] != SOI:
        raise Refused(Refusal.UNDECODABLE)
    kept, at = [SOI], 2
    while found := JPEG_MARKER.search(stream, at):
        begin, marker = found.start(), stream[found.start() + 1]
        if marker == EOI[1]:
            return b"".join([*kept, EOI])
        length = _number(stream, begin + 2, 2)
        if marker not in JPEG_WITH_LENGTH or length < 2:
            break
        at = begin + 2 + length
        if marker == START_OF_SCAN:
            end = JPEG_MARKER.search(stream, at)
            kept += [stream[begin:at], stream[at : end.start() if end else None].rstrip(b"\xff")]
        elif marker in JPEG_KEPT and (marker != EXTENSION_LS or stream[begin + 4 : begin + 5] == PRESET_PARAMETERS_LS):
            kept.append(stream[begin:at])
    raise Refused(Refusal.UNDECODABLE)


def _jpeg_2000(stream: bytes) -> bytes:
    """Keep the coding parameters and the packets of each tile-part; tell the tile-parts' lengths anew."""
    stream = _unboxed(stream)
    if stream[:4] != SOC + SIZ:
        raise Refused(Refusal.UNDECODABLE)
    main, at, indexed = _parameters(stream, 2, SOT)
    parts = []
    while stream[at : at + 2] == SOT and len(stream) >= at + SOT_LENGTH:
        parameters, packets_at, _ = _parameters(stream, at + SOT_LENGTH, SOD)
        promised = _number(stream, at + 6, 4)  # Psot; 0 where it is the last and lasts to the end
        end = at + promised if promised else stream.find(EOC, packets_at)
        packets = stream[packets_at + 2 : end]
        if not packets_at + 2 <= end <= len(stream) or NO_PACKET.search(packets):
            raise Refused(Refusal.UNDECODABLE)
        length = SOT_LENGTH + len(parameters) + 2 + len(packets)
        head = stream[at : at + 6] + length.to_bytes(4, "big") + stream[at + 10 : at + 12]
        parts.append(head + parameters + SOD + packets)
        at = end
    if not parts or (stream[at : at + 2] != EOC and stream[at:].strip(b"\0")):
        raise Refused(Refusal.UNDECODABLE)
    return b"".join([SOC, main, *(_lengths(parts) if indexed else ()), *parts, EOC])


def _parameters(stream: bytes, at: int, until: bytes) -> tuple[bytes, int, bool]:
    """Return the marker segments to keep, where `until` stands, and whether tile-part lengths were listed."""
    kept, listed = [], False
    while (marker := stream[at : at + 2]) != until:
        length = _number(stream, at + 2, 2)
        if marker[:1] != b"\xff" or length < 2 or at + 2 + length > len(stream):
            raise Refused(Refusal.UNDECODABLE)
        listed |= marker == TLM
        if marker in JPEG_2000_KEPT:
            kept.append(stream[at : at + 2 + length])
        at += 2 + length
    return b"".join(kept), at, listed


def _lengths(parts: list[bytes]) -> Iterator[bytes]:
    """Write tile-part lengths (T.800 A.7.1), which the RPCL transfer syntax asks for."""
    for number, first in enumerate(range(0, len(parts), TLM_ENTRIES)):
        some = parts[first : first + TLM_ENTRIES]
        entries = b"".join(part[4:6] + len(part).to_bytes(4, "big") for part in some)
        yield TLM + (4 + len(entries)).to_bytes(2, "big") + bytes([number % 256, 0x60]) + entries


def _unboxed(stream: bytes) -> bytes:
    """Take the code stream out of a JP2 file (T.800 I.4), which careless writers put where it alone belongs."""
    if stream[:8] != JP2_SIGNATURE:
        return stream
    at = 0
    while at + 8 <= len(stream):
        length, head = _number(stream, at, 4), 8
        if length == 1:
            length, head = _number(stream, at + 8, 8), 16
        end = at + length if length else len(stream)
        if end < at + head:
            break
        if stream[at + 4 : at + 8] == b"jp2c":
            return stream[at + head : end]
        at = end
    raise Refused(Refusal.UNDECODABLE)


def _number(stream: bytes, at: int, size: int) -> int:
    return int.from_bytes(stream[at : at + size], "big")
