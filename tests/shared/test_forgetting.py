"""An erased study's events still count, and tell nothing that leads to it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from codetect_shared.db import uuid7
from codetect_shared.events import CATALOGUE, AuditRecorded, Event, Finding, ResultDocument, SeriesFacts, UploadImported
from codetect_shared.forgetting import EMPTY, FACTS, IDS, forgotten, forgotten_subject, stranger

STUDY, ANALYSIS, UPLOAD, OTHER = uuid7(), uuid7(), uuid7(), uuid7()
KEY, ANOTHER_KEY = b"k" * 16, b"l" * 16
UID = "2.25.4711"
# What the audit trail says of a study stays (docs/erasure.md).
ABOUT_STUDIES = [
    event for event in CATALOGUE.values() if "study_id" in event.model_fields and event is not AuditRecorded
]
DOCUMENT = ResultDocument(
    kind="sr",
    key=f"{OTHER}/{ANALYSIS}/1/report.dcm",
    sha256="0" * 64,
    bytes=1,
    sop_class_uid=UID,
    sop_instance_uid=UID,
    series_instance_uid=UID,
    series_number=1,
    modality="SR",
)
SERIES = SeriesFacts(
    series_id=uuid7(),
    series_instance_uid=UID,
    modality="CT",
    plane="axial",
    slices=1,
    rows=1,
    columns=1,
    manifest_key=f"{OTHER}/{STUDY}/manifest.json",
    volume_key=f"{OTHER}/{STUDY}/volume",
    volume_sha256="0" * 64,
)
VALUES: dict[str, Any] = {
    "study_id": STUDY,
    "analysis_id": ANALYSIS,
    "upload_id": UPLOAD,
    "study_instance_uid": UID,
    "series": [SERIES],
    "documents": [DOCUMENT],
    "findings": [Finding(label="grey", probability=0.7, threshold=0.5, positive=True)],
    "warnings": ["few_slices"],
    "models": ["tiny"],
    "changed": ["tags"],
    "submitted_at": datetime(2026, 1, 1, tzinfo=UTC),
    "priority": "urgent",
    "submitted_by": OTHER,
    "feedback_id": OTHER,
    "given_by": OTHER,
    "label": "grey",
    "says": "absent",
    "model_says": "present",
    "agrees": False,
    "state": "waiting",
    "cost": {"cpu_ms": 1, "gpu_ms": 2, "bytes_read": 3, "bytes_written": 4},
}


def full(event: type[Event]) -> dict[str, Any]:
    """A payload with every member set."""
    values = {name: VALUES.get(name, 7) for name in event.model_fields}
    for name in ("model", "model_version", "provider", "code"):
        if name in values:
            values[name] = name
    return event(**values).model_dump(mode="json")


@pytest.mark.parametrize("event", ABOUT_STUDIES, ids=lambda event: event.__name__)
def test_every_member_of_an_event_about_a_study_is_decided(event: type[Event]) -> None:
    assert set(event.model_fields) <= FACTS | set(IDS) | set(EMPTY), "a fact, or something that leads back?"


@pytest.mark.parametrize("event", ABOUT_STUDIES, ids=lambda event: event.__name__)
def test_what_is_left_can_be_read_and_leads_nowhere(event: type[Event]) -> None:
    before = full(event)
    after = forgotten(before, STUDY, KEY)
    assert event.model_validate(after)
    text = json.dumps(after)
    assert not [one for one in (str(STUDY), str(ANALYSIS), str(UPLOAD), str(OTHER), UID) if one in text]
    assert {name: after[name] for name in before if name in FACTS} == {n: v for n, v in before.items() if n in FACTS}


def test_what_is_not_known_goes() -> None:
    assert set(forgotten({"study_id": str(STUDY), "nickname": "x", "model": "m"}, STUDY, KEY)) == {"study_id", "model"}


def test_an_upload_loses_the_study_and_keeps_the_others() -> None:
    told = UploadImported(upload_id=UPLOAD, files=3, accepted=3, studies=[OTHER, STUDY], import_ms=1)
    after = UploadImported.model_validate(forgotten(told.model_dump(mode="json"), STUDY, KEY))
    assert after == told.model_copy(update={"studies": [OTHER, stranger(STUDY, KEY)]})
    assert forgotten_subject(UploadImported.type, f"upload/{UPLOAD}", KEY) == f"upload/{UPLOAD}"


def test_events_of_one_analysis_stay_together_under_one_key_alone() -> None:
    subject = forgotten_subject("codetect.analysis.completed.v1", f"analysis/{ANALYSIS}", KEY)
    assert subject == f"analysis/{stranger(ANALYSIS, KEY)}"
    assert UUID(
        forgotten({"study_id": str(STUDY), "analysis_id": str(ANALYSIS)}, STUDY, KEY)["analysis_id"]
    ) == stranger(ANALYSIS, KEY)
    assert len({ANALYSIS, stranger(ANALYSIS, KEY), stranger(ANALYSIS, ANOTHER_KEY), stranger(STUDY, KEY)}) == 4
