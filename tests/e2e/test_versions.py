"""Versions of a model through the client and the command, against the whole house: out, aside, back."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from codetect.client import Client
from codetect.credentials import Person
from codetect.errors import CodetectError

from tests.e2e.conftest import Command
from tests.faults.studies import new_study
from tests.inference.samples import bundle_files, saying
from tests.signing import made, signed


def folder_of(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


async def test_the_operator_takes_versions_out_and_back(
    codetect: Command, tiny: str, demo: dict[str, Any], tmp_path: Path
) -> None:
    who = demo["operator"]
    # One login, since a code works once: a second would wait for the next.
    person = Person(who["email"], who["password"], who["totp_secret"])
    newer = f"0.2.{int(time.time())}"  # on a stack that goes on, each run has its own
    second = bundle_files(saying(9.0), version=newer)
    studies = [folder_of({"1": content}, tmp_path / f"study-{n}") for n in range(2) for content in new_study(1)]
    async with Client(who["url"], person, patience_s=60) as door:
        with pytest.raises(CodetectError, match="isn't trusted"):
            await door.push_model(folder_of(signed(second, made("a stranger")), tmp_path / "stranger"))
        pushed = await door.push_model(folder_of(second, tmp_path / "second"))
        assert (pushed.version, pushed.serves, bool(pushed.signed_by)) == (newer, False, True)
        (here,) = [one for one in await door.facilities() if one.slug == "demo"]
        shadow = await door.shadow_model(tiny, newer, here.id)
        assert (shadow.kind, shadow.facility_id) == ("shadow", here.id)
        done = await codetect("submit", studies[0], "--model", tiny, "--json")
        (study,) = done.json["studies"]
        assert [one["model_version"] for one in study["analyses"]] == ["0.1.0"]
        assert [(one.version, one.kind, one.facility_id) for one in await door.rollouts() if one.name == tiny] == [
            ("0.1.0", "active", None),
            (newer, "shadow", here.id),
        ]
        async with asyncio.timeout(30):
            while not (found := await door.compare_model(tiny, newer)).overall:
                assert {one["status"] for one in found.states} <= {"queued", "running", "completed"}
                await asyncio.sleep(0.2)
        assert [(one.against, one.studies, one.positive_candidate) for one in found.overall] == [("0.1.0", 1, 1)]
        await door.stop_model(tiny, newer, "shadow", here.id)
        canary = await door.canary_model(tiny, newer, 100)
        assert (canary.kind, canary.share) == ("canary", 100)
        done = await codetect("submit", studies[1], "--model", tiny, "--json")
        assert [one["model_version"] for one in done.json["studies"][0]["analyses"]] == [newer]
        assert (await door.roll_back_model(tiny)).version == "0.1.0"
        active = await door.activate_model(tiny, newer)
        assert (active.version, active.before) == (newer, "0.1.0")
        assert (await door.roll_back_model(tiny)).version == "0.1.0"
        with pytest.raises(CodetectError, match="No other version served here before"):
            await door.roll_back_model(tiny)
