"""A facility on the complete stack, and the `codetect` command as its people use it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from codetect_local.demo import Demo
from codetect_local.settings import Trouble
from playwright.async_api import Browser, async_playwright

from tests.e2e.app import quiet_tab
from tests.e2e.browser import FLAGS, Visit, chromium
from tests.inference.samples import bundle_files

CODETECT = Path(sys.executable).with_name("codetect")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed."""
        return json.loads(self.out)


Command = Callable[..., Awaitable[Ended]]


@pytest.fixture(scope="session")
def demo(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What `demo.json` says: on a stack of this session, or on the running one whose file CODETECT_TEST_DEMO names."""
    if running := os.environ.get("CODETECT_TEST_DEMO"):
        return dict(json.loads(Path(running).read_text()))
    demo = Demo(request.getfixturevalue("stack"))
    asyncio.run(demo.open_facility())
    return demo.known


@pytest.fixture(scope="session")
def place(demo: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder below one with `.local/demo.json`; home of a user who has never logged in."""
    root = tmp_path_factory.mktemp("place")
    (root / ".local").mkdir()
    (root / ".local" / "demo.json").write_text(json.dumps(demo))
    (root / "work").mkdir()
    return root / "work"


async def start(place: Path, *arguments: object, **environment: str) -> asyncio.subprocess.Process:
    """The command, with nothing from this process's environment that would let it in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CODETECT_", "XDG_"))}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        CODETECT,
        *map(str, arguments),
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        cwd=place,
        env=kept | {"HOME": str(place)} | environment,
        # As on a terminal: in the background an interrupt is ignored, and what is ignored is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


async def finish(process: asyncio.subprocess.Process, stdin: str = "", patience_s: float = 180) -> Ended:
    """Wait for its end; a traceback is none."""
    out, err = await asyncio.wait_for(process.communicate(stdin.encode()), patience_s)
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Ended(process.returncode, out.decode(), err.decode())


@pytest.fixture(scope="session")
def codetect(place: Path) -> Command:
    """Run the command to its end."""

    async def run(*arguments: object, stdin: str = "", **environment: str) -> Ended:
        return await finish(await start(place, *arguments, **environment), stdin)

    return run


@pytest.fixture(scope="session")
async def tiny(codetect: Command, place: Path) -> str:
    """A small model's name; it is pushed by the operator."""
    folder = place / "bundle"
    folder.mkdir()
    for name, content in bundle_files().items():
        (folder / name).write_bytes(content)
    pushed = await codetect("models", "push", folder, "--json")
    assert pushed.code == 0, pushed.err
    return str(pushed.json["name"])


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium; without it the test is skipped."""
    try:
        path = chromium()
    except Trouble as trouble:
        pytest.skip(str(trouble))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Visit]:
    """A tab of the web app's."""
    async with quiet_tab(browser) as tab:
        yield tab
