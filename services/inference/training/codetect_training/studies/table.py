"""A table of labels beside a folder of DICOM files: which column is the key, which the label, what its words mean."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from codetect_training.words import Words, plain

KnownBy = Literal["SeriesInstanceUID", "StudyInstanceUID", "PatientID", "folder"]
KEYS: dict[KnownBy, frozenset[str]] = {
    "SeriesInstanceUID": frozenset({"seriesinstanceuid", "seriesuid", "series"}),
    "StudyInstanceUID": frozenset({"studyinstanceuid", "studyuid", "study"}),
    "PatientID": frozenset({"patientid", "patient"}),
    "folder": frozenset({"folder"}),
}


@dataclass(frozen=True)
class LabelTable:
    """`known_by`: by what a series is looked up; `said`: key -> the table's word; `words`: what it means.

    `others`: lines about other labels, as an export of feedback has them.
    """

    known_by: KnownBy
    said: dict[str, str]
    words: Words
    others: int = 0


def open_table(
    path: Path, words: Words, known_by: KnownBy | None = None, key: str | None = None, label: str | None = None
) -> LabelTable:
    """Read a CSV file. Columns that aren't named are found by their heading; the finest key is taken.

    A table with columns `label` and `value` (docs/feedback.md) has a line for each label; those of others are counted.
    """
    columns = headings(path)
    if known_by is None and key is not None:
        known_by = next((one for one, names in KEYS.items() if plain(key) in names), None)
        if known_by is None:
            raise SystemExit(f"say with --known-by what {key} is: {', '.join(get_args(KnownBy))}")
    if key is None:
        for one in [known_by] if known_by else list(KEYS):
            key = key or next((column for column in columns if plain(column) in KEYS[one]), None)
            known_by = known_by or (one if key else None)
    if key is None or known_by is None or key not in columns:
        wanted = key or known_by or "series, study, patient or folder"
        raise SystemExit(
            f"{path} has no column for {wanted}; it has {', '.join(columns)}: name one with --key and --known-by"
        )
    by_heading = {plain(column): column for column in columns}
    which = by_heading.get("label") if label is None and "value" in by_heading else None
    if label is None:
        own = (by_heading.get(name) for name in (["value"] if which else ["label", *sorted(words.positive)]))
        label = next(filter(None, own), None)
    if label is None or label not in columns:
        raise SystemExit(
            f"{path} has no column {label or 'label'}; it has {', '.join(columns)}: name one with --column"
        )
    return read_lines(path, LabelTable(known_by, {}, words), key, label, which)


def read_lines(path: Path, table: LabelTable, key: str, label: str, which: str | None) -> LabelTable:
    """Fill the table from columns of the file; `which` is the column that says what label a line is about."""
    others = 0
    with path.open(newline="", encoding="utf-8-sig") as lines:
        for line in csv.DictReader(lines):
            name, said = (line[key] or "").strip(), (line[label] or "").strip()
            if which and table.words.of(line[which] or "") != 1:
                others += 1
            elif table.said.setdefault(name, said) != said:
                raise SystemExit(f"{path} says both {table.said[name]!r} and {said!r} for {name}: keep one line")
    return replace(table, others=others)


def headings(path: Path) -> list[str]:
    """The table's columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return list(csv.DictReader(lines).fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SystemExit(f"{path} can't be read as a CSV file in UTF-8: {error}") from None
