"""Data sets of our own files as bytes, element by element: Explicit VR Little Endian, text in UTF-8.

A data set that is only shown as JSON, or that gets back some original values, needn't become objects first: that is
most of the time it takes to give a series.
"""

import base64
import functools
import struct
from collections.abc import Callable, Iterator
from typing import Any

from codetect_ingest.dicom.encoding import LONG_VRS, SHORT
from codetect_ingest.dicom.identity import Attributes

PREAMBLE, PREFIX, GROUP_LENGTH = 128, 4, 12
META = PREAMBLE + PREFIX + GROUP_LENGTH
LONG_HEADER = {vr.encode() for vr in LONG_VRS}
TEXTS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
WHOLE_TEXTS = {"LT", "ST", "UR", "UT"}  # a backslash in them is one (PS3.5 6.2)
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
WRITINGS = ("Alphabetic", "Ideographic", "Phonetic")
UNDEFINED = 0xFFFFFFFF

Bytes = bytes | memoryview
Element = tuple[int, bytes, int, int, int]  # tag, VR, and where it begins, its value begins, it ends


def elements(data: bytes, begin: int, end: int) -> Iterator[Element]:
    """Yield the elements of a data set. Raises ValueError for what our own files don't have."""
    at = begin
    while at < end:
        group, number, vr, length = SHORT.unpack_from(data, at)
        value = at + 8
        if vr in LONG_HEADER:
            length = int.from_bytes(data[at + 8 : at + 12], "little")
            value = at + 12
        if length == UNDEFINED or value + length > end:
            raise ValueError("not a data set of ours")
        yield group << 16 | number, vr, at, value, value + length
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
            values = attribute.get("Value", ())
            value = "\\".join([one if isinstance(one, str) else _text(one) for one in values]).encode()
            if len(value) % 2:
                value += b"\0" if vr == "UI" else b" "
            number, head, size = _beginning(tag, vr)
            if len(value) < 1 << 8 * size:
                found[number] = head + len(value).to_bytes(size, "little") + value
    return found


@functools.lru_cache(maxsize=1024)
def _beginning(tag: str, vr: str) -> tuple[int, bytes, int]:
    """Return a tag as a number, what an element of it begins with, and how many bytes its length takes then."""
    number, kind = int(tag, 16), vr.encode()
    head = struct.pack("<HH2s", number >> 16, number & 0xFFFF, kind)
    return (number, head + b"\0\0", 4) if kind in LONG_HEADER else (number, head, 2)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "=".join(value.get(writing, "") for writing in WRITINGS).rstrip("=")
    return "" if value is None else str(value)


Seen = dict[bytes, tuple[str, dict[str, Any]]]


def to_json(data: bytes, begin: int = 0, end: int | None = None, *, seen: Seen | None = None) -> Attributes:
    """Return a data set as DICOM JSON (PS3.18 F.2). Raises ValueError for what our own files don't have.

    `seen` keeps elements by their bytes: slices of a series share most of them, so nobody may change what is returned.
    """
    found: Attributes = {}
    seen = {} if seen is None else seen
    for tag, vr, at, value, after in elements(data, begin, len(data) if end is None else end):
        whole = data[at:after]
        if whole not in seen:
            seen[whole] = f"{tag:08X}", _attribute(vr.decode(), data, value, after)
        name, attribute = seen[whole]
        found[name] = attribute
    return found


def _attribute(vr: str, data: bytes, at: int, end: int) -> dict[str, Any]:
    if vr == "SQ":
        items = [to_json(data, *item) for item in _items(data, at, end)]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if at == end:
        return {"vr": vr}
    name, value = _value(vr, data[at:end])
    return {"vr": vr} if value in ([], [None]) else {"vr": vr, name: value}


def _items(data: bytes, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the items of a sequence begin and end."""
    while at < end:
        tag, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if tag != b"\xfe\xff\x00\xe0" or length == UNDEFINED or at + 8 + length > end:
            raise ValueError("not a sequence of ours")
        yield at + 8, at + 8 + length
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
