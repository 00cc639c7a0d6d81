"""A filled database of revision 0004, as its own code left it, comes to the newest revision and loses nothing.

What was recorded: `tests/data/recordings.md`.
"""

import asyncio
import csv
import hashlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from codetect_inference import worker
from codetect_inference.app import api
from codetect_inference.settings import Settings, WorkerSettings
from codetect_shared.testing import Tokens, running
from codetect_shared.tokens import Role
from PIL import Image

from tests.histories import History, Recorded, differences, history, recorded
from tests.inference.conftest import Facility, House, series
from tests.infrastructure import Infrastructure, empty_broker
from tests.signing import signed

MINE, OTHER = "mine", "other"
EVERYONES = {"models", "rollouts"}  # read by all, and tested by name
SHOWN_AGAIN = {MINE: {"superseded": (True, False)}, OTHER: {}}  # revision 0012, by the field that is said anew


@dataclass
class Upgraded:
    """The house after the upgrade, and what it said before."""

    house: House
    history: History
    then: Recorded
    kept: dict[str, int]  # rows, before anything ran on them

    def facility(self, name: str) -> Facility:
        return Facility(self.house, UUID(self.then.said[name]["facility_id"]))

    def answers(self, name: str) -> dict[str, Any]:
        return dict(self.then.said[name]["answers"])

    def analyses(self, name: str, **facts: Any) -> list[dict[str, Any]]:
        items = self.answers(name)["/analyses?limit=100"]["items"]
        return [one for one in items if facts.items() <= one.items()]


@pytest.fixture(scope="module")
async def upgraded(infra: Infrastructure, environment: dict[str, str]) -> AsyncIterator[Upgraded]:
    then = recorded("inference-0004")
    async with history(infra, "inference", "0004") as database:
        await database.fill(then.rows)
        await database.upgrade()
        kept = await database.counted(then.rows)
        await empty_broker(environment["CODETECT_RABBITMQ_URL"])
        settings, tokens = Settings(**database.settings, second_reads=0), Tokens()
        app = api(settings)
        async with running(app, tokens) as client:
            for (bucket, key), content in then.objects.items():
                await app.state.storage.put(bucket, key, content)
            yield Upgraded(House(settings, client, tokens, app.state.db, app.state.storage), database, then, kept)
        await empty_broker(environment["CODETECT_RABBITMQ_URL"])


@pytest.mark.parametrize("name", [MINE, OTHER])
async def test_what_people_could_read_they_can_read(upgraded: Upgraded, name: str) -> None:
    facility, changed = upgraded.facility(name), {}
    for path, before in upgraded.answers(name).items():
        answer = await facility.ask("GET", path)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        if "json" in answer.headers["content-type"]:
            changed |= differences(before, answer.json(), path)
        elif path.endswith(".png"):
            assert Image.open(io.BytesIO(answer.content)).size == (128, 128)
        else:
            assert hashlib.sha256(answer.content).hexdigest() == before["sha256"]
    assert {place.rpartition(".")[2]: pair for place, pair in changed.items()} == SHOWN_AGAIN[name]


async def test_no_row_is_lost(upgraded: Upgraded) -> None:
    assert upgraded.kept == {table: len(rows) for table, rows in upgraded.then.rows.items()}


async def test_a_result_that_a_failure_had_hidden_shows_again(upgraded: Upgraded) -> None:
    (failed,) = (one for one in upgraded.analyses(MINE, status="failed") if one["error"]["code"] == "model_unusable")
    (hidden,) = upgraded.analyses(MINE, study_id=failed["study_id"], status="completed")
    assert hidden["superseded"]
    for analysis in (failed, hidden):
        answer = await upgraded.facility(MINE).ask("GET", f"/analyses/{analysis['id']}")
        assert answer.json()["superseded"] is False


async def test_what_older_analyses_can_be_found_by_is_kept(upgraded: Upgraded) -> None:
    mine = upgraded.facility(MINE)
    found = upgraded.analyses(MINE)
    for one in found:
        positive = [finding["label"] for finding in one["findings"] if finding["positive"]]
        marks = await upgraded.history.sql(
            "SELECT kind, value FROM analysis_marks WHERE analysis_id = $1", UUID(one["id"])
        )
        any_finding = [("any_finding", "")] if positive else []
        assert sorted(map(tuple, marks)) == sorted(
            [*(("tag", tag) for tag in one["tags"]), *(("finding", label) for label in positive), *any_finding]
        )
    assert {tag for one in found for tag in one["tags"]}
    for tag in {tag for one in found for tag in one["tags"]}:
        tagged = (await mine.ask("GET", "/analyses", params={"tag": tag, "limit": 200})).json()["items"]
        assert {one["id"] for one in tagged} == {one["id"] for one in found if tag in one["tags"]}


async def test_each_facility_sees_its_own_rows_of_every_table_and_nobody_without_one_any(upgraded: Upgraded) -> None:
    tables = [name for name in await upgraded.history.of_facilities() if name not in EVERYONES]
    assert {
        "analyses",
        "analysis_marks",
        "audit",
        "erasures",
        "feedback",
        "outbox",
        "removals",
        "studies",
        "views",
        "watched",
    } <= set(tables)
    for table in tables:
        assert await upgraded.history.seen(table, "") == 0, table
        for name in (MINE, OTHER):
            mine = str(upgraded.facility(name).id)
            (row,) = await upgraded.history.sql(f"SELECT count(*) FROM {table} WHERE facility_id = $1", mine)
            assert await upgraded.history.seen(table, mine) == row["count"], table


async def test_nothing_of_one_facility_is_there_for_another(upgraded: Upgraded) -> None:
    for name, stranger in ((MINE, OTHER), (OTHER, MINE)):
        for path in upgraded.answers(name):
            if path.startswith("/analyses/"):
                assert (await upgraded.facility(stranger).ask("GET", path)).status_code == 404, path


async def test_the_version_that_read_goes_on_and_one_out_of_service_does_not(upgraded: Upgraded) -> None:
    listed = await upgraded.facility(MINE).ask("GET", "/models/rollouts", Role.OPERATOR)
    assert [(one["version"], one["kind"], one["facility_id"]) for one in listed.json()["items"]] == [
        ("0.1.0", "active", None)
    ]


async def test_the_audit_log_goes_on_where_it_was(upgraded: Upgraded) -> None:
    mine = upgraded.facility(MINE)
    await mine.ask("GET", "/analyses")
    numbers = [row[0] for row in await mine.house.sql("SELECT sequence FROM audit WHERE facility_id = $1", mine.id)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    then = [one for one in upgraded.then.rows["audit"] if one["facility_id"] == str(mine.id)]
    assert len(numbers) > len(then) > 0


async def test_an_old_result_is_agreed_with_and_makes_a_label(upgraded: Upgraded) -> None:
    mine = upgraded.facility(MINE)
    (old,) = upgraded.analyses(MINE, folder="Trial 12")
    assert old["findings"][0]["positive"]
    body = {"findings": [{"label": "grey", "says": "present"}]}
    said = await mine.ask("POST", f"/analyses/{old['id']}/feedback", Role.ADMIN, json=body)
    assert (said.status_code, said.json()["items"][0]["state"]) == (201, "agreed"), said.text
    (label,) = csv.DictReader(io.StringIO((await mine.ask("GET", "/feedback/labels.csv", Role.ADMIN)).text))
    assert (label["SeriesInstanceUID"], label["label"], label["value"]) == ("2.25.1", "grey", "present")


async def test_what_waited_is_read_once_the_model_is_signed(upgraded: Upgraded, tmp_path: Path) -> None:
    waiting = {
        name: [one["id"] for status in ("queued", "running") for one in upgraded.analyses(name, status=status)]
        for name in (MINE, OTHER)
    }
    assert [len(ids) for ids in waiting.values()] == [2, 1]
    sha256 = upgraded.answers(MINE)["/models/tiny/0.1.0"]["sha256"]
    kept = {
        name: upgraded.then.objects["models", f"tiny/0.1.0/{sha256}/{name}"] for name in ("bundle.json", "model.onnx")
    }
    again = await upgraded.facility(MINE).register(signed(kept))
    assert (again.status_code, bool(again.json()["signed_by"])) == (200, True), again.text
    settings = WorkerSettings(**upgraded.history.settings, model_cache=tmp_path, provider="cpu")
    async with running(worker.app(settings), upgraded.house.tokens), asyncio.timeout(60):
        for name, ids in waiting.items():
            for each in ids:
                path = f"/analyses/{each}"
                while (found := (await upgraded.facility(name).ask("GET", path)).json())["status"] != "completed":
                    assert found["status"] in ("queued", "running"), found
                    await asyncio.sleep(0.1)
                assert found["model"]["version"] == "0.1.0"


async def test_what_was_erased_stays_erased_and_what_is_erased_now_goes(upgraded: Upgraded) -> None:
    mine = upgraded.facility(MINE)
    (gone,) = (UUID(one["id"]) for one in upgraded.then.rows["studies"] if one["erased"])
    await mine.receive(series(), study_id=gone, version=2)
    assert await mine.analyses(gone) == []
    (old,) = upgraded.analyses(MINE, folder="Trial 12")
    await mine.erase(UUID(old["study_id"]))
    assert await mine.analyses(UUID(old["study_id"])) == []
    assert await upgraded.history.sql("SELECT FROM feedback WHERE analysis_id = $1", UUID(old["id"])) == []
