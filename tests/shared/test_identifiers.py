"""What is plainly an identifier in free text, and what only looks a little like one; the web app reads the same."""

import json
from pathlib import Path

import pytest
from codetect_shared.identifiers import identifier_in

EXAMPLES = json.loads(Path(__file__).with_name("identifiers.json").read_text())


@pytest.mark.parametrize(("text", "what"), EXAMPLES["found"].items())
def test_what_is_written_from_habit_is_found(text: str, what: str) -> None:
    assert identifier_in(text) == what


@pytest.mark.parametrize("text", EXAMPLES["let_through"])
def test_findings_are_let_through(text: str) -> None:
    assert identifier_in(text) is None
