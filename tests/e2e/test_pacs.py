"""From a modality's C-STORE to its analysis, through Orthanc and STOW-RS."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
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
        asyncio.run(pacs.forward_to(demo, SLUG))
        pacs.bring_back(demo)
        yield settings
    finally:
        supervisor.stop()


def orthanc_of(settings: Settings) -> httpx.Client:
    auth = (orthanc.USER, secrets.load(settings.state)["orthanc"])
    return httpx.Client(base_url=orthanc.url(settings), auth=auth, trust_env=False, timeout=30)


async def test_a_study_sent_with_storescu_is_analysed_once_and_its_result_comes_back(
    sender: Settings, codetect: Command, tiny: str, tmp_path: Path
) -> None:
    async def analyses() -> dict[str, dict]:
        listed = await codetect("analyses", "--json")
        assert listed.code == 0, listed.err
        return {one["id"]: one for one in listed.json if (one["slices_total"], one["status"]) == (SLICES, "completed")}

    for number, content in enumerate(new_study(SLICES)):
        (tmp_path / f"{number}.dcm").write_bytes(content)
    before = await analyses()
    await asyncio.to_thread(pacs.send, sender, tmp_path)
    async with asyncio.timeout(180):
        while not (new := {k: v for k, v in (await analyses()).items() if k not in before}):
            await asyncio.sleep(2)
    (analysis,) = new.values()
    assert (analysis["status"], analysis["model"]["name"]) == ("completed", tiny)
    # The result joins the study that was sent, under the UIDs and the name that it came with.
    found = await asyncio.to_thread(pacs.wait_for_results, sender)
    with orthanc_of(sender) as rest:
        (sent,) = rest.get("/studies").json()
        assert {rest.get(f"/series/{one['ID']}").json()["ParentStudy"] for one in found} == {sent}
        assert "SR" in {one["MainDicomTags"]["Modality"] for one in found}
        assert len(rest.get("/patients").json()) == 1
    # Sent once more it is the same study, and what came back isn't sent on: nothing to analyse again.
    await asyncio.to_thread(pacs.send, sender, tmp_path)
    await asyncio.sleep(45)
    assert {k for k in await analyses() if k not in before} == set(new)
