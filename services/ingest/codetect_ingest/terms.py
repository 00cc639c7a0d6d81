"""Search terms of original values: hashed with the facility's key when a study comes, and when one is sought."""

import re
import unicodedata
from collections.abc import Iterator

from pydicom.datadict import tag_for_keyword

from codetect_ingest.dicom.identity import Attributes

EXACT = ("PatientID", "AccessionNumber", "StudyID", "PatientBirthDate")
NAMES = ("PatientName", "ReferringPhysicianName")
LONGEST_PREFIX = 12
GAPS = re.compile(r"[\s^=,.\-]+")


def terms_of(study: Attributes) -> set[str]:
    """Return every term that a study with this original identity can be found by."""
    found = {f"{keyword}={plain(text)}" for keyword in EXACT for text in texts(study, keyword)}
    for keyword in NAMES:
        for text in texts(study, keyword):
            for word in words(text):
                found |= {f"{keyword}~{word[:length]}" for length in range(1, min(len(word), LONGEST_PREFIX) + 1)}
                found.add(f"{keyword}={word}")
    for date in texts(study, "StudyDate"):
        found |= {f"StudyDate={date[:digits]}" for digits in (4, 6, 8)}
    return found


def texts(attributes: Attributes, keyword: str) -> Iterator[str]:
    """Return the values of an attribute in DICOM JSON; of a name, each of its writings."""
    for value in attributes.get(f"{tag_for_keyword(keyword):08X}", {}).get("Value", []):
        yield from (str(v) for v in value.values()) if isinstance(value, dict) else (str(value),)


def plain(text: str) -> str:
    """Return a text as it is compared: without accents, case or blanks around it."""
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words(name: str) -> set[str]:
    """Return the words of a name, as they are compared."""
    return {word for word in GAPS.split(plain(name)) if word}
