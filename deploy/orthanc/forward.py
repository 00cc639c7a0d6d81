"""What Orthanc receives, to CoDetect by STOW-RS. Nothing but Python itself, so that it runs beside any Orthanc.

Orthanc notes each new instance, in the transaction that stores it, in a log that it keeps (`/changes`). This reads that
log in order and moves its cursor, a number in a file, only past what CoDetect has answered for. So there is no queue
that could be lost: whoever stops, in whatever moment, what wasn't answered for is sent (again; storing is idempotent).

(Orthanc's own STOW-RS client doesn't tell a refused instance from an absent server: a script around it would either
lose what came while CoDetect was down or send an MR for ever.)
"""

import base64
import hashlib
import http.client
import json
import os
import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PAGE = 500
BATCH_INSTANCES, BATCH_BYTES = 100, 64 * 2**20
LOOK_S, LONGEST_WAIT_S, TIMEOUT_S, DEAD_AFTER_S = 1.0, 60.0, 300, 1800
BLOCK = 2**18
ANSWERED = {200, 202, 409}
"""PS3.18 10.5.3.1: each instance of the request has its own word in the answer."""
NOT_THIS_REQUEST = {400, 413, 415, 422, 500}
"""Worth another try in smaller parts: one bad instance must not hold back its neighbours, or those that come after."""
PATIENCE_S, PATIENCE_AGAIN_S = 3600, 60
"""How long an instance that CoDetect fails on (500) all by itself may hold back the others, at first and later."""
MARK = "/metadata/CoDetect"
"""Where Orthanc's pages show what became of an instance that isn't stored."""
WAITING = "waiting"
OURS = "CoDetect"
"""Manufacturer of the results that CoDetect sends back: they aren't sent to it again."""


class Later(Exception):
    """CoDetect can't take it now."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class Answer(NamedTuple):
    """What a server said, read to its end."""

    status: int
    headers: Message
    content: bytes

    def json(self) -> Any:
        """Its content; None where that is no JSON."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None


class Http:
    """One server. A connection each time: one that is kept may have been closed by the other end meanwhile."""

    def __init__(self, url: str, user: str, password: str, host: str = "") -> None:
        self.parts = urlsplit(url)
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.headers = {"Authorization": f"Basic {basic}"} | ({"Host": host} if host else {})

    def open(self) -> http.client.HTTPConnection:
        """A connection, not made yet."""
        kind = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        return kind(self.parts.hostname or "", self.parts.port, timeout=TIMEOUT_S)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request with a body in one piece or many."""
        with closing(self.open()) as connection:
            try:
                where = self.parts.path.rstrip("/") + path
                connection.request(method, where, body, self.headers | (headers or {}))
            except (BrokenPipeError, ConnectionResetError):
                # It may have said no, and why, before it had heard all.
                if connection.sock is None:
                    raise
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())

    def stream(self, path: str) -> Iterator[bytes]:
        """A GET, piece by piece."""
        with closing(self.open()) as connection:
            connection.request("GET", self.parts.path.rstrip("/") + path, headers=self.headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise http.client.HTTPException(f"Orthanc answered {answer.status}")
            while block := answer.read(BLOCK):
                yield block


class Forwarder:
    """Reads Orthanc's log from where the file says, sends, writes where it is now."""

    def __init__(self, orthanc: Http, facility: Path, cursor: Path, *, delete: bool, patience_s: float) -> None:
        self.orthanc, self.facility, self.cursor = orthanc, facility, cursor
        self.delete, self.patience_s = delete, patience_s
        self.told = ""
        self.codetect: Http | None = None
        self.failing: tuple[str, float] = ("", 0)

    def connect(self) -> Http:
        """CoDetect as the facility's file names it now; Orthanc's own entry, for sending again by hand, follows it."""
        try:
            text = self.facility.read_text()
            known = json.loads(text)
        except (OSError, ValueError):
            raise Later(f"No facility is named in {self.facility}", 5 * LOOK_S) from None
        if self.codetect is None or text != self.told:
            url, user, password = (known[name] for name in ("url", "client_id", "client_secret"))
            self.codetect = Http(url, user, password, known.get("host", ""))
            headers = {"HttpHeaders": {"Host": known["host"]}} if "host" in known else {}
            entry = {"Url": url.rstrip("/") + "/", "Username": user, "Password": password, **headers}
            self.ask("PUT", "/dicom-web/servers/codetect", entry)
            self.told = text
        return self.codetect

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Orthanc's answer; raises unless it does what it was asked."""
        answer = self.orthanc.call(method, path, None if body is None else json.dumps(body).encode())
        if answer.status >= 300:
            raise http.client.HTTPException(f"Orthanc answered {answer.status}")
        return answer.json()

    def step(self) -> bool:
        """One page of the log; whether there was anything."""
        self.connect()
        since = int(self.cursor.read_text()) if self.cursor.exists() else 0
        page = self.ask("GET", f"/changes?since={since}&limit={PAGE}")
        if not page["Changes"]:
            return False
        for batch in batches(self.wanted(page["Changes"])):
            self.send(batch)
        self.keep(page["Last"])
        return True

    def keep(self, since: int) -> None:
        """Whole or not at all."""
        fresh = self.cursor.with_suffix(".new")
        fresh.write_text(str(since))
        fresh.replace(self.cursor)

    def wanted(self, changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What is new or was put aside, and still there, in the order of the log, without our own results."""
        changes = [one for one in changes if one["ResourceType"] == "Instance"]
        new = {one["ID"] for one in changes if one["ChangeType"] == "NewInstance"}
        last = {one["ID"]: one["Seq"] for one in changes if one["ChangeType"] in ("NewInstance", "UpdatedMetadata")}

        def look(level: str, resources: list[str]) -> dict[str, dict[str, Any]]:
            asked = {"Resources": resources, "Level": level, "Metadata": True}
            return {one["ID"]: one for one in self.ask("POST", "/tools/bulk-content", asked)} if resources else {}

        found = look("Instance", list(last))
        instances = {name: one for name, one in found.items() if name in new or mark(one).startswith(WAITING)}
        series = look("Series", sorted({one["ParentSeries"] for one in instances.values()}))
        ours = {one["ID"] for one in series.values() if one["MainDicomTags"].get("Manufacturer") == OURS}
        return [
            instances[one] | {"Seq": number}
            for one, number in sorted(last.items(), key=lambda change: change[1])
            if one in instances and instances[one]["ParentSeries"] not in ours
        ]

    def send(self, batch: list[dict[str, Any]]) -> None:
        """Until CoDetect has answered for each; raises `Later`."""
        answer = self.stow(batch)
        status = answer.status
        if status in ANSWERED:
            self.settle(batch, refusals(answer, batch))
        elif status in NOT_THIS_REQUEST and len(batch) > 1:
            self.send(batch[: len(batch) // 2])
            self.send(batch[len(batch) // 2 :])
        elif status in NOT_THIS_REQUEST and status != 500:
            self.settle(batch, {batch[0]["ID"]: f"HTTP {status}"})
        elif status == 500 and self.held_up_by(batch[0]):
            self.put_aside(batch[0])
        else:
            after = answer.headers.get("Retry-After", "")
            raise Later(f"CoDetect answered {status}", float(after) if after.isdecimal() else None)

    def held_up_by(self, one: dict[str, Any]) -> bool:
        """Whether this one has failed for so long that the others go first."""
        if self.failing[0] != one["ID"]:
            self.failing = (one["ID"], time.monotonic())
        return time.monotonic() - self.failing[1] > (PATIENCE_AGAIN_S if mark(one) else self.patience_s)

    def put_aside(self, one: dict[str, Any]) -> None:
        """To the end of the log, where Orthanc writes that it was marked: it is sent again when the others were."""
        said = self.orthanc.call("PUT", f"/instances/{one['ID']}{MARK}", f"{WAITING}: CoDetect fails on it".encode())
        if said.status >= 300:
            raise http.client.HTTPException(f"Orthanc answered {said.status}")
        say(f"CoDetect fails on {one['ID']}: the others go first")
        self.failing = ("", 0)
        self.keep(one["Seq"])

    def stow(self, batch: list[dict[str, Any]]) -> Answer:
        """One POST, streamed from Orthanc."""
        boundary = os.urandom(16).hex()
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"--{boundary}--\r\n".encode()

        def body() -> Generator[bytes]:
            for one in batch:
                yield head
                yield from self.file(one)
                yield b"\r\n"
            yield tail

        size = sum(len(head) + int(one["FileSize"]) + 2 for one in batch) + len(tail)
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Content-Length": str(size),
            "Accept": "application/dicom+json",
        }
        with closing(body()) as parts:
            return self.connect().call("POST", "/studies", parts, headers)

    def file(self, one: dict[str, Any]) -> Iterator[bytes]:
        """An instance's file, piece by piece, of the size that was announced; its digest is noted."""
        digest, left = hashlib.md5(usedforsecurity=False), int(one["FileSize"])
        for block in self.orthanc.stream(f"/instances/{one['ID']}/file"):
            digest.update(block)
            left -= len(block)
            if left < 0:
                break
            yield block
        if left:
            raise http.client.HTTPException("A PACS sent an instance once more meanwhile")
        one["MD5"] = digest.hexdigest()

    def is_as_sent(self, one: dict[str, Any]) -> bool:
        """Whether Orthanc still has what was sent; what a PACS has sent in its place is yet to come in the log."""
        has = self.orthanc.call("GET", f"/instances/{one['ID']}/attachments/dicom/md5")
        return has.content.decode() == one.get("MD5")

    def settle(self, batch: list[dict[str, Any]], refused: dict[str, str]) -> None:
        """Mark what was refused, where who looks at it in Orthanc sees it; remove what was stored if told to; go on."""
        for one in batch:
            place = f"/instances/{one['ID']}"
            if why := refused.get(one["ID"]):
                self.orthanc.call("PUT", place + MARK, f"refused: {why}".encode())
                say(f"CoDetect refused {one['ID']}: {why}")
            elif self.delete and self.is_as_sent(one):
                self.orthanc.call("DELETE", place)
            elif mark(one):
                self.orthanc.call("DELETE", place + MARK)
        if stored := len(batch) - len(refused):
            say(f"CoDetect has {stored} more instances")
        self.keep(batch[-1]["Seq"])


def mark(one: dict[str, Any]) -> str:
    """What was said of an instance before."""
    return str(one["Metadata"].get("CoDetect", ""))


def batches(instances: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Requests of a size that is worth it, and that isn't much to send again."""
    batch: list[dict[str, Any]] = []
    size = 0
    for one in instances:
        if batch and (len(batch) == BATCH_INSTANCES or size + int(one["FileSize"]) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += int(one["FileSize"])
    if batch:
        yield batch


def refusals(answer: Answer, batch: list[dict[str, Any]]) -> dict[str, str]:
    """What CoDetect refused, by Orthanc's identifiers, and why: PS3.18 I.2, and where its sentences are."""
    module = answer.json() or {}

    def items(sequence: str) -> list[dict[str, Any]]:
        return list(module.get(sequence, {}).get("Value", []))

    def value(item: dict[str, Any], tag: str) -> Any:
        return (item.get(tag, {}).get("Value") or [None])[0]

    stored = {value(item, "00081155") for item in items("00081199")}
    failed = {value(item, "00081155"): value(item, "00081197") for item in items("00081198")}
    nameless = [value(item, "00081197") for item in items("0008119A")] or [None]
    more = answer.headers.get("Link", "").partition(">")[0].lstrip("<")
    found = {}
    for one in batch:
        uid = one["MainDicomTags"].get("SOPInstanceUID")
        if uid not in stored:
            reason = failed.get(uid, nameless[0])
            code = f"{reason:#06x}" if isinstance(reason, int) else f"HTTP {answer.status}"
            found[one["ID"]] = f"{code} {more}".strip()
    return found


def say(what: str) -> None:
    """One line of the log; Orthanc's identifiers are digests, nothing else of a patient is known here."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), what, flush=True)


def main() -> None:
    """Until told to stop, which may happen at any moment; `alive` asks whether another one still goes round."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    told = os.environ
    orthanc = Http(told.get("PACS_ORTHANC_URL", "http://127.0.0.1:8042"), "codetect", told["PACS_PASSWORD"])
    forwarder = Forwarder(
        orthanc,
        Path(told["PACS_FACILITY_FILE"]),
        Path(told["PACS_CURSOR_FILE"]),
        delete=told.get("PACS_DELETE", "") in ("1", "true"),
        patience_s=float(told.get("PACS_PATIENCE_S", PATIENCE_S)),
    )
    alive, wait_s, said = Path(f"{told['PACS_CURSOR_FILE']}.alive"), LOOK_S, ""
    if sys.argv[1:] == ["alive"]:
        sys.exit(not alive.exists() or time.time() - alive.stat().st_mtime > DEAD_AFTER_S)
    while True:
        alive.touch()
        try:
            wait_s, said = (0 if forwarder.step() else LOOK_S), ""
        except (Later, OSError, http.client.HTTPException) as trouble:
            after_s = trouble.after_s if isinstance(trouble, Later) else None
            wait_s = min(after_s or max(LOOK_S, 2 * wait_s), LONGEST_WAIT_S)
            if str(trouble) != said:
                said = str(trouble)
                say(f"Waiting ({said or type(trouble).__name__})")
        time.sleep(wait_s)


if __name__ == "__main__":
    main()
