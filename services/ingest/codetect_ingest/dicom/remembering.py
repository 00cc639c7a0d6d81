"""What short elements say, worked out once: the slices of a series say mostly the same, and pydicom takes its time.

Whatever is remembered is a function of an element's bytes and of how they are encoded alone, is shared and so never
changed, is bounded, and is forgotten before another facility's file is read.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

ENTRIES = 1024
LONGEST = 256  # bytes
# fmt: off
PLAIN = {
    "AE", "AS", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL",
    "US",
}  # what is told by the element alone, not by others of its data set
# fmt: on
CHARACTER_SET = 0x00080005
T = TypeVar("T")
_kept: list[Any] = []
_whose: list[bytes] = []


class Said(NamedTuple):
    """A short element as it is encoded."""

    tag: int
    vr: str | None
    data: bytes | None
    implicit: bool
    little: bool
    charset: str | tuple[str, ...]


def remembered(work: Callable[..., T]) -> Callable[..., T]:
    """Have a pure function remember what it made of the last `ENTRIES` arguments."""
    kept = functools.lru_cache(ENTRIES)(work)
    _kept.append(kept)
    return kept


def only_of(facility: bytes) -> None:
    """Forget everything unless it is of this facility, by its key."""
    if _whose != [facility]:
        _whose[:] = [facility]
        for each in _kept:
            each.cache_clear()


def said(ds: Dataset, tag: int) -> Said | None:
    """Return an element as it is encoded; None where it is absent, long, or pydicom has to look at the data set."""
    element = ds._dict.get(tag)  # type: ignore[call-overload]
    if not isinstance(element, RawDataElement):
        return None
    _, vr, length, data, _, implicit, little, _, _ = element
    if length > LONGEST or length != len(data or b"") or (vr or usual_vr(tag)) not in PLAIN or tag == CHARACTER_SET:
        return None
    charset = ds.original_character_set or ds._character_set
    return Said(tag, vr, data, implicit, little, charset if isinstance(charset, str) else tuple(charset))


@remembered
def element_of(one: Said) -> DataElement:
    """Return the element; it is shared. Raises what pydicom raises."""
    length = len(one.data or b"")
    raw = RawDataElement(BaseTag(one.tag), one.vr, length, one.data, 0, one.implicit, one.little)
    charset = one.charset if isinstance(one.charset, str) else list(one.charset)
    return convert_raw_data_element(raw, encoding=charset)


@functools.cache
def tag_of(keyword: str) -> int:
    """Return the tag of a keyword of ours. Raises KeyError."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return int(tag)


@functools.lru_cache(ENTRIES)
def usual_vr(tag: int) -> str:
    """Return the VR that the standard gives a tag, "" where it doesn't know it."""
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""
