"""From a modality's C-STORE to its analysis, through Orthanc and STOW-RS."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from codetect_local import orthanc, pacs, secrets
from codetect_local.demo import SLUG, Demo
from codetect_local.settings import Settings, Trouble
from codetect_local.stack import Stack
from codetect_local.supervision import Supervisor

from tests.e2e.conftest import Command
from tests.faults.studies import new_study

SLICES = 7


@pytest.fixture(scope="module")
def sender(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Orthanc and its forwarder beside the session's stack, connected to its demo facility both ways."""
    try:
        orthanc.install()
    except Trouble as trouble:
        pytest.skip(str(trouble))
    settings = stack.settings
    known = secrets.load(settings.state)
    supervisor = Supervisor(tmp_path_factory.mktemp("orthanc"))
    server = orthanc.server(settings, known)
    demo = Demo(stack)
    asyncio.run(demo.open_facility())

    async def ready() -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    return await server.ready()
                except OSError:
                    await asyncio.sleep(0.2)

    try:
        supervisor.start([server, orthanc.forwarder(settings, known)])
        supervisor.launch("orthanc", "forwarder")
        asyncio.run(ready())
        asyncio.run(pacs.connect(demo, SLUG))
        yield settings
    finally:
        supervisor.stop()


def study(folder: Path) -> tuple[str, set[str]]:
    """A new study on the disk; its UID and those of its instances."""
    files = new_study(SLICES)
    for number, content in enumerate(files):
        (folder / f"{number}.dcm").write_bytes(content)
    found = [pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True) for content in files]
    return str(found[0].StudyInstanceUID), {str(one.SOPInstanceUID) for one in found}


async def test_a_study_sent_with_storescu_is_analysed_and_its_result_comes_back(
    sender: Settings, codetect: Command, tiny: str, tmp_path: Path
) -> None:
    async def analyses() -> dict[str, dict]:
        listed = await codetect("analyses", "--json")
        assert listed.code == 0, listed.err
        return {one["id"]: one for one in listed.json if one["slices_total"] == SLICES}

    uid, _ = study(tmp_path)
    before = await analyses()
    await asyncio.to_thread(pacs.send, sender, tmp_path)
    async with asyncio.timeout(180):
        while not (new := {k: v for k, v in (await analyses()).items() if k not in before}):
            await asyncio.sleep(2)
    (analysis,) = new.values()
    assert analysis["model"] == tiny
    (series, *_) = await asyncio.to_thread(pacs.wait_for_results, sender)
    assert uid
    assert series
    # What was sent once more is the same study: nothing to analyse again, and the results aren't read as images.
    await asyncio.to_thread(pacs.send, sender, tmp_path)
    await asyncio.sleep(45)
    assert {k for k in await analyses() if k not in before} == set(new)
