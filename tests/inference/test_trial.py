"""A model is run once, in a process of its own, before it may serve."""

import asyncio
import os
from typing import Any

import onnx
import pytest
from codetect_inference.bundle import MANIFEST, MODEL, BundleModelUnusable
from codetect_inference.trial import prove

from tests.inference.samples import BUNDLE, bundle_files, saying, tiny_model, unrunnable


def files(model: onnx.ModelProto | None = None, **changes: Any) -> dict[str, bytes]:
    made = bundle_files(model, **changes)
    return {name: made[name] for name in (MANIFEST, MODEL)}


async def test_a_sound_model_runs_and_says_how_long_it_took() -> None:
    assert set(await prove(files(), 60)) == {"load_ms", "slice_ms"}
    distant = files(tiny_model(distance=True), outliers={"threshold": 4, "how": "grey"})
    assert await prove(distant, 60)


async def test_the_shipped_model_runs() -> None:
    facts = await prove({name: (BUNDLE / name).read_bytes() for name in (MANIFEST, MODEL)}, 120)
    assert facts["load_ms"] > 0 < facts["slice_ms"]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (unrunnable(), "NoSuchOperator"),
        (saying(float("nan")), "aren't finite"),
        (saying(float("inf")), "aren't finite"),
    ],
)
async def test_a_model_that_does_not_run_is_refused_with_the_reason(model: onnx.ModelProto, why: str) -> None:
    with pytest.raises(BundleModelUnusable, match=why):
        await prove(files(model), 60)


async def test_a_trial_that_takes_too_long_is_ended() -> None:
    with pytest.raises(BundleModelUnusable, match="longer than 0.05 s"):
        await prove(files(), 0.05)
    children = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    await asyncio.sleep(0.1)
    with open(children) as running:
        names = [await command_of(pid) for pid in running.read().split()]
    assert not [name for name in names if "codetect_inference.trial" in name]


async def command_of(pid: str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except FileNotFoundError:
        return ""


async def test_the_trial_knows_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODETECT_MASTER_KEY", "secret")
    seen: dict[str, str] = {}
    start = asyncio.create_subprocess_exec

    async def watched(*arguments: Any, env: dict[str, str], **rest: Any) -> asyncio.subprocess.Process:
        seen.update(env)
        return await start(*arguments, env=env, **rest)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    await prove(files(), 60)
    assert seen
    assert not [name for name in seen if name.startswith("CODETECT_")]
