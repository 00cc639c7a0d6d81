"""Charts over HTTP: their facility's only, in any time zone, with clear problems."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from codetect_shared.bus import Envelope
from codetect_shared.db import uuid7

from tests.analytics.conftest import ALL_TIME, SUMMARY, House
from tests.analytics.stories import LABELS, MODELS, Story
from tests.analytics.test_projector import kept

SERIES = "/api/v1/analytics/timeseries"


async def applied(house: House, told: list[Envelope]) -> None:
    with house.projecting():
        await house.publish(told)
        await house.applied(kept(told))


@pytest.fixture
async def story(house: House) -> Story:
    """Three analyses on 1 March, one late on the 2nd, UTC; another facility's beside them."""
    story, told = Story(), []
    told += story.upload(3, {"not-ct": 2}, size=700)
    told += story.upload(0, {"not-dicom": 1}, size=50)
    told += [story.study(), story.study(2)]
    told += story.analysis("completed", MODELS[0], 0.75, (10, 100, 1000))
    told += story.analysis("completed", MODELS[0], 0.25, (20, 300, 3000), attempts=2)
    told += story.analysis("failed", MODELS[1])
    told += story.analysis("running", MODELS[1])
    story.now = datetime(2026, 3, 2, 23, 40, tzinfo=UTC)
    told += story.analysis("completed", MODELS[2], 1.0, (0, 200, 2000))
    await applied(house, [*told, *Story(seed=9).busy(10)])
    return story


@pytest.fixture
async def client(house: House, story: Story) -> AsyncIterator[httpx.AsyncClient]:
    async with house.asking(story.facility) as client:
        yield client


async def test_summary(client: httpx.AsyncClient) -> None:
    answer = (await client.get(SUMMARY, params=ALL_TIME)).json()
    assert answer["now"] == {"queued": 0, "running": 1, "completed": 3, "failed": 1, "cancelled": 0}
    assert answer["analyses"] == {"queued": 5, "running": 6, "completed": 3, "failed": 1, "cancelled": 0}
    assert {m["model"]: (m["completed"], m["failed"]) for m in answer["models"] if m["model_version"] != "1.1.0"} == {
        "covid-ct": (2, 0),
        "nodules": (1, 0),
    }
    covid = next(f for f in answer["findings"] if (f["finding"], f["model"]) == (LABELS[0], "covid-ct"))
    assert (covid["positive"], covid["negative"], covid["mean_probability"]) == (1, 1, 0.5)
    assert answer["uploads"] == {
        "open": 2, "importing": 2, "done": 1, "refused": 1, "expired": 0,
        "refused_by_code": {"nothing-usable": 1}, "bytes": 750,
    }  # fmt: skip
    assert answer["files"] == {"accepted": 3, "refused": 3, "refused_by_code": {"not-ct": 2, "not-dicom": 1}}
    assert answer["studies"] == {"new": 1, "updated": 1, "erased": 0}
    assert answer["turnaround_ms"]["total"]["n"] == 3
    assert answer["turnaround_ms"]["total"]["p50"] == pytest.approx(2000, rel=0.011)
    assert answer["turnaround_ms"]["queued"]["p50"] == pytest.approx(10, rel=0.011)
    assert (answer["from"], answer["to"]) == ("2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z")


async def test_a_range_counts_what_lies_in_it(client: httpx.AsyncClient) -> None:
    answer = (await client.get(SUMMARY, params={"from": "2026-03-02T23:31:00Z", "to": "2026-03-02T23:40:01Z"})).json()
    assert (answer["from"], answer["to"]) == ("2026-03-02T23:30:00Z", "2026-03-02T23:45:00Z")
    assert answer["analyses"]["queued"] == 1
    assert answer["now"]["completed"] == 3


async def test_a_facility_sees_nothing_of_another(house: House, story: Story) -> None:
    async with house.asking(uuid7()) as client:
        answer = (await client.get(SUMMARY, params=ALL_TIME)).json()
        assert (answer["models"], answer["findings"], answer["turnaround_ms"]) == ([], [], {})
        assert not any(n for part in ("now", "analyses", "studies") for n in answer[part].values())
        assert (await client.get(SERIES, params={"metric": "analyses", **DAYS})).json()["series"] == []


async def test_row_level_security_fences_every_figure(house: House, story: Story) -> None:
    rows = await house.sql(
        "SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class"
        " WHERE relnamespace = 'figures'::regnamespace AND relkind = 'r'"
    )
    assert len(rows) == 11
    assert all(fenced for _, fenced in rows)


DAYS = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-04T00:00:00Z"}


async def lines(client: httpx.AsyncClient, **params: object) -> dict[tuple, list]:
    answer = await client.get(SERIES, params={**DAYS, **params})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert all(len(s["values"]) == len(body["times"]) for s in body["series"])
    return {tuple(s["key"].values()): s["values"] for s in body["series"]}


async def test_what_a_facility_costs_by_month(client: httpx.AsyncClient) -> None:
    year = {"from": "2026-02-01T00:00:00Z", "to": "2026-05-01T00:00:00Z", "interval": "month"}
    costs = {"slices": 90, "cpu_ms": 4200, "gpu_ms": 600, "bytes_read": 3600, "bytes_written": 30}
    for metric, total in costs.items():
        assert await lines(client, metric=metric, **year) == {(): [0, total, 0]}
    assert await lines(client, metric="cpu_ms", by="model", **year) == {
        ("covid-ct",): [0, 2800, 0],
        ("nodules",): [0, 1400, 0],
    }


async def test_days(client: httpx.AsyncClient) -> None:
    assert await lines(client, metric="analyses") == {(): [2, 1, 0]}
    assert await lines(client, metric="analyses", by="state") == {
        ("queued",): [4, 1, 0], ("running",): [5, 1, 0], ("completed",): [2, 1, 0], ("failed",): [1, 0, 0],
    }  # fmt: skip
    assert await lines(client, metric="analyses", by=["model", "model_version"]) == {
        ("covid-ct", "1.0.0"): [2, 0, 0],
        ("nodules", "0.3.0"): [0, 1, 0],
    }
    assert await lines(client, metric="findings", by="finding") == {
        (LABELS[0],): [1, 1, 0],
        (LABELS[1],): [1, 0, 0],
    }
    assert await lines(client, metric="findings", by=["finding", "outcome"]) == {
        (LABELS[0], "negative"): [1, 0, 0],
        (LABELS[0], "positive"): [1, 1, 0],
        (LABELS[1], "negative"): [1, 1, 0],
        (LABELS[1], "positive"): [1, 0, 0],
    }
    assert await lines(client, metric="probability", by="finding") == {
        (LABELS[0],): [0.5, 1.0, None],
        (LABELS[1],): [0.5, 0.0, None],
    }
    assert await lines(client, metric="findings", by=["finding", "bin"]) == {
        (LABELS[0], 15): [1, 0, 0],
        (LABELS[0], 19): [0, 1, 0],
        (LABELS[1], 15): [1, 0, 0],
    }
    assert await lines(client, metric="uploads", by=["state", "code"]) == {
        ("done", ""): [1, 0, 0],
        ("importing", ""): [2, 0, 0],
        ("open", ""): [2, 0, 0],
        ("refused", "nothing-usable"): [1, 0, 0],
    }
    assert await lines(client, metric="files", by="outcome") == {
        ("accepted",): [3, 0, 0],
        ("not-ct",): [2, 0, 0],
        ("not-dicom",): [1, 0, 0],
    }
    assert await lines(client, metric="files") == {(): [6, 0, 0]}
    assert await lines(client, metric="uploaded_bytes") == {(): [750, 0, 0]}
    assert await lines(client, metric="studies") == {(): [1, 0, 0]}


async def test_turnaround(client: httpx.AsyncClient) -> None:
    found = await lines(client, metric="turnaround_ms", by="stage")
    assert found["total", "p50"] == [pytest.approx(1000, rel=0.011), pytest.approx(2000, rel=0.011), None]
    assert found["inference", "p99"][0] == pytest.approx(100, rel=0.011)
    assert found["queued", "p50"][1] == 0
    total = await lines(client, metric="turnaround_ms")
    assert total == {(name,): found["total", name] for name in ("p50", "p90", "p99")}


async def test_hours(client: httpx.AsyncClient) -> None:
    day = {"from": "2026-03-02T22:00:00Z", "to": "2026-03-03T00:00:00Z", "interval": "hour"}
    answer = (await client.get(SERIES, params={"metric": "analyses", **day})).json()
    assert answer["times"] == ["2026-03-02T22:00:00Z", "2026-03-02T23:00:00Z"]
    assert answer["series"] == [{"key": {}, "values": [0, 1]}]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Pacific/Auckland", "UTC"]
)
@pytest.mark.parametrize("interval", ["hour", "day"])
async def test_hours_and_days_of_any_time_zone(house: House, zone: str, interval: str) -> None:
    """Over the days at which clocks change; a moment counts in the day that a clock on its wall shows."""
    story, told, tz = Story(), [], ZoneInfo(zone)
    for start in (datetime(2026, 3, 6, tzinfo=UTC), datetime(2026, 3, 27, tzinfo=UTC)):
        for quarter in range(0, 4 * 24 * 5, 3):
            story.now = start + timedelta(minutes=15 * quarter)
            told.append(story.study())
    await applied(house, told)
    expected: dict[datetime, int] = {}
    for envelope in told:
        wall = envelope.time.astimezone(tz)
        cut = wall.replace(minute=0) if interval == "hour" else wall.replace(hour=0, minute=0)
        expected[cut.astimezone(UTC)] = expected.get(cut.astimezone(UTC), 0) + 1
    params = {"metric": "studies", "interval": interval, "tz": zone, "from": "2026-03-05T00:00:00Z"}
    async with house.asking(story.facility) as client:
        answer = (await client.get(SERIES, params={**params, "to": "2026-04-02T00:00:00Z"})).json()
    values = dict(zip(map(datetime.fromisoformat, answer["times"]), answer["series"][0]["values"], strict=True))
    assert {time: n for time, n in values.items() if n} == expected
    walls = [time.astimezone(tz) for time in values]
    assert all(wall.minute == 0 and (interval == "hour" or wall.hour == 0) for wall in walls)
    assert len(values) in ((28, 29) if interval == "day" else (28 * 24, 28 * 24 + 1))


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        ("Asia/Beirut", "2026-03-29"),
        ("Asia/Beirut", "2026-10-25"),
        ("Africa/Cairo", "2026-04-24"),
        ("Africa/Cairo", "2026-10-30"),
        ("America/Havana", "2026-03-08"),
        ("America/Havana", "2026-11-01"),
    ],
)
async def test_days_weeks_and_months_where_clocks_change_at_midnight(house: House, zone: str, change: str) -> None:
    """Each stands once, with what was counted in it, also where one begins at one o'clock: none follows as 0."""
    tz, story, told = ZoneInfo(zone), Story(), []
    noon = datetime.fromisoformat(f"{change}T12:00")
    for day in range(-40, 10):
        story.now = (noon + timedelta(days=day)).replace(tzinfo=tz).astimezone(UTC)
        told.append(story.study())
    await applied(house, told)
    first = {
        "day": lambda date: date,
        "week": lambda date: date - timedelta(days=date.weekday()),
        "month": lambda date: date.replace(day=1),
    }
    end = (told[-1].time + timedelta(minutes=1)).isoformat()
    async with house.asking(story.facility) as client:
        for interval, start in [("day", 0), ("day", 40), ("week", 0), ("month", 0)]:
            params = {"interval": interval, "tz": zone, "from": told[start].time.isoformat(), "to": end}
            answer = (await client.get(SERIES, params={"metric": "studies", **params})).json()
            begins = [datetime.fromisoformat(time).astimezone(tz).date() for time in answer["times"]]
            counted = Counter(first[interval](one.time.astimezone(tz).date()) for one in told[start:])
            assert list(zip(begins, answer["series"][0]["values"], strict=True)) == list(counted.items())


@pytest.mark.parametrize(
    ("params", "kind", "says"),
    [
        ({"metric": "analyses", "by": "finding"}, "dimension-invalid", "can be split by model, model_version, state"),
        ({"metric": "analyses", "from": "2026-03-02T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "range-invalid",
         "before"),
        ({"metric": "analyses", "from": "2020-03-02T00:00:00Z"}, "range-invalid", "1000 days"),
        ({"metric": "analyses", "interval": "hour", "from": "2026-01-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"},
         "range-invalid", "1000 hours"),
        ({"metric": "analyses", "tz": "Mars/Olympus"}, "zone-unknown", "Europe/Berlin"),
        ({"metric": "analyses", "tz": "' OR 1=1"}, "bad-input", "query/tz"),
        ({"metric": "analyses", "from": "2026-03-01T00:00:00"}, "bad-input", "timezone"),
        ({"metric": "analyses", "from": "0001-01-01T00:00:00+14:00"}, "bad-input", "query/from"),
        ({"metric": "analyses", "to": "yesterday"}, "bad-input", "query/to"),
        ({"metric": "profit"}, "bad-input", "query/metric"),
        ({"metric": "analyses", "interval": "minute"}, "bad-input", "query/interval"),
        ({"metric": "findings", "by": ["finding", "outcome", "model"]}, "bad-input", "at most 2"),
        ({}, "bad-input", "query/metric"),
    ],
)  # fmt: skip
async def test_a_bad_question_gets_a_clear_problem(
    client: httpx.AsyncClient, params: dict, kind: str, says: str
) -> None:
    answer = await client.get(SERIES, params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == f"urn:codetect:problem:{kind}"
    assert says in answer.json()["detail"]


async def test_who_has_no_token_sees_nothing(client: httpx.AsyncClient) -> None:
    del client.headers["Authorization"]
    for path in (SUMMARY, SERIES + "?metric=analyses"):
        assert (await client.get(path)).status_code == 401


async def test_the_openapi_document_is_complete(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert set(paths) == {SUMMARY, SERIES}
    for path in paths.values():
        operation = path["get"]
        assert {"200", "401", "403", "422"} <= set(operation["responses"])
        assert operation["tags"] == ["analytics"]
        assert operation["operationId"]
        assert "application/problem+json" in operation["responses"]["422"]["content"]


async def test_unlike_studies_and_readers_opinions_are_charted(house: House) -> None:
    story = Story()
    told: list[Envelope] = []
    for unlikeness in (None, 0.2, 0.999, 1.0, 3.0):
        told += story.analysis(unlikeness=unlikeness)
    told += [story.feedback(agrees) for agrees in (True, True, True, False, None)]
    await applied(house, [*told, *Story(seed=9).busy(10)])
    async with house.asking(story.facility) as client:

        async def sums(metric: str, by: str = "") -> dict[str, float]:
            found = await lines(client, metric=metric, **({"by": by} if by else {}))
            return {key[0] if key else "": sum(values) for key, values in found.items()}

        assert await sums("out_of_distribution") == {"": 2}
        assert await sums("out_of_distribution", "outcome") == {"like": 2, "unlike": 2}
        assert await sums("feedback") == {"": 5}
        assert await sums("feedback", "outcome") == {"agrees": 3, "disagrees": 1, "unsure": 1}


async def test_weeks_begin_on_monday(house: House) -> None:
    story, told = Story(), []
    for day in (1, 2, 8, 9):  # 1 and 8 March 2026 are Sundays
        story.now = datetime(2026, 3, day, 12, tzinfo=UTC)
        told.append(story.study())
    await applied(house, told)
    params = {"metric": "studies", "interval": "week", "from": "2026-03-01T00:00:00Z", "to": "2026-03-10T00:00:00Z"}
    async with house.asking(story.facility) as client:
        answer = (await client.get(SERIES, params=params)).json()
    assert answer["times"] == ["2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"]
    assert answer["series"] == [{"key": {}, "values": [1, 2, 1]}]


async def test_figures_say_up_to_which_event_they_count(house: House) -> None:
    story = Story()
    told = story.upload()
    async with house.asking(story.facility) as client:
        with house.projecting():
            await house.publish(told)
            await house.applied(len(told))
            for path, params in ((SUMMARY, {}), (SERIES, {"metric": "uploads"})):
                counted = (await client.get(path, params=params)).json()["counted"]
                assert counted == f"{len(told) - 1}.{told[-1].id.hex[-8:]}"
            more = story.study()
            await house.publish([more])
            await house.applied(len(told) + 1)
            assert (await client.get(SUMMARY)).json()["counted"] == f"{len(told)}.{more.id.hex[-8:]}"


async def test_figures_that_count_nothing_yet_say_so(house: House) -> None:
    async with house.asking(uuid7()) as client:
        with house.projecting():
            async with asyncio.timeout(30):
                while (await client.get("/readyz")).status_code != 200:
                    await asyncio.sleep(0.1)
        assert (await client.get(SUMMARY)).json()["counted"] is None
