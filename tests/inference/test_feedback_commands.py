"""`codetect feedback`, `export labels` and `models watch`, against the real service on a port of its own."""

import asyncio
import csv
import io
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
import uvicorn
from codetect import private, store
from codetect.store import Login, Logins
from codetect_inference.app import api
from codetect_inference.settings import Settings
from codetect_shared.db import uuid7
from codetect_shared.tokens import Principal, Role, issue

from tests.inference.conftest import Facility, House
from tests.inference.readers import read

CODETECT = Path(sys.executable).with_name("codetect")


@asynccontextmanager
async def served(house: House) -> AsyncIterator[str]:
    """The service's API at an address."""
    application = api(Settings(second_reads=0))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_config=None))
    running = asyncio.create_task(server.serve([listener]))
    while not server.started:
        assert not running.done()
        await asyncio.sleep(0.01)
    application.state.jwks = house.tokens.jwks()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        listener.close()


@dataclass
class Desk:
    """A person at a machine where they are logged in."""

    house: House
    url: str
    facility_id: UUID
    role: Role = Role.MEMBER

    def __post_init__(self) -> None:
        self.id = uuid7()

    async def __call__(self, *arguments: object, code: int = 0) -> str:
        """What a command says: on stderr, where it fails."""
        token = issue(
            Principal(str(self.id), self.facility_id, "demo", self.role),
            self.house.tokens.key,
            issuer=self.house.tokens.issuer,
        )
        login = Login(access_token=token, refresh_token=None, expires_at=time.time() + 500)
        private.write(store._file(), Logins(default=self.url, logins={self.url: login}).model_dump_json())
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(CODETECT, *map(str, arguments), stdout=pipe, stderr=pipe)
        out, err = await process.communicate()
        assert process.returncode == code, (out, err)
        return (err if code else out).decode()


async def test_from_a_disagreement_to_a_table(
    tiny: str, facility: Facility, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("CODETECT_FACILITY", "CODETECT_CLIENT_ID", "CODETECT_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    analysis = await read(facility, tmp_path / "models", series_instance_uid="2.25.12")
    contrary = "absent" if analysis.findings[0]["positive"] else "present"
    async with served(house) as url:
        first, second = Desk(house, url, facility.id), Desk(house, url, facility.id)
        admin = Desk(house, url, facility.id, Role.ADMIN)
        line = await first(
            "feedback", "give", analysis.id, f"--{contrary}", "grey", "--slice", 1, "--comment", "motion"
        )
        feedback_id, analysis_id, *_, state, reason = line.strip().split("\t")
        assert (analysis_id, state, reason) == (str(analysis.id), "waiting", "disagreement")
        assert "Somebody else has to decide" in await first("feedback", "decide", feedback_id, "--absent", code=1)
        assert await first("feedback", "list", "--mine") == ""
        (waiting,) = json.loads(await second("feedback", "list", "--mine", "--json"))
        assert (waiting["id"], waiting["state"]) == (feedback_id, "waiting")
        assert len(json.loads(await second("analyses", "--feedback", "waiting", "--json"))) == 1
        assert f"holds: {contrary}" in await second("feedback", "decide", feedback_id, f"--{contrary}")
        shown = await first("feedback", "show", analysis.id)
        assert f"{first.id} said {contrary}: motion" in shown
        assert f"{second.id} decided {contrary}" in shown
        await first("feedback", "give", analysis.id, code=2)
        await first("feedback", "give", analysis.id, "--absent", "grey", "--present", "grey", code=2)
        await second("feedback", "decide", feedback_id, "--absent", "--present", code=2)
        (row,) = csv.DictReader(io.StringIO(await admin("export", "labels", "--finding", "grey")))
        assert (row["SeriesInstanceUID"], row["value"], row["adjudicated"]) == ("2.25.12", contrary, "yes")
        await admin("export", "labels", "-o", tmp_path / "labels.csv", "--from", "2026-01-01")
        assert len((tmp_path / "labels.csv").read_text().splitlines()) == 2
        assert "role does not allow" in await second("export", "labels", code=1)
        assert "can't be written" in await admin("export", "labels", "-o", tmp_path / "no" / "where.csv", code=1)
        fares = await second("models", "watch", "tiny", "0.1.0")
        assert "drift can't be told" in fares
        assert "readers on grey\t0 of 1 confirmed, 0 wait" in fares
        assert "disagreement" in await first("feedback", "reopen", feedback_id)
        assert json.loads(await first("models", "watch", "tiny", "0.1.0", "--json"))["agreement"][0]["waiting"] == 1
