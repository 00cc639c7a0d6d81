"""A table of labels beside a folder of DICOM files: which column is the key, which the label, what its words mean."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from codetect_training.datasets.tables import read_table
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
    """`known_by`: by what a series is looked up; `said`: key -> the table's word; `words`: what it means."""

    known_by: KnownBy
    said: dict[str, str]
    words: Words


def open_table(
    path: Path, words: Words, known_by: KnownBy | None = None, key: str | None = None, label: str | None = None
) -> LabelTable:
    """Read a CSV file. Columns that aren't named are found by their heading; the finest key is taken."""
    columns = headings(path)
    if known_by is None and key is not None:
        known_by = next((one for one, names in KEYS.items() if plain(key) in names), None)
        if known_by is None:
            raise SystemExit(f"say with --known-by what {key} is: {', '.join(get_args(KnownBy))}")
    if key is None:
        for one in [known_by] if known_by else list(KEYS):
            key = key or next((column for column in columns if plain(column) in KEYS[one]), None)
            known_by = known_by or (one if key else None)
    if key is None or known_by is None:
        wanted = known_by or "series, study, patient or folder"
        raise SystemExit(
            f"{path} has no column for {wanted}; it has {', '.join(columns)}: name one with --key and --known-by"
        )
    if label is None:
        label = next((column for column in columns if plain(column) in {"label", plain(words.name)}), None)
    if label is None:
        raise SystemExit(f"{path} has no column label; it has {', '.join(columns)}: name one with --column")
    return LabelTable(known_by, read_table(path, key, label), words)


def headings(path: Path) -> list[str]:
    """The table's columns."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return list(csv.DictReader(lines).fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SystemExit(f"{path} can't be read as a CSV file in UTF-8: {error}") from None
