"""Notes on a study: sealed, for whom they are, on whichever of its analyses, taken back by whoever wrote them."""

import asyncio
from pathlib import Path

import pytest
from codetect_inference import service
from codetect_inference.models import Analysis
from codetect_inference.notes import keeping
from codetect_shared.db import uuid7
from codetect_shared.events import StudyErased
from codetect_shared.tokens import Role, Scope

from tests.inference.conftest import Facility, House, series
from tests.inference.readers import Reader, read, readers

TEXT = "Compare with the last one.\nGround glass, lower left?"


@pytest.fixture
async def analysis(tiny: str, facility: Facility, tmp_path: Path) -> Analysis:
    return await read(facility, tmp_path)


async def write(reader: Reader, analysis: Analysis, text: str = TEXT) -> dict[str, object]:
    answer = await reader.ask("POST", f"/analyses/{analysis.id}/notes", json={"text": text})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def texts(reader: Reader, analysis: Analysis) -> list[str | None]:
    answer = await reader.ask("GET", f"/analyses/{analysis.id}/notes")
    assert answer.status_code == 200, answer.text
    return [one["text"] for one in answer.json()["items"]]


async def audited(house: House, facility: Facility) -> list[str]:
    rows = await house.sql("SELECT action FROM audit WHERE facility_id = $1 ORDER BY id", facility.id)
    return [row["action"] for row in rows if row["action"].startswith("note.")]


async def test_a_note_is_read_by_its_writer_and_those_with_the_right(
    analysis: Analysis, facility: Facility, house: House
) -> None:
    writer, colleague = readers(facility, 2)
    trusted = Reader(facility, uuid7(), Role.MEMBER, frozenset({Scope.IDENTITY}))
    kept = await write(writer, analysis, f"  {TEXT} ")
    assert (kept["text"], kept["writer"]) == (TEXT, str(writer.id))
    await write(writer, analysis, "second")
    assert await texts(writer, analysis) == [TEXT, "second"]
    assert await texts(colleague, analysis) == [None, None]
    assert await audited(house, facility) == ["note.write", "note.write"]
    assert await texts(trusted, analysis) == [TEXT, "second"]
    assert await audited(house, facility) == ["note.write", "note.write", "note.read"]
    assert TEXT[:12].encode() not in b"".join(row["sealed_text"] for row in await house.sql("SELECT * FROM notes"))


async def test_it_is_taken_back_by_its_writer_or_an_admin(analysis: Analysis, facility: Facility) -> None:
    writer, colleague = readers(facility, 2)
    admin = Reader(facility, uuid7(), Role.ADMIN)
    first, second = [await write(writer, analysis, text) for text in ("first", "second")]
    where = f"/analyses/{analysis.id}/notes"
    refused = await colleague.ask("DELETE", f"{where}/{first['id']}")
    assert (refused.status_code, refused.json()["type"]) == (404, "urn:codetect:problem:note-not-found")
    assert (await writer.ask("DELETE", f"{where}/{first['id']}")).status_code == 204
    assert (await writer.ask("DELETE", f"{where}/{first['id']}")).status_code == 404
    assert await texts(writer, analysis) == ["second"]
    assert (await admin.ask("DELETE", f"{where}/{second['id']}")).status_code == 204
    assert await texts(writer, analysis) == []


async def test_none_is_left_behind_of_a_study_that_is_being_erased(
    analysis: Analysis, facility: Facility, house: House
) -> None:
    (writer,) = readers(facility, 1)
    async with house.db.facility(facility.id) as session:
        await service.erase_study(session, facility.id, StudyErased(study_id=analysis.study_id))
        late = asyncio.create_task(writer.ask("POST", f"/analyses/{analysis.id}/notes", json={"text": TEXT}))
        await asyncio.sleep(0.3)
        assert not late.done()
    assert (await late).status_code == 404
    assert await house.sql("SELECT 1 FROM notes WHERE study_id = $1", analysis.study_id) == []


async def test_viewers_and_programs_write_none(analysis: Analysis, facility: Facility) -> None:
    program = Reader(facility, uuid7(), Role.API_CLIENT, frozenset({Scope.READ, Scope.WRITE}))
    viewer = Reader(facility, uuid7(), Role.VIEWER)
    for who in (program, viewer):
        answer = await who.ask("POST", f"/analyses/{analysis.id}/notes", json={"text": TEXT})
        assert answer.status_code == 403
    assert await texts(viewer, analysis) == []


@pytest.mark.parametrize("text", ["", "  \n ", "x" * 2001, "bell\a"])
async def test_what_is_no_note_is_refused(analysis: Analysis, facility: Facility, text: str) -> None:
    (writer,) = readers(facility, 1)
    assert (await writer.ask("POST", f"/analyses/{analysis.id}/notes", json={"text": text})).status_code == 422
    assert await texts(writer, analysis) == []


async def test_a_note_holds_no_identifier(analysis: Analysis, facility: Facility) -> None:
    (writer,) = readers(facility, 1)
    answer = await writer.ask("POST", f"/analyses/{analysis.id}/notes", json={"text": "born 1970-01-31"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:codetect:problem:holds-identifier")
    assert "1970" not in answer.text
    assert await texts(writer, analysis) == []


async def test_a_study_has_only_so_many(
    analysis: Analysis, facility: Facility, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "MOST", 2)
    (writer,) = readers(facility, 1)
    for text in ("one", "two"):
        await write(writer, analysis, text)
    answer = await writer.ask("POST", f"/analyses/{analysis.id}/notes", json={"text": "three"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:too-many-notes")


async def test_it_belongs_to_the_study_whichever_analysis_it_was_written_on(
    analysis: Analysis, facility: Facility
) -> None:
    (writer,) = readers(facility, 1)
    await write(writer, analysis)
    await facility.receive(series(), study_id=analysis.study_id, version=2)
    (newer,) = [one for one in await facility.analyses(analysis.study_id) if one.id != analysis.id]
    assert await texts(writer, newer) == [TEXT]
