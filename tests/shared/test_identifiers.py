"""What is plainly an identifier in free text, and what only looks a little like one."""

import pytest
from codetect_shared.identifiers import identifier_in


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("as in DOE^JANE", "a name as DICOM writes it"),
        ("asked Frau Müller about it", "a person's name"),
        ("MR. SMITH coughs", "a person's name"),
        ("Patientin: Erika", "a person's name"),
        ("born 12.03.1950", "a date"),
        ("born 1950-03-12", "a date"),
        ("seen on 3/12/2024", "a date"),
        ("19500312", "a date"),
        ("born 12 March 1950", "a date"),
        ("geb. 3. Mai 1950", "a date"),
        ("since May 3rd, 1950", "a date"),
        ("write to jane@clinic.example", "an e-mail address"),
        ("same as 1.2.840.113619.2.55", "a DICOM UID"),
        ("call +49 30 1234567", "a telephone number"),
        ("MRN 4711", "a patient's number"),
        ("see 4711081", "a long number"),
    ],
)
def test_what_is_written_from_habit_is_found(text: str, what: str) -> None:
    assert identifier_in(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ground glass, both lower lobes, slices 40-62; 12 mm nodule at 3 o'clock.",
        "-600 HU, window 1500; mean of 12 13 14 15 16 17",
        "Model 2.0.0 said 0.8731, I see nothing.",
        "Verglichen mit der Voraufnahme unverändert (2024).",
        "miss the small one on slice 7",
        "baseline of March 2024, 3 marked nodules",
        "order 01234567-8901-7234-8567-890123456789 of the RIS",
        "Rechter Oberlappen, 5 x 7 mm, eher Artefakt",
    ],
)
def test_findings_are_let_through(text: str) -> None:
    assert identifier_in(text) is None
