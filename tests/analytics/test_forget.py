"""An erased study counts on in figures, and nothing that is kept leads to it."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from codetect_analytics import app, forget, rebuild
from codetect_analytics.settings import ProjectorSettings
from codetect_shared import outbox
from codetect_shared.bus import Envelope
from codetect_shared.db import Database, uuid7
from codetect_shared.testing import Tokens, running

from tests.analytics.conftest import House
from tests.analytics.stories import Story
from tests.analytics.test_projector import kept
from tests.analytics.test_rebuild import rebuilt


@pytest.fixture
async def db(house: House) -> AsyncIterator[Database]:
    found = Database(house.settings.database_url, house.settings.database_system_url)
    yield found
    await found.close()


def life(story: Story, study: UUID, upload: UUID, other: UUID, **analysis: object) -> list[Envelope]:
    """A study as events tell it, with another of the same upload."""
    return [
        *story.upload(upload=upload, studies=(other, study)),
        story.study(1, study, upload),
        story.study(1, other, upload),
        *story.analysis(study=study, upload=upload, **analysis),  # type: ignore[arg-type]
        *story.analysis(study=other, upload=upload),
        story.study(2, study, upload),
    ]


def counted(figures: dict[str, list[tuple]]) -> dict[str, list[tuple]]:
    """Figures without the states that nothing is in: those an analysis passed through leave a zero."""
    return figures | {"states": [row for row in figures["states"] if row[-1]]}


async def rows_with(house: House, *ids: UUID) -> list[str]:
    found = [str(dict(row)) for row in await house.sql("SELECT * FROM events")]
    found += [str(row) for rows in (await house.figures()).values() for row in rows]
    return [row for row in found if any(str(one) in row for one in ids)]


async def test_figures_stay_and_nothing_leads_back(house: House, db: Database) -> None:
    story, study, upload, other = Story(), uuid7(), uuid7(), uuid7()
    told = [*story.busy(20), *life(story, study, upload, other), story.erased(study), *story.busy(5)]
    analysis = next(
        UUID(e.data["analysis_id"]) for e in told if e.data.get("study_id") == str(study) and "analysis_id" in e.data
    )
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
        before = await house.figures()
        assert await rows_with(house, study, analysis)
        await forget.forget_erased(db)
        assert await rows_with(house, study, analysis) == []
        uploads = [row for row in await rows_with(house, upload) if "upload." not in row]
        assert {str(other) in row for row in uploads} == {True}, "only what is about the other still names the upload"
        assert len(await rows_with(house, other)) >= 3
        after = await house.figures()
        assert {name: rows for name, rows in after.items() if name != "latest"} == {
            name: rows for name, rows in before.items() if name != "latest"
        }
        assert sorted(row[1:] for row in after["latest"]) == sorted(row[1:] for row in before["latest"])
        await house.check(told)
        assert await rebuilt(house) == kept(told)
        assert await house.figures() == after
        await house.check(told)


async def test_what_comes_late_is_counted_and_forgotten_too(house: House, db: Database) -> None:
    story, study, upload, other = Story(), uuid7(), uuid7(), uuid7()
    *early, started, completed = [e for e in story.analysis(study=study, upload=upload) if "progressed" not in e.type]
    first = [*story.upload(upload=upload, studies=(study, other)), *early, started, story.erased(study)]
    late = [completed, story.study(1, study, upload), *story.upload(studies=(study,))]
    with house.projecting():
        await house.publish(first)
        await house.applied(kept(first))
        await forget.forget_erased(db)
        await house.publish(late)
        await house.applied(kept(first + late))
        await forget.forget_erased(db)
        assert await rows_with(house, study) == []
        await house.check(first + late)
        figures = await house.figures()
        assert len(figures["latest"]) == 1, "it is one analysis still"
        await rebuilt(house)
        assert await house.figures() == figures
        # An older event can't turn the newer state back, whichever id it has by now.
        await house.publish([*first, *late])
        await asyncio.sleep(1)
        assert await house.figures() == figures


async def test_an_older_event_that_comes_late_does_not_turn_the_state_back(house: House, db: Database) -> None:
    story, study = Story(), uuid7()
    queued, started, completed = [e for e in story.analysis(study=study) if "progressed" not in e.type]
    first = [queued, completed, story.erased(study)]
    with house.projecting():
        await house.publish(first)
        await house.applied(3)
        await forget.forget_erased(db)
        await house.publish([started])
        await house.applied(4)
        await forget.forget_erased(db)
        await house.check([*first, started])
        figures = counted(await house.figures())
        await rebuilt(house)
        assert counted(await house.figures()) == figures


async def test_two_studies_of_one_upload_erased_together(
    house: House, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "BATCH", 2)
    story, study, upload, other = Story(), uuid7(), uuid7(), uuid7()
    told = [*life(story, study, upload, other), story.erased(study), story.erased(other)]
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
        await forget.forget_erased(db)
        assert await rows_with(house, study, other) == []
        await house.check(told)


async def test_while_figures_are_rebuilt_it_waits(house: House, db: Database) -> None:
    story, study = Story(), uuid7()
    told = [*story.analysis(study=study), story.erased(study)]
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))
        other = await outbox.connect_directly(house.settings.database_system_url)
        await other.execute("SELECT pg_advisory_lock($1)", rebuild.LOCK)
        await forget.forget_erased(db)
        assert await rows_with(house, study)
        await other.close()
        await forget.forget_erased(db)
        assert await rows_with(house, study) == []


async def test_an_event_that_makes_no_sense_is_no_hindrance(house: House, db: Database) -> None:
    story, study = Story(), uuid7()
    odd = [story.erased(uuid7()), story.study(1, study)]
    odd[0].data["study_id"] = "no id"
    broken = story.analysis("queued", study=study)
    broken[0].data["analysis_id"] = 7
    told = [*odd, *broken, story.erased(study)]
    with house.projecting():
        await house.publish(told)
        await house.applied(4)
        await forget.forget_erased(db)
        assert await rows_with(house, study) == []


async def test_the_key_goes_when_nothing_can_come_any_more(house: House, db: Database) -> None:
    story, study = Story(), uuid7()
    with house.projecting():
        await house.publish([story.erased(study)])
        await house.applied(1)
        await forget.forget_erased(db)
        assert len(await house.sql("SELECT * FROM erasures WHERE study_id = $1", study)) == 1
        await house.sql("UPDATE erasures SET at = at - $1::interval", forget.KEY_KEPT)
        await forget.forget_erased(db)
        assert await house.sql("SELECT * FROM erasures") == []


async def test_the_projector_process_does_it_by_itself(house: House) -> None:
    story, study = Story(), uuid7()
    told = [*story.analysis(study=study), story.erased(study)]
    await house.publish(told)
    with house.projecting():
        await house.applied(kept(told))
    async with running(app.projector(ProjectorSettings()), Tokens()):
        async with asyncio.timeout(20):
            while await rows_with(house, study):
                await asyncio.sleep(0.1)
