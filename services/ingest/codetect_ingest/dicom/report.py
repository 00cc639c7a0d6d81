"""What de-identification did to one image, attribute by attribute: names of attributes, never a value."""

from collections import Counter
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from codetect_ingest.dicom.deidentify import NUMBERS
from codetect_ingest.dicom.remembering import Said, element_of, remembered, said, tag_of

KEPT, REPLACED, EMPTIED, REMOVED, PRIVATE = "kept", "replaced", "emptied", "removed", "private"
HEADER = {0x00020000, 0x00020001, 0x00020010}  # what any file's header says of itself
ALWAYS_KEPT = {tag_of("PixelData")} | {
    tag_of(keyword) for keyword in NUMBERS
}  # how numbers were written doesn't matter
ABSENT = object()
Report = dict[str, list[str]]


def report(ds: Dataset, clean: Dataset) -> Report:
    """Tell what became of each attribute of `ds`, in the order of tags: by keyword, else by tag, sequences as a whole.

    Private attributes are all removed; they are counted by group, since their creators' names could name anybody.
    """
    found: dict[str, list[str]] = {outcome: [] for outcome in (KEPT, REPLACED, EMPTIED, REMOVED)}
    private: Counter[int] = Counter()
    header = getattr(ds, "file_meta", Dataset())
    for source, target in ((header, clean.file_meta), (ds, clean)):
        stayed = set(map(int, target.keys()))
        for tag in sorted(map(int, source.keys())):
            group, element = tag >> 16, tag & 0xFFFF
            if group % 2:
                private[group] += 1
            elif element and tag not in HEADER:
                found[_outcome(source, target, tag) if tag in stayed else REMOVED].append(_name(tag))
    return found | {PRIVATE: [f"{group:04X}: {count}" for group, count in sorted(private.items())]}


def _outcome(ds: Dataset, clean: Dataset, tag: int) -> str:
    """Return what became of an attribute that is still there."""
    written = clean._dict[tag].value  # type: ignore[index]
    if written in (None, b"", ""):
        return EMPTIED
    if tag in ALWAYS_KEPT:
        return KEPT
    before, after = said(ds, tag), said(clean, tag)
    same = _same(before, after) if before and after else _value(ds, tag) == _value(clean, tag)
    return KEPT if same else REPLACED


@remembered
def _same(before: Said, after: Said) -> bool:
    try:
        return _values(element_of(before)) == _values(element_of(after))
    except Exception:
        return False


def _value(ds: Dataset, tag: int) -> Any:
    """Return a value that equals itself however it was written; one that can't be read equals nothing."""
    try:
        return _values(ds[tag])
    except Exception:
        return ABSENT


def _values(element: DataElement) -> list[Any]:
    found = element.value
    values = found if isinstance(found, (list, tuple)) or hasattr(found, "append") else [found]
    return [_plain(value) for value in values if value not in (None, "")]


def _plain(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value).strip()


@remembered
def _name(tag: int) -> str:
    return keyword_for_tag(tag) or str(BaseTag(tag))
