"""Generated documents are up to date, and true: what is sent fits what they say."""

import ast
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from codetect_shared import bus
from codetect_shared.db import uuid7

from tests.analytics.stories import Story

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script", ["asyncapi", "deidentification-doc", "openapi", "roles-doc", "settings-doc"])
def test_generated_documents_are_up_to_date(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / script, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


RECORDS = {"record", "record_once", "record_each", "record_for_platform", "note"}
ACTION = re.compile(r"[a-z-]+\.[a-z-]+")


def recorded() -> set[str]:
    """Every action that some call writes into the audit trail."""
    found: set[str] = set()
    for path in ROOT.glob("services/*/codetect_*/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in RECORDS:
                texts = [
                    each.value for arg in node.args[2:3] for each in ast.walk(arg) if isinstance(each, ast.Constant)
                ]
                found |= {text for text in texts if isinstance(text, str) and ACTION.fullmatch(text)}
    return found


def test_every_action_of_the_audit_trail_is_told() -> None:
    said, last = set(), ""
    for name in re.findall(r"`([a-z-]*\.?[a-z-]+)`", (ROOT / "docs/audit.md").read_text()):
        last = name.partition(".")[0] or last
        said.add(f"{last}{name}" if name.startswith(".") else name)
    assert len(recorded()) > 40
    assert recorded() - said == set()


def document() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docs/asyncapi.yaml").read_text())


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return own + [found for value in part.values() for found in references(value)]
    return [found for value in part for found in references(value)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere() -> None:
    asyncapi = document()
    found = references(asyncapi)
    assert len(found) > 50
    for reference in found:
        place: Any = asyncapi
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_messages_fit_the_document() -> None:
    """Each message of a busy house, as it goes over the wire."""
    asyncapi = document()
    messages = {message["name"]: message for message in asyncapi["components"]["messages"].values()}
    told = Story().busy(20)
    for envelope in told:
        message = messages[envelope.type]
        sent = bus.encode(envelope, "test")
        jsonschema.validate(sent.headers, message["headers"], format_checker=jsonschema.FormatChecker())
        jsonschema.validate(envelope.data, {**message["payload"], "components": asyncapi["components"]})
    assert len({envelope.type for envelope in told}) > 8


def test_a_message_that_lacks_something_does_not_fit() -> None:
    asyncapi = document()
    opened = asyncapi["components"]["messages"]["FacilityOpened"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"slug": "demo"}, {**opened["payload"], "components": asyncapi["components"]})
    envelope = bus.Envelope(uuid7(), "codetect.study.received.v1", datetime.now(UTC), uuid7(), "facility/1", 1, {})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bus.encode(envelope, "test").headers, opened["headers"])
