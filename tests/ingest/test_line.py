import os
import struct
import threading
import time
from pathlib import Path

import pytest
from codetect_ingest.line import GATHERED_BYTES, PARTS, Line, line
from codetect_ingest.watch import Watch


@pytest.mark.parametrize(
    "parts", [[], [b""], [b"a", b"", b"b"], [b"a", bytes(GATHERED_BYTES), b"b", bytes(3_000_000), b"c", b"d"]], ids=len
)
def test_what_is_sent_arrives_in_its_parts(parts: list[bytes]) -> None:
    ours, theirs = line()
    sending = threading.Thread(target=lambda: [ours.send(parts) for _ in range(3)])
    sending.start()
    assert [theirs.receive(sum(map(len, parts))) for _ in range(3)] == [parts] * 3
    sending.join()
    closed(ours, theirs)


@pytest.mark.parametrize("said", [[PARTS + 1], [1, 11], [2, 10, 1], [2**32 - 1], [1, 2**32 - 1]])
def test_what_is_too_much_is_not_taken(said: list[int]) -> None:
    ours, theirs = line()
    ours.socket.sendall(struct.pack(f"!{len(said)}I", *said))
    with pytest.raises(OSError, match="too many"):
        theirs.receive(10)
    closed(ours, theirs)


@pytest.mark.parametrize("said", [b"", b"\0", struct.pack("!2I", 1, 10), struct.pack("!2I", 1, 10) + b"only"])
def test_an_end_that_goes_in_the_middle_is_noticed(said: bytes) -> None:
    ours, theirs = line()
    ours.socket.sendall(said)
    ours.close()
    with pytest.raises(EOFError):
        theirs.receive(10)
    closed(theirs)


def test_an_open_file_is_lent(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    ours, theirs = line()
    with (tmp_path / "file").open("rb") as file:
        ours.send([b"word"])
        ours.lend(file.fileno())
    assert theirs.receive(4) == [b"word"]
    with os.fdopen(theirs.borrow(), "rb") as lent:
        assert lent.read() == b"content"
    ours.close()
    with pytest.raises(EOFError):
        theirs.borrow()
    closed(theirs)


def test_the_watch_calls_what_is_late_and_nothing_else() -> None:
    watch, called = Watch(), []
    watch.begin("long", 60, lambda: called.append("long"))
    watch.begin("done", 0.05, lambda: called.append("done"))
    assert watch.end("done")
    for name in ("first", "second"):  # shorter than what the thread sleeps for
        watch.begin(name, 0.05, lambda name=name: called.append(name))
    until = time.monotonic() + 10
    while len(called) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert called == ["first", "second"]
    assert not watch.end("first")
    assert watch.end("long")
    watch.close()


def closed(*ends: Line) -> None:
    for each in ends:
        each.close()
