"""Feedback: the newest opinion counts, who disagrees is judged by another, and only what is settled is a label."""

import asyncio
import csv
import io
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pydicom
import pytest
from codetect_inference.app import api
from codetect_inference.feedback.deciding import Outcome, in_sample, outcome
from codetect_inference.feedback.models import FeedbackState, Says, WaitingFor
from codetect_inference.feedback.sealing import SEALED, facility_key
from codetect_inference.models import ANALYSES, Analysis
from codetect_inference.removals import sweep
from codetect_inference.settings import Settings
from codetect_shared.db import uuid7
from codetect_shared.sealing import MasterKey, reseal
from codetect_shared.testing import claimed, running
from codetect_shared.tokens import Role, Scope
from codetect_training.datasets.dataset import open_dataset
from cryptography.exceptions import InvalidTag

from tests.inference.conftest import SAMPLE, Facility, House, lung
from tests.inference.readers import Reader, read, readers
from tests.inference.samples import ROOT, bundle_files
from tests.inference.test_erasure import all_sent, traces
from tests.inference.test_worker import analysing

PRESENT, ABSENT, UNSURE = Says.PRESENT, Says.ABSENT, Says.UNSURE


@pytest.fixture
async def analysis(tiny: str, facility: Facility, tmp_path: Path) -> Analysis:
    return await read(facility, tmp_path)


def model_says(analysis: Analysis) -> tuple[str, str]:
    """What the model says of its one label, and the contrary."""
    return ("present", "absent") if analysis.findings[0]["positive"] else ("absent", "present")


async def told(house: House, feedback_id: str) -> list[tuple[str, dict[str, Any]]]:
    rows = await house.sql(
        "SELECT type, data FROM outbox WHERE subject = $1 AND queue IS NULL ORDER BY sequence",
        f"feedback/{feedback_id}",
    )
    return [(row["type"].split(".")[2], json.loads(row["data"])) for row in rows]


async def audited(house: House, facility: Facility) -> list[str]:
    rows = await house.sql("SELECT action FROM audit WHERE facility_id = $1 ORDER BY sequence", facility.id)
    return [row["action"] for row in rows]


@pytest.mark.parametrize(
    ("opinions", "ruling", "sampled", "expected"),
    [
        ([], None, False, Outcome(FeedbackState.UNDECIDED)),
        ([UNSURE, UNSURE], None, True, Outcome(FeedbackState.UNDECIDED)),
        ([PRESENT], None, False, Outcome(FeedbackState.AGREED, PRESENT)),
        ([PRESENT, UNSURE], None, False, Outcome(FeedbackState.AGREED, PRESENT)),
        ([PRESENT], None, True, Outcome(FeedbackState.WAITING, reason=WaitingFor.SAMPLE)),
        ([PRESENT, PRESENT], None, True, Outcome(FeedbackState.AGREED, PRESENT)),
        ([ABSENT], None, False, Outcome(FeedbackState.WAITING, reason=WaitingFor.DISAGREEMENT)),
        ([ABSENT, ABSENT], None, False, Outcome(FeedbackState.WAITING, reason=WaitingFor.DISAGREEMENT)),
        ([PRESENT, ABSENT], None, True, Outcome(FeedbackState.WAITING, reason=WaitingFor.DISAGREEMENT)),
        ([ABSENT], ABSENT, False, Outcome(FeedbackState.ADJUDICATED, ABSENT)),
        ([ABSENT], UNSURE, False, Outcome(FeedbackState.ADJUDICATED)),
    ],
)
def test_what_opinions_come_to(opinions: list[Says], ruling: Says | None, sampled: bool, expected: Outcome) -> None:
    assert outcome(PRESENT, opinions, ruling, sampled=sampled) == expected


def test_a_sample_takes_its_share_and_stays_with_it() -> None:
    ids = [uuid7() for _ in range(4000)]
    taken = {one for one in ids if in_sample(one, 0.1)}
    assert 0.06 < len(taken) / len(ids) < 0.15
    assert all(in_sample(one, 0.5) for one in taken)
    assert not any(in_sample(one, 0) for one in ids)
    assert all(in_sample(one, 1) for one in ids)


async def test_agreement_with_the_model_is_a_label_at_once(
    analysis: Analysis, facility: Facility, house: House
) -> None:
    (reader,) = readers(facility, 1)
    same, _ = model_says(analysis)
    row = await reader.said(analysis, same, slices=[1, 0, 1], place_mm=[1.5, -20, 2.5])
    assert (row["state"], row["says"], row["reason"], row["readers"]) == ("agreed", same, None, 1)
    assert row["model_says"] == same
    assert row["decided_at"]
    (event,) = await told(house, row["id"])
    assert event[0] == "given"
    assert event[1] == {
        "feedback_id": row["id"],
        "analysis_id": str(analysis.id),
        "study_id": str(analysis.study_id),
        "model": "tiny",
        "model_version": "0.1.0",
        "label": "grey",
        "says": same,
        "model_says": same,
        "agrees": True,
        "state": "agreed",
        "given_by": str(reader.id),
    }
    detail = (await reader.ask("GET", f"/analyses/{analysis.id}/feedback")).json()["items"][0]
    (opinion,) = detail["opinions"]
    assert (opinion["slices"], opinion["place_mm"], opinion["reader"]) == ([0, 1], [1.5, -20, 2.5], str(reader.id))
    assert await reader.waiting() == []
    done = [one for one in await audited(house, facility) if not one.startswith("model.")]
    assert done == ["feedback.give", "feedback.read", "feedback.search"]


async def test_who_disagrees_is_judged_by_somebody_else(analysis: Analysis, facility: Facility, house: House) -> None:
    first, second, third = readers(facility, 3)
    same, other = model_says(analysis)
    row = await first.said(analysis, other)
    assert (row["state"], row["reason"], row["says"]) == ("waiting", "disagreement", None)
    assert await second.waiting() == [row["id"]] == await second.waiting(mine="decide")
    assert await first.waiting(mine="decide") == []
    refused = await first.decides(row["id"], other)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:codetect:problem:second-reader-needed")
    decided = await second.decides(row["id"], other)
    assert decided.status_code == 200, decided.text
    assert (decided.json()["state"], decided.json()["says"], decided.json()["readers"]) == ("adjudicated", other, 2)
    assert await third.waiting() == []
    for again in (await third.decides(row["id"], same), await first.says(analysis, same)):
        assert (again.status_code, again.json()["type"]) == (409, "urn:codetect:problem:wrong-state")
    assert [what for what, _ in await told(house, row["id"])] == ["given", "adjudicated"]
    reopened = await third.ask("POST", f"/feedback/{row['id']}/reopen")
    assert (reopened.json()["state"], reopened.json()["says"]) == ("waiting", None)
    assert (await third.ask("POST", f"/feedback/{row['id']}/reopen")).status_code == 409
    assert (await third.decides(row["id"], same)).json()["says"] == same
    detail = (await third.ask("GET", f"/analyses/{analysis.id}/feedback")).json()["items"][0]
    assert [(one["says"], one["reopened_by"]) for one in detail["rulings"]] == [(other, str(third.id)), (same, None)]
    assert [what for what, _ in await told(house, row["id"])] == ["given", "adjudicated", "reopened", "adjudicated"]
    assert (await audited(house, facility)).count("feedback.adjudicate") == 2


async def test_readers_who_contradict_each_other_wait_for_a_third(analysis: Analysis, facility: Facility) -> None:
    first, second, third = readers(facility, 3)
    same, other = model_says(analysis)
    await first.said(analysis, same)
    row = await second.said(analysis, other)
    assert (row["state"], row["readers"]) == ("waiting", 2)
    for reader in (first, second):
        assert (await reader.decides(row["id"], same)).status_code == 409
    assert (await third.decides(row["id"], same)).json()["readers"] == 3


async def test_the_newest_opinion_counts_and_older_ones_are_history(analysis: Analysis, facility: Facility) -> None:
    reader, other_reader = readers(facility, 2)
    same, other = model_says(analysis)
    row = await reader.said(analysis, other)
    assert (await reader.said(analysis, "unsure"))["state"] == "undecided"
    assert (await reader.said(analysis, same))["state"] == "agreed"
    detail = (await other_reader.ask("GET", f"/analyses/{analysis.id}/feedback")).json()["items"][0]
    assert [(one["says"], one["superseded"]) for one in detail["opinions"]] == [
        (other, True),
        ("unsure", True),
        (same, False),
    ]
    await reader.said(analysis, other)
    assert (await reader.decides(row["id"], other)).status_code == 409, "also who changed their mind has said something"


async def test_what_cannot_be_said_is_refused_whole(analysis: Analysis, facility: Facility, house: House) -> None:
    (reader,) = readers(facility, 1)
    path = f"/analyses/{analysis.id}/feedback"
    for finding, kind in (
        ({"label": "grey", "says": "present", "slices": [2]}, "no-such-finding"),
        ({"label": "green", "says": "present"}, "no-such-finding"),
        ({"label": "grey", "says": "perhaps"}, "bad-input"),
        ({"label": "grey", "says": "present", "place_mm": [1, 2]}, "bad-input"),
        ({"label": "grey", "says": "present", "comment": "Herr Schmidt again"}, "holds-identifier"),
    ):
        answer = await reader.ask("POST", path, json={"findings": [finding]})
        assert (answer.status_code, answer.json()["type"]) == (422, f"urn:codetect:problem:{kind}"), answer.text
    twice = [{"label": "grey", "says": "present"}] * 2
    assert (await reader.ask("POST", path, json={"findings": twice})).status_code == 422
    both = [{"label": "grey", "says": "present"}, {"label": "green", "says": "present"}]
    assert (await reader.ask("POST", path, json={"findings": both})).status_code == 422
    assert await house.sql("SELECT 1 FROM feedback WHERE facility_id = $1", facility.id) == []
    event = await facility.receive(await facility.store(lung(2)))
    (waiting,) = await facility.analyses(event.study_id)
    answer = await reader.says(waiting, "present")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:codetect:problem:wrong-state")


async def test_a_comment_is_sealed_and_shown_to_its_writer_and_with_the_right(
    analysis: Analysis, facility: Facility, house: House
) -> None:
    writer, other_reader = readers(facility, 2)
    seeing = Reader(facility, uuid7(), Role.VIEWER, frozenset({Scope.IDENTITY}))
    words = "Looks like motion, not disease."
    same, _ = model_says(analysis)
    await writer.said(analysis, same, comment=words)
    for table in ("opinions", "audit", "outbox"):
        assert not [row for row in await house.sql(f"SELECT * FROM {table}") if words[:10] in str(dict(row))]
        assert words[:10].encode() not in b"".join(
            row["sealed_comment"] or b"" for row in await house.sql("SELECT sealed_comment FROM opinions")
        )
    shown = []
    for who in (writer, other_reader, seeing):
        detail = (await who.ask("GET", f"/analyses/{analysis.id}/feedback")).json()["items"][0]
        shown.append((detail["opinions"][0]["commented"], detail["opinions"][0]["comment"]))
    assert shown == [(True, words), (True, None), (True, words)]
    reads = await house.sql("SELECT subject FROM audit WHERE facility_id = $1 AND action = 'comment.read'", facility.id)
    assert [row["subject"] for row in reads] == [str(seeing.id)]


async def test_a_new_master_key_takes_over_the_facilities_keys(
    analysis: Analysis, facility: Facility, house: House
) -> None:
    (reader,) = readers(facility, 1)
    await reader.said(analysis, "unsure", comment="fine")
    present, fresh = bytes(house.settings.master_key), b"n" * 32
    async with house.db.system() as session:
        before = await facility_key(session, facility.id, present)
        assert await reseal(session, MasterKey.of(fresh, [present]), SEALED) >= 1
        assert await reseal(session, MasterKey.of(fresh, [present]), SEALED) == 0
        assert await facility_key(session, facility.id, fresh) == before
        with pytest.raises(InvalidTag):
            await facility_key(session, facility.id, present)
        await reseal(session, MasterKey.of(present, [fresh]), SEALED)


async def test_viewers_and_programs_give_no_feedback(analysis: Analysis, facility: Facility) -> None:
    for role, scopes in ((Role.VIEWER, frozenset[str]()), (Role.API_CLIENT, frozenset({Scope.READ, Scope.WRITE}))):
        who = Reader(facility, uuid7(), role, frozenset(map(str, scopes)))
        assert (await who.says(analysis, "present")).status_code == 403
        assert (await who.ask("GET", f"/analyses/{analysis.id}/feedback")).status_code == 200


async def test_another_facility_sees_and_touches_nothing_of_it(
    analysis: Analysis, facility: Facility, other: Facility
) -> None:
    (reader,), (stranger,) = readers(facility, 1), readers(other, 1)
    _, contrary = model_says(analysis)
    row = await reader.said(analysis, contrary)
    assert await stranger.waiting() == []
    assert (await stranger.says(analysis, "present")).status_code == 404
    assert (await stranger.decides(row["id"], "present")).status_code == 404
    assert (await stranger.ask("POST", f"/feedback/{row['id']}/reopen")).status_code == 404
    assert (await stranger.ask("GET", f"/analyses/{analysis.id}/feedback")).status_code == 404
    admin = Reader(other, uuid7(), Role.ADMIN)
    assert len((await admin.ask("GET", "/feedback/labels.csv")).text.splitlines()) == 1


async def test_analyses_are_found_by_their_feedback(analysis: Analysis, facility: Facility) -> None:
    (reader,) = readers(facility, 1)
    same, contrary = model_says(analysis)

    async def found(state: str) -> int:
        return len((await reader.ask("GET", "/analyses", params={"feedback": state})).json()["items"])

    assert [await found(state) for state in ("none", "waiting", "agreed")] == [1, 0, 0]
    await reader.said(analysis, contrary)
    assert [await found(state) for state in ("none", "waiting", "agreed")] == [0, 1, 0]
    await reader.said(analysis, same)
    assert [await found(state) for state in ("none", "waiting", "agreed")] == [0, 0, 1]


async def test_a_newer_analysis_inherits_no_opinion(
    analysis: Analysis, facility: Facility, house: House, tmp_path: Path
) -> None:
    reader, second = readers(facility, 2)
    _, contrary = model_says(analysis)
    await reader.said(analysis, contrary)
    assert (await facility.register(bundle_files(version="0.2.0"))).status_code == 201
    assert (await facility.activate("0.2.0")).is_success
    asked = {"study_id": str(analysis.study_id), "model": "tiny"}
    newer = (await facility.ask("POST", "/analyses", json=asked)).json()
    assert newer["id"] != str(analysis.id)
    async with analysing(house, tmp_path) as worker:
        await worker.run(await claimed(ANALYSES, house.db))
    assert (await reader.ask("GET", f"/analyses/{newer['id']}/feedback")).json()["items"] == []
    (waiting,) = (await second.ask("GET", "/feedback")).json()["items"]
    assert (waiting["analysis_id"], waiting["superseded"]) == (str(analysis.id), True)


async def test_of_a_sample_a_second_reader_is_heard_first(analysis: Analysis, facility: Facility, house: House) -> None:
    first, second = readers(facility, 2)
    same, _ = model_says(analysis)
    async with running(api(Settings(second_reads=1)), house.tokens) as client:
        asking = Facility(House(house.settings, client, house.tokens, house.db, house.storage), facility.id)
        first.facility = second.facility = asking
        row = await first.said(analysis, same)
        assert (row["state"], row["reason"]) == ("waiting", "sample")
        assert await second.waiting(mine="decide") == [row["id"]]
        row = await second.said(analysis, same)
        assert (row["state"], row["says"], row["readers"]) == ("agreed", same, 2)


async def test_two_at_once_decide_once(analysis: Analysis, facility: Facility) -> None:
    reader, *others = readers(facility, 5)
    _, contrary = model_says(analysis)
    row = await reader.said(analysis, contrary)
    answers = await asyncio.gather(*(one.decides(row["id"], "present") for one in others))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    detail = (await reader.ask("GET", f"/analyses/{analysis.id}/feedback")).json()["items"][0]
    assert len(detail["rulings"]) == 1


async def test_the_worklist_has_pages_that_lose_nothing(tiny: str, facility: Facility, tmp_path: Path) -> None:
    reader, second = readers(facility, 2)
    expected = []
    for _ in range(3):
        analysis = await read(facility, tmp_path)
        expected.append((await reader.said(analysis, model_says(analysis)[1]))["id"])
    params, found = {"state": "waiting", "limit": "2"}, []
    while True:
        page = (await second.ask("GET", "/feedback", params=params)).json()
        found += [one["id"] for one in page["items"]]
        if not page["next"]:
            break
        params["cursor"] = page["next"]
    assert found == expected


async def test_erasing_a_study_erases_its_feedback(analysis: Analysis, facility: Facility, house: House) -> None:
    reader, second = readers(facility, 2)
    row = await reader.said(analysis, model_says(analysis)[1], comment="motion")
    assert (await second.decides(row["id"], "absent", comment="agreed")).status_code == 200
    await facility.erase(analysis.study_id)
    await all_sent(house)
    await sweep(house.db, house.storage)
    for table in ("feedback", "opinions", "rulings"):
        assert await house.sql(f"SELECT 1 FROM {table} WHERE facility_id = $1", facility.id) == []
    left = await traces(house, UUID(row["id"]), analysis.id, reader.id, second.id)
    assert set(left) <= {"removals"}, left
    admin = Reader(facility, uuid7(), Role.ADMIN)
    assert len((await admin.ask("GET", "/feedback/labels.csv")).text.splitlines()) == 1


async def table_of(facility: Facility, **params: str) -> list[dict[str, str]]:
    admin = Reader(facility, uuid7(), Role.ADMIN)
    answer = await admin.ask("GET", "/feedback/labels.csv", params=params)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/csv"), answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_only_what_is_settled_is_exported(tiny: str, facility: Facility, house: House, tmp_path: Path) -> None:
    first, second = readers(facility, 2)
    agreed, waiting, decided, unsure, open_ = [
        await read(facility, tmp_path, series_instance_uid=f"2.25.{100 + n}") for n in range(5)
    ]
    same, contrary = model_says(agreed)
    await first.said(agreed, same)
    await first.said(waiting, contrary)
    row = await first.said(decided, contrary)
    assert (await second.decides(row["id"], contrary)).status_code == 200
    row = await first.said(unsure, contrary)
    assert (await second.decides(row["id"], "unsure")).status_code == 200
    await first.said(open_, "unsure")
    lines = await table_of(facility, label="grey")
    assert [(one["SeriesInstanceUID"], one["value"], one["readers"], one["adjudicated"]) for one in lines] == [
        ("2.25.100", same, "1", "no"),
        ("2.25.102", contrary, "2", "yes"),
    ]
    assert {(one["StudyInstanceUID"], one["label"], one["model"], one["model_version"]) for one in lines} == {
        ("2.25.7", "grey", "tiny", "0.1.0")
    }
    assert await table_of(facility, model="other") == [] == await table_of(facility, version="9.9.9")
    assert await table_of(facility, to="2026-01-01T00:00:00Z") == []
    assert (await audited(house, facility)).count("labels.export") == 4
    (member,) = readers(facility, 1)
    assert (await member.ask("GET", "/feedback/labels.csv")).status_code == 403


async def test_a_series_has_one_line_and_a_decision_outweighs_an_agreement(
    tiny: str, facility: Facility, tmp_path: Path
) -> None:
    first, second = readers(facility, 2)
    older, newer = [await read(facility, tmp_path, series_instance_uid="2.25.9") for _ in range(2)]
    same, contrary = model_says(older)
    row = await first.said(older, contrary)
    assert (await second.decides(row["id"], contrary)).status_code == 200
    await first.said(newer, same)
    (line,) = await table_of(facility, label="grey")
    assert (line["value"], line["adjudicated"]) == (contrary, "yes")


async def test_training_reads_the_table_with_the_series_it_names(tiny: str, facility: Facility, tmp_path: Path) -> None:
    """The exported labels beside the series' own DICOM files are a data set, as docs/feedback.md describes it."""
    uid = str(pydicom.dcmread(SAMPLE[0], stop_before_pixels=True).SeriesInstanceUID)
    analysis = await read(facility, tmp_path, slices=4, series_instance_uid=uid)
    first, second = readers(facility, 2)
    same, contrary = model_says(analysis)
    row = await first.said(analysis, contrary)
    assert (await second.decides(row["id"], contrary)).status_code == 200
    admin = Reader(facility, uuid7(), Role.ADMIN)
    root = tmp_path / "data"
    (root / "ours" / "dicom").mkdir(parents=True)
    for path in SAMPLE:
        (root / "ours" / "dicom" / path.name).symlink_to(path)
    labels = await admin.ask("GET", "/feedback/labels.csv", params={"label": "grey"})
    (root / "ours" / "labels.csv").write_text(labels.text)
    page = (ROOT / "docs" / "feedback.md").read_text()
    description = tmp_path / "ours.yaml"
    description.write_text(page.partition("```yaml")[2].partition("```")[0])
    part = open_dataset(description, root, tmp_path / "cache", side=32).part("train")
    assert len(part.keys) > 20
    assert {part.dataset.description.labels[n] for n in part.labels.tolist()} == {
        "grey" if contrary == "present" else "not-grey"
    }
    assert part.images(np.arange(2), 32).shape == (2, 1, 32, 32)
    (root / "ours" / "labels.csv").write_text(labels.text.replace(uid, "2.25.1"))
    with pytest.raises(SystemExit, match="not in the label table"):
        open_dataset(description, root, tmp_path / "cache2", side=32)
