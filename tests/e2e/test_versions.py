"""Versions of a model through the client and the command, against the whole house: out, aside, back."""

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
    person = Person(who["email"], who["password"], who["totp_secret"])
    second = bundle_files(saying(9.0), version="0.2.0")
    studies = [folder_of({"1": content}, tmp_path / f"study-{n}") for n in range(2) for content in new_study(1)]
    async with Client(who["url"], person, patience_s=60) as door:
        with pytest.raises(CodetectError, match="isn't trusted"):
            await door.push_model(folder_of(signed(second, made("a stranger")), tmp_path / "stranger"))
        pushed = await door.push_model(folder_of(second, tmp_path / "second"))
        assert (pushed.version, pushed.serves, bool(pushed.signed_by)) == ("0.2.0", False, True)
        (here,) = [one for one in await door.facilities() if one.slug == "demo"]
        shadow = await door.shadow_model(tiny, "0.2.0", here.id)
        assert (shadow.kind, shadow.facility_id) == ("shadow", here.id)
        done = await codetect("submit", studies[0], "--model", tiny, "--json")
        (study,) = done.json["studies"]
        assert [one["model_version"] for one in study["analyses"]] == ["0.1.0"]
        listed = await codetect("models", "rollouts")
        assert [line.split("\t")[1:4] for line in listed.out.splitlines() if line.startswith(tiny)] == [
            ["0.1.0", "active", "all"],
            ["0.2.0", "shadow", "demo"],
        ]
        found = await door.compare_model(tiny, "0.2.0")
        while not found.overall:
            assert {one["status"] for one in found.states} <= {"queued", "running", "completed"}
            found = await door.compare_model(tiny, "0.2.0")
        assert [(one.against, one.studies, one.positive_candidate) for one in found.overall] == [("0.1.0", 1, 1)]
        await door.stop_model(tiny, "0.2.0", "shadow", here.id)
        canary = await door.canary_model(tiny, "0.2.0", 100)
        assert (canary.kind, canary.share) == ("canary", 100)
        done = await codetect("submit", studies[1], "--model", tiny, "--json")
        assert [one["model_version"] for one in done.json["studies"][0]["analyses"]] == ["0.2.0"]
        assert (await door.roll_back_model(tiny)).version == "0.1.0"
        active = await door.activate_model(tiny, "0.2.0")
        assert (active.version, active.before) == ("0.2.0", "0.1.0")
        assert (await door.roll_back_model(tiny)).version == "0.1.0"
        with pytest.raises(CodetectError):
            await door.roll_back_model(tiny)
