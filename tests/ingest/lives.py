"""Studies with names in them, and people with rights, for the tests of what becomes of both."""

from pathlib import Path
from typing import Any

import httpx
from codetect_shared.tokens import Role

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.test_importer import bodies, slices

NAMED = {
    "PatientName": "CANARY^Name",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "AccessionNumber": "CANARYACC",
    "StudyDescription": "CANARY chest",
    "StudyDate": "20200301",
}


EVERY_DAY = {
    *("upload.open", "upload.complete", "study.read", "study.search", "study.store", "image.read", "access.refused"),
    *("studies.export", "result.deliver"),
}


def problem(answer: httpx.Response) -> tuple[int, str]:
    """The status and the kind of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, str(answer.json()["type"]).removeprefix("urn:codetect:problem:")


def asking(clinic: Clinic, role: Role = Role.ADMIN, *scopes: str) -> dict[str, str]:
    """The header of somebody of the clinic with this role and these rights."""
    return clinic.tokens.headers(clinic.facility_id, role, scopes=frozenset(scopes))


async def keep_study(clinic: Clinic, hands: Hands, count: int = 2, **changes: Any) -> tuple[str, dict[str, Any]]:
    """A study that was sent and imported: its id, and its upload."""
    upload = await clinic.submit(bodies(slices(count, **NAMED | changes)), reference="CANARY reference")
    await hands.run()
    shown = await clinic.show(upload)
    return shown["studies"][0]["study_id"], shown


async def change_settings(clinic: Clinic, **changes: Any) -> httpx.Response:
    """An admin changes the clinic's settings."""
    return await clinic.ask("PATCH", "/ingest/settings", json=changes, headers=asking(clinic))


async def actions(clinic: Clinic) -> list[tuple[str, str | None]]:
    """What the audit trail holds of the clinic beside the ways of every day: action and study, in order, no gaps."""
    rows = await clinic.sql(
        "SELECT sequence, action, study_id::text, detail::text FROM audit WHERE facility_id = :f ORDER BY sequence",
        f=clinic.facility_id,
    )
    assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
    assert "CANARY" not in str(rows)
    return [(row.action, row.study_id) for row in rows if row.action not in EVERY_DAY]


def holding(folder: Path, needle: bytes) -> list[str]:
    """The files below a folder that hold these bytes."""
    return [
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()
    ]
