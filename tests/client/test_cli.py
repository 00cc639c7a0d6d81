"""The `codetect` command as a person or a script meets it: exit codes, streams, files."""

import asyncio
import csv
import io
import json
import os
import pty
import re
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from codetect.cli import app
from codetect.credentials import totp
from typer.testing import CliRunner

from tests.client.double import CLIENT_ID, CLIENT_SECRET, EMAIL, FACILITY_ID, PASSWORD, TOTP_SECRET, Double

CODETECT = Path(sys.executable).with_name("codetect")
DISCLAIMER = "Not a medical device. Not for clinical use."


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Awaitable[Ended]]


@pytest.fixture
def codetect(double: Double, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, with the credentials of an API client in its environment."""
    monkeypatch.setenv("CODETECT_FACILITY", double.url)
    monkeypatch.setenv("CODETECT_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("CODETECT_CLIENT_SECRET", CLIENT_SECRET)
    return command


async def start(*arguments: object) -> asyncio.subprocess.Process:
    """The command in a process of its own, for what signals and several at once do."""
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(CODETECT, *map(str, arguments), stdin=pipe, stdout=pipe, stderr=pipe)


async def command(*arguments: object, stdin: str = "") -> Ended:
    """The command in a thread, which is the same and quicker."""
    call = partial(CliRunner().invoke, app, list(map(str, arguments)), input=stdin, catch_exceptions=False)
    result = await asyncio.to_thread(call)
    return Ended(result.exit_code, result.stdout, result.stderr)


async def ended(process: asyncio.subprocess.Process) -> Ended:
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())


async def test_a_study_that_was_analysed_is_exit_0(codetect: Command, folder: Path) -> None:
    done = await codetect("submit", folder)
    assert (done.code, done.err) == (0, "")
    assert "covid: 75.0%, positive" in done.out
    assert "Few slices were read." in done.out
    assert DISCLAIMER in done.out


async def test_as_json_stdout_is_one_object_and_nothing_else(codetect: Command, folder: Path) -> None:
    done = await ended(await start("submit", folder, "--json"))
    assert (done.code, done.err) == (0, "")
    assert set(json.loads(done.out)) == {"upload_id", "studies", "rejected"}


async def test_a_refused_file_is_exit_1_and_a_line_on_stderr(codetect: Command, folder: Path) -> None:
    junk = folder / "junk\x1b[31m.txt"
    junk.write_text("junk")
    done = await codetect("submit", folder, "--json")
    assert done.code == 1
    assert done.err == f"{folder}/junk\\x1b[31m.txt: This isn't a DICOM file. [not_dicom]\n"
    assert json.loads(done.out)["rejected"][0]["file"] == str(junk)


async def test_wrong_usage_is_exit_2(codetect: Command, folder: Path, double: Double) -> None:
    for arguments in (
        ("submit",),
        ("submit", folder / "nowhere"),
        ("submit", folder, "--priority", "soon"),
        ("submit", folder, "--timeout", "-1"),
        ("analysis", "no-uuid"),
        ("analyses", "--status", "lost"),
        ("nonsense",),
    ):
        assert (await codetect(*arguments)).code == 2
    assert not double.log


async def test_an_empty_folder_and_a_server_that_is_away_are_exit_1(codetect: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = await codetect("submit", tmp_path / "empty")
    assert (done.code, done.err) == (1, "There is nothing to submit: no file was found.\n")
    done = await codetect("analyses", "--facility", "http://demo.localhost:9")
    assert done.code == 1
    assert "http://demo.localhost:9 can't be reached" in done.err


async def test_what_takes_too_long_is_exit_1_with_what_there_is(
    codetect: Command, double: Double, folder: Path
) -> None:
    double.go_on.clear()
    done = await codetect("submit", folder, "--json", "--timeout", "0.5")
    assert done.code == 1
    assert json.loads(done.out)["studies"][0]["analyses"][0]["status"] == "running"
    assert "The same command again goes on" in done.err


async def test_without_waiting_it_says_where_to_look(codetect: Command, double: Double, folder: Path) -> None:
    double.go_on.clear()
    done = await codetect("submit", folder, "--no-wait")
    assert done.code == 0
    assert f"codetect analyses --upload {next(iter(double.uploads))}" in done.out


async def test_the_wishes_reach_the_server(codetect: Command, double: Double, folder: Path) -> None:
    await codetect("submit", folder, "--no-wait", "--reference", "trial 7", "--priority", "urgent", "--model", "a")
    (upload,) = double.uploads.values()
    assert upload["wishes"] == {"reference": "trial 7", "priority": "urgent", "models": ["a"]}


async def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(
    codetect: Command, double: Double, folder: Path
) -> None:
    double.go_on.clear()
    process = await start("submit", folder)
    async with asyncio.timeout(30):
        while not double.analyses:
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGINT)
    done = await ended(process)
    assert (done.code, done.out) == (130, "")
    assert done.err == "Interrupted. The same command again goes on where this one stopped.\n"
    double.go_on.set()
    assert (await codetect("submit", folder)).code == 0
    assert len(double.uploads) == 1


async def test_a_killed_upload_goes_on_without_sending_again(codetect: Command, double: Double, folder: Path) -> None:
    double.fail("POST /codetect-raw/never", 500)
    process = await start("submit", folder, "--parallel", "1")
    async with asyncio.timeout(30):
        while len(double.posts) < 2:
            await asyncio.sleep(0)
    process.kill()
    await process.wait()
    assert (await codetect("submit", folder)).code == 0
    assert len(double.uploads) == 1
    assert len(double.posts) <= 6


async def test_progress_shows_on_a_terminal_and_not_in_a_pipe(codetect: Command, folder: Path) -> None:
    assert "Upload" not in (await codetect("submit", folder)).err
    main, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        CODETECT, "submit", str(folder), stdout=asyncio.subprocess.PIPE, stderr=terminal
    )
    os.close(terminal)
    reading = asyncio.create_task(asyncio.to_thread(read_all, main))
    done = await ended(process)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", await reading)
    assert (done.code, DISCLAIMER in done.out) == (0, True)
    for stage in "Upload", "5 of 5 slices":
        assert stage in shown


async def test_a_login_is_kept_for_this_user_alone(
    codetect: Command, double: Double, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CODETECT_FACILITY", "CODETECT_CLIENT_ID", "CODETECT_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    answers = f"{EMAIL}\n{PASSWORD}\n{totp(TOTP_SECRET)}\n"
    done = await codetect("login", double.url, stdin=answers)
    assert (done.code, done.err) == (0, "")
    assert "You are logged in as Ada Reader." in done.out
    (kept,) = home.rglob("logins.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD not in kept.read_text()
    assert "Ada Reader" in (await codetect("whoami")).out

    double.access.clear()
    together = [await start("whoami") for _ in range(4)]
    assert [(await ended(process)).code for process in together] == [0] * 4
    assert double.times("POST /api/v1/auth/refresh") == 1

    assert (await codetect("logout")).code == 0
    assert not double.refresh
    done = await codetect("whoami")
    assert (done.code, "login" in done.err) == (1, True)


async def test_a_wrong_code_may_be_tried_again_and_a_wrong_password_may_not(codetect: Command, double: Double) -> None:
    answers = f"{EMAIL}\n{PASSWORD}\n000000\nrecovery-code\n"
    done = await codetect("login", double.url, stdin=answers)
    assert (done.code, done.err) == (0, "Code-refused.\n")
    done = await codetect("login", double.url, stdin=f"{EMAIL}\nwrong\n")
    assert (done.code, done.err) == (1, "Login-refused.\n")


async def test_a_first_login_shows_the_secret_and_the_recovery_codes(codetect: Command, double: Double) -> None:
    answers = f"x\n{totp(TOTP_SECRET)}\n"
    done = await codetect("login", double.url, "--email", "new@example.org", stdin=answers)
    assert done.code == 0
    for shown in TOTP_SECRET, "otpauth://", "one", "two":
        assert shown in done.out


async def test_a_login_goes_before_the_environment_and_that_before_the_demo(
    codetect: Command, double: Double, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = {"url": double.url, "email": EMAIL, "password": PASSWORD, "totp_secret": TOTP_SECRET}
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    (home / ".local").mkdir()
    operator = person | {"url": double.url.replace("demo", "admin")}
    demo = {"url": f"{double.url}/", "operator": operator, "admin": person, "member": person, "api_client": client}
    (home / ".local" / "demo.json").write_text(json.dumps(demo))
    (home / "below").mkdir()
    monkeypatch.chdir(home / "below")
    monkeypatch.setenv("CODETECT_CLIENT_SECRET", "wrong")
    assert (await codetect("models")).code == 1
    for name in ("CODETECT_FACILITY", "CODETECT_CLIENT_ID", "CODETECT_CLIENT_SECRET"):
        monkeypatch.delenv(name)
    assert (await codetect("models")).code == 0
    assert double.times("POST /oauth/token") == 2
    done = await codetect("models", "--facility", "http://elsewhere.localhost:1")
    assert (done.code, "no credentials" in done.err) == (1, True)
    await codetect("login", stdin=f"{EMAIL}\n{PASSWORD}\n{totp(TOTP_SECRET)}\n")
    assert (await codetect("models")).code == 0
    assert double.times("POST /oauth/token") == 2

    bundle = home / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_text("{}")
    assert "pushed 2.0.0 is registered" in (await codetect("models", "push", bundle)).out
    assert f"admin.localhost:{double.port}" in double.hosts


async def test_analyses_are_listed_shown_and_exported(
    codetect: Command, double: Double, folder: Path, tmp_path: Path
) -> None:
    double.analyses_per_study = 3
    await codetect("submit", folder)
    lines = (await codetect("analyses")).out.splitlines()
    assert len(lines) == 3
    assert lines[0].split("\t")[2:] == ["completed", "model-0 1.0.0", "covid 75% positive"]
    listed = json.loads((await codetect("analyses", "--json", "--limit", "2")).out)
    assert [one["status"] for one in listed] == ["completed"] * 2
    done = await codetect("analysis", listed[0]["id"])
    assert "covid: 75.0%, positive" in done.out
    assert DISCLAIMER in done.out
    assert json.loads((await codetect("analysis", listed[0]["id"], "--json")).out)["id"] == listed[0]["id"]

    rows = list(csv.DictReader(io.StringIO((await codetect("export")).out)))
    assert [(row["label"], row["probability"], row["tags"]) for row in rows] == [("covid", "0.75", "'=cmd()")] * 3
    done = await codetect("export", "--format", "jsonl", "--output", tmp_path / "all.jsonl")
    assert done.out == ""
    assert len({json.loads(line)["id"] for line in (tmp_path / "all.jsonl").read_text().splitlines()}) == 3


async def test_watch_shows_what_happens_until_ctrl_c(codetect: Command, double: Double, folder: Path) -> None:
    watchers = [await start("watch"), await start("watch", "--json")]
    async with asyncio.timeout(30):
        while len(double.sockets) < 2:
            await asyncio.sleep(0.02)
    await codetect("submit", folder)
    shown = []
    for watcher in watchers:
        await asyncio.sleep(0.5)
        watcher.send_signal(signal.SIGINT)
        done = await ended(watcher)
        assert (done.code, done.err) == (130, "")
        shown.append(done.out.splitlines())
    assert any("analysis completed" in line and "covid 75.0% positive" in line for line in shown[0])
    types = [json.loads(line)["type"] for line in shown[1]]
    assert types[0] == "ready"
    assert types[-1] == "codetect.analysis.completed.v1"


def read_all(terminal: int) -> str:
    """What is written to a terminal until its last writer has gone."""
    shown = b""
    try:
        while part := os.read(terminal, 1 << 16):
            shown += part
    except OSError:
        pass
    os.close(terminal)
    return shown.decode()


async def test_the_operators_commands_say_what_they_did(codetect: Command, double: Double) -> None:
    await codetect("login", double.url, stdin=f"{EMAIL}\n{PASSWORD}\n{totp(TOTP_SECRET)}\n")
    here = ("--facility", double.url)
    done = await codetect("models", "activate", "model-0", "2.0.0", *here)
    assert (done.code, done.out) == (0, "model-0 2.0.0 reads new studies everywhere.\n")
    done = await codetect("models", "canary", "model-0", "2.0.0", "--share", "10", "--for", "demo", *here)
    assert done.out == "model-0 2.0.0 reads 10 % of the new studies at demo.\n"
    assert double.store["rollout"] == {"facility_id": FACILITY_ID, "share": 10}
    assert (await codetect("models", "canary", "model-0", "2.0.0", "--share", "101", *here)).code == 2
    done = await codetect("models", "shadow", "model-0", "2.0.0", "--for", "nobody", *here)
    assert (done.code, "There is no facility 'nobody'" in done.err) == (1, True)
    done = await codetect("models", "stop", "model-0", "2.0.0", "canary", "--for", "demo", *here)
    assert done.out == "model-0 2.0.0 is no canary any more.\n"
    listed = await codetect("models", "rollouts", *here)
    assert listed.out.splitlines() == [
        "model-0\t2.0.0\tactive\tall\tbefore it: 1.0.0",
        "model-0\t3.0.0\tcanary\tdemo\t10 %",
    ]
    done = await codetect("models", "rollback", "model-0", *here)
    assert done.out == "model-0 1.0.0 reads new studies everywhere.\n"
    compared = await codetect("models", "compare", "model-0", "3.0.0", *here)
    assert compared.out.splitlines() == [
        "all\tagainst 2.0.0\tcovid\t40 studies\t95.0% agree\t0.0312 apart\tpositive: 4 shown, 5 here, 4 both",
        "demo\tagainst 2.0.0\tcovid\t40 studies\t95.0% agree\t0.0312 apart\tpositive: 4 shown, 5 here, 4 both",
    ]
    assert json.loads((await codetect("models", "compare", "model-0", "3.0.0", "--json", *here)).out)["overall"]
