"""What is said of a unit elsewhere: its label in a table, its patient in its name or a table."""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from codetect_training.datasets.strict import DataPath, Strict, Text

# What a unit can be known by. Images: `file` is its name, `path` its path in CODETECT_DATA. NIfTI: `file`, and `folder`
# below the source's. DICOM: that `folder`, and the keywords.
Names = Mapping[str, str]
Known = Literal["file", "path", "folder", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"]


def capturing(group: str) -> AfterValidator:
    """Demand a regular expression with a group of that name."""

    def check(pattern: str) -> str:
        try:
            groups = re.compile(pattern).groupindex
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if group not in groups:
            raise ValueError(f"mark what counts as (?P<{group}>...)")
        return pattern

    return AfterValidator(check)


class LabelTable(Strict):
    """A CSV file with one line per study, series, folder or file, and a column with its label."""

    table: DataPath
    known_by: Known
    key: Text
    label: Text
    values: dict[str, Text]
    unlisted: Literal["refuse", "leave_out"] = "refuse"

    def find(self, root: Path, names: Names) -> str | None:
        """The label of a unit; None: it isn't in the table, and the description says to leave it out then."""
        word = read_table(root / self.table, self.key, self.label).get(named(names, self.known_by))
        if word is None and self.unlisted == "leave_out":
            return None
        if word is None:
            raise SystemExit(
                f"{self.table} has no {self.known_by} {names[self.known_by]}: add it, or set `unlisted: leave_out`"
            )
        if word not in self.values:
            raise SystemExit(
                f"{self.table} says {word!r} for {names[self.known_by]}: say in `values` which label that is"
            )
        return self.values[word]


class PatientInName(Strict):
    """The patient is a part of the file's name, its folder or a DICOM element.

    Sources with the same `collection` name the same people alike; otherwise each source's patients are its own.
    """

    by: Literal["name"]
    known_by: Known = "file"
    pattern: Annotated[str, capturing("patient")]
    unmatched: Literal["refuse", "unknown"] = "refuse"
    collection: Text | None = None

    def find(self, root: Path, names: Names) -> str | None:
        """The patient's name in the collection."""
        found = re.search(self.pattern, named(names, self.known_by))
        if found is None and self.unmatched == "refuse":
            raise SystemExit(
                f"no patient in {self.known_by} {names[self.known_by]}: mend the pattern, or set `unmatched: unknown`"
            )
        return found["patient"] if found else None


class PatientInTable(Strict):
    """The patient is in a CSV file."""

    by: Literal["table"]
    table: DataPath
    known_by: Known = "file"
    key: Text
    patient: Text
    collection: Text | None = None

    def find(self, root: Path, names: Names) -> str | None:
        """The patient's name in the collection."""
        found = read_table(root / self.table, self.key, self.patient).get(named(names, self.known_by))
        if found is None:
            raise SystemExit(f"{self.table} has no patient for {self.known_by} {names[self.known_by]}: add the line")
        return found


class Neighbours(Strict):
    """Files were numbered patient by patient: near in number and somewhat alike means one patient."""

    pattern: Annotated[str, capturing("number")]
    within: int = Field(ge=1, le=100)
    distance: int = Field(ge=0, le=255)


class PatientUnknown(Strict):
    """Nobody can say whose slices these are; clusters of near-duplicates stand in for patients."""

    by: Literal["nothing"]
    because: Text
    neighbours: Neighbours | None = None
    collection: None = None

    def find(self, root: Path, names: Names) -> str | None:
        """Nobody."""
        return None


Patients = Annotated[PatientInName | PatientInTable | PatientUnknown, Field(discriminator="by")]


def patient_digest(collection: str, patient: str | None) -> str | None:
    """What the cache keeps instead of a patient's name."""
    return patient and hashlib.sha256(f"{collection}\n{patient}".encode()).hexdigest()[:16]


def named(names: Names, known_by: str) -> str:
    """What the unit is called in that respect."""
    if known_by not in names:
        raise SystemExit(f"`known_by: {known_by}` doesn't fit this kind of source; it has {', '.join(sorted(names))}")
    return names[known_by]


def read_table(path: Path, key: str, value: str) -> dict[str, str]:
    """Two columns of a CSV file, one as key of the other; the same key with two values is a mistake."""
    return _read_table(path, path.stat().st_mtime_ns if path.exists() else 0, key, value)


@lru_cache(maxsize=8)
def _read_table(path: Path, _: int, key: str, value: str) -> dict[str, str]:
    if not path.exists():
        raise SystemExit(
            f"{path} isn't there: put the table there, or set CODETECT_DATA to the folder that holds the data"
        )
    found: dict[str, str] = {}
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(lines)
        if missing := {key, value} - set(reader.fieldnames or ()):
            raise SystemExit(
                f"{path} has no column {', '.join(sorted(missing))}; it has {', '.join(reader.fieldnames or ())}"
            )
        for line in reader:
            name, said = (line[key] or "").strip(), (line[value] or "").strip()
            if found.setdefault(name, said) != said:
                raise SystemExit(f"{path} says both {found[name]!r} and {said!r} for {name}: keep one line")
    return found
