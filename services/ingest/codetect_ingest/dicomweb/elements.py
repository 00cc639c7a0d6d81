"""Data sets of our own files as bytes, element by element: Explicit VR Little Endian, text in UTF-8.

A data set that is only shown as JSON, or that gets back some original values, needn't become objects first: that is
most of the time it takes to give a series.
"""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codetect_ingest.dicom.identity import Attributes

PREAMBLE, PREFIX, GROUP_LENGTH = 128, 4, 12
META = PREAMBLE + PREFIX + GROUP_LENGTH
LONG_HEADER = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
TEXTS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
WHOLE_TEXTS = {"LT", "ST", "UR", "UT"}  # a backslash in them is one (PS3.5 6.2)
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
WRITINGS = ("Alphabetic", "Ideographic", "Phonetic")
MEDIA_STORAGE_SOP_INSTANCE_UID, SOP_INSTANCE_UID = 0x00020003, 0x00080018
UNDEFINED = 0xFFFFFFFF


class Element:
    """An element inside a buffer: where it begins, its value, where it ends."""

    __slots__ = ("begin", "end", "tag", "value", "vr")

    def __init__(self, tag: int, vr: bytes, begin: int, value: int, end: int) -> None:
        self.tag, self.vr, self.begin, self.value, self.end = tag, vr, begin, value, end


def elements(data: bytes, begin: int, end: int) -> Iterator[Element]:
    """Yield the elements of a data set. Raises ValueError for what our own files don't have."""
    at = begin
    while at < end:
        group, number = struct.unpack_from("<HH", data, at)
        vr = data[at + 4 : at + 6]
        if vr in LONG_HEADER:
            (length,) = struct.unpack_from("<I", data, at + 8)
            value = at + 12
        else:
            (length,) = struct.unpack_from("<H", data, at + 6)
            value = at + 8
        if length == UNDEFINED or value + length > end:
            raise ValueError("not a data set of ours")
        yield Element(group << 16 | number, vr, at, value, value + length)
        at = value + length


def header_start(file: bytes) -> int:
    """Return where a file's data set begins, behind preamble and file meta information."""
    return META + int.from_bytes(file[META - 4 : META], "little")


def encode(attributes: Attributes) -> dict[int, bytes]:
    """Return attributes in DICOM JSON as elements, by tag; those that aren't text are left out."""
    found = {}
    for tag, attribute in attributes.items():
        vr = attribute["vr"]
        if vr in TEXTS:
            value = "\\".join(map(_text, attribute.get("Value", []))).encode()
            value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
            number = int(tag, 16)
            if vr.encode() in LONG_HEADER:
                found[number] = (
                    struct.pack("<HH2sHI", number >> 16, number & 0xFFFF, vr.encode(), 0, len(value)) + value
                )
            elif len(value) < 1 << 16:
                found[number] = struct.pack("<HH2sH", number >> 16, number & 0xFFFF, vr.encode(), len(value)) + value
    return found


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "=".join(value.get(writing, "") for writing in WRITINGS).rstrip("=")
    return "" if value is None else str(value)


def splice(file: bytes, header_length: int, put: Mapping[int, bytes], drop: frozenset[int]) -> bytes:
    """Return the file with these elements in place of its own, others gone, its image untouched."""
    start = header_start(file)
    end = start + header_length
    merged = {one.tag: file[one.begin : one.end] for one in elements(file, start, end) if one.tag not in drop}
    merged |= put
    meta = {one.tag: file[one.begin : one.end] for one in elements(file, META, start)}
    if SOP_INSTANCE_UID in put:
        meta[MEDIA_STORAGE_SOP_INSTANCE_UID] = b"\x02\0\x03\0" + put[SOP_INSTANCE_UID][4:]
    head = b"".join(meta[tag] for tag in sorted(meta))
    group_length = file[PREAMBLE + PREFIX : META - 4] + len(head).to_bytes(4, "little")
    body = (merged[tag] for tag in sorted(merged))
    return b"".join((file[: PREAMBLE + PREFIX], group_length, head, *body, memoryview(file)[end:]))


def to_json(data: bytes, begin: int = 0, end: int | None = None) -> Attributes:
    """Return a data set as DICOM JSON (PS3.18 F.2). Raises ValueError for what our own files don't have."""
    found: Attributes = {}
    for one in elements(data, begin, len(data) if end is None else end):
        vr = one.vr.decode()
        attribute: dict[str, Any] = {"vr": vr}
        if vr == "SQ":
            attribute["Value"] = [to_json(data, item.value, item.end) for item in _items(data, one)]
        elif one.end > one.value:
            name, value = _value(vr, data[one.value : one.end])
            if value not in ([], [None]):
                attribute[name] = value
        if attribute.get("Value") == []:
            del attribute["Value"]
        found[f"{one.tag:08X}"] = attribute
    return found


def _items(data: bytes, sequence: Element) -> Iterator[Element]:
    at = sequence.value
    while at < sequence.end:
        tag, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if tag != b"\xfe\xff\x00\xe0" or length == UNDEFINED or at + 8 + length > sequence.end:
            raise ValueError("not a sequence of ours")
        yield Element(0xFFFEE000, b"", at, at + 8, at + 8 + length)
        at += 8 + length


def _value(vr: str, raw: bytes) -> tuple[str, Any]:
    if vr in NUMBERS:
        code = NUMBERS[vr]
        return "Value", list(struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw))
    if vr == "AT":
        pairs = struct.iter_unpack("<HH", raw)
        return "Value", [f"{group:04X}{number:04X}" for group, number in pairs]
    if vr not in TEXTS:
        return "InlineBinary", base64.b64encode(raw).decode()
    text = raw.decode(errors="replace")
    if vr in WHOLE_TEXTS:
        return "Value", [text.rstrip(" \0")]
    convert = CONVERSIONS.get(vr, str)
    parts = (part.strip(" \0") for part in text.split("\\"))
    return "Value", [convert(part) if part else None for part in parts]


def _name(text: str) -> dict[str, str]:
    return {writing: part for writing, part in zip(WRITINGS, text.split("="), strict=False) if part}


CONVERSIONS: dict[str, Callable[[str], Any]] = {"PN": _name, "IS": int, "DS": float}
