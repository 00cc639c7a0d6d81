"""Text that plainly holds an identifier of a patient, and so isn't taken where people write freely.

A net with wide meshes: it catches what is written down from habit, not what somebody means to hide.
"""

import re

from codetect_shared.problems import BadInput

UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
YEAR = r"(?:19|20)\d\d"
MONTH = r"(?i:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)\w*\.?"
LOOKS_LIKE = {
    "a name as DICOM writes it": re.compile(r"\w\^+\w"),
    "a person's name": re.compile(
        r"(?i:\b(?:mr|mrs|ms|miss|herr|herrn|frau|monsieur|madame)\b\.?)\s+[^\W\d_a-z]\w+|\b(?i:(?:patient(?:in)?|name))\s*:\s*\w"
    ),
    "a date": re.compile(
        rf"(?<!\d)(?:{YEAR}([-./])\d{{1,2}}\1\d{{1,2}}|\d{{1,2}}([-./])\s?\d{{1,2}}\2\s?{YEAR}|{YEAR}[01]\d[0-3]\d)(?!\d)"
        rf"|\b(?:\d{{1,2}}(?:st|nd|rd|th|\.)?\s?{MONTH}|{MONTH}\s?\d{{1,2}}(?:st|nd|rd|th)?,?)\s?{YEAR}\b"
    ),
    "an e-mail address": re.compile(r"[^\s@]+@[^\s@]+\.\w"),
    "a DICOM UID": re.compile(r"(?<![\d.])\d+(?:\.\d+){4,}"),
    "a telephone number": re.compile(r"\+\d[\d ()/-]{6,}\d"),
    "a patient's number": re.compile(r"(?i:\b(?:mrn|pid|dob|ssn|patient\s?id|accession|geb)\b)\.?\s*[:#=]?\s*\w*\d"),
    "a long number": re.compile(r"(?<!\d)\d{6,}(?!\d)"),
}


class HoldsIdentifier(BadInput):
    """The text plainly holds an identifier; leave it out."""


def identifier_in(text: str) -> str | None:
    """What in a text looks like an identifier, in words; None: nothing does. Numbers that programs draw are none."""
    text = UUID.sub("", text)
    return next((what for what, pattern in LOOKS_LIKE.items() if pattern.search(text)), None)


def refuse_identifiers(called: str, text: str) -> None:
    """For text that is about to be kept. Raises HoldsIdentifier, which doesn't repeat it."""
    if what := identifier_in(text):
        raise HoldsIdentifier(f"The {called} holds what looks like {what}; say it without, nothing was kept.")
