"""What de-identification did to one image, attribute by attribute: names of attributes, never a value."""

from collections import Counter
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from codetect_ingest.dicom.deidentify import NUMBERS

KEPT, REPLACED, EMPTIED, REMOVED, PRIVATE = "kept", "replaced", "emptied", "removed", "private"
HEADER = {0x00020000, 0x00020001, 0x00020010}  # what any file's header says of itself
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
        for tag in sorted(source.keys()):
            if tag.is_private:
                private[tag.group] += 1
            elif tag.element and tag not in HEADER:
                found[_outcome(source, target, tag)].append(_name(tag))
    return found | {PRIVATE: [f"{group:04X}: {count}" for group, count in sorted(private.items())]}


def _outcome(ds: Dataset, clean: Dataset, tag: BaseTag) -> str:
    if tag not in clean:
        return REMOVED
    if keyword_for_tag(tag) == "PixelData":
        return KEPT
    written = clean.get_item(tag).value
    if written in (None, b"", ""):
        return EMPTIED
    if keyword_for_tag(tag) in NUMBERS:
        return KEPT  # as a number; how it was written doesn't matter
    return KEPT if _value(ds, tag) == _value(clean, tag) else REPLACED


def _value(ds: Dataset, tag: BaseTag) -> Any:
    """Return a value that equals itself however it was written; one that can't be read equals nothing."""
    try:
        found = ds[tag].value
    except Exception:
        return ABSENT
    values = found if isinstance(found, (list, tuple)) or hasattr(found, "append") else [found]
    return [_plain(value) for value in values if value not in (None, "")]


def _plain(value: Any) -> Any:
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value).strip()


def _name(tag: BaseTag) -> str:
    return keyword_for_tag(tag) or str(tag)
