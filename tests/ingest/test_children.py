import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
import psutil
import pytest
from codetect_ingest.children import ANSWER_BYTES, ANSWER_RATIO, ANSWERS, Children, NotStarted, Source
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import Instance, PreparedSlice, prepare
from codetect_ingest.dicom.reading import LARGE
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.spoken import slices_of
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from tests.ingest.processes import parent, resident
from tests.ingest.samples import KEY, SAMPLE, big, ct, enhanced, images, streams, written

TINY = written(ct())


@pytest.fixture
def children() -> Iterator[Children]:
    OTHERS.update(p.pid for p in living())
    pool = Children(2)
    yield pool
    pool.close()


OTHERS: set[int] = set()


def refusal(children: Children, data: Source) -> str:
    with pytest.raises(Refused) as refused:
        children.prepare(data, KEY, list)
    return refused.value.code.value


def living() -> list[psutil.Process]:
    """The processes that read files now: those that the forkserver has forked for this module's pools."""
    ours = [p for p in psutil.Process().children(recursive=True) if p.pid not in OTHERS]
    return [p for p in ours if parent(p) not in (os.getpid(), None)]


def deflated_bomb() -> bytes:
    """A megabyte or so that inflates to gigabytes."""
    ds = ct()
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    whole = written(ds)
    start = whole.index(b"1.2.840.10008.1.2.1.99") + 22
    start = 132 + 12 + int.from_bytes(whole[140:144], "little")
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1 << 20)
    body = stream.compress(b"\xe1\x7f\x10\x00OB\x00\x00" + (2**31 - 2).to_bytes(4, "little"))
    return whole[:start] + body + b"".join(stream.compress(zeros) for _ in range(1200)) + stream.flush()


def rle_bomb() -> bytes:
    ds = ct(Rows=4096, Columns=4096, BitsAllocated=32, BitsStored=32, HighBit=31)
    header = (4).to_bytes(4, "little") + b"".join((64 + n).to_bytes(4, "little") for n in range(4)) + bytes(44)
    ds.PixelData = encapsulate([header + b"\x81\x00" * 200])
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = uid.RLELossless
    return written(ds)


def nested(depth: int) -> bytes:
    innermost = Dataset()
    innermost.TextValue = "x"
    data = written(ct())
    start = data.index(b"\xe0\x7f\x10\x00")
    opening = b"\x40\x00\x30\xa7SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closing = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    return data[:start] + opening * depth + closing * depth + data[start:]


def test_a_child_answers_what_the_function_answers(children: Children) -> None:
    data = next(SAMPLE.glob("*.dcm")).read_bytes()
    assert children.prepare(data, KEY, list) == list(prepare(data, Pseudonyms(KEY)))
    assert refusal(children, b"nonsense") == "not_dicom"


def test_children_are_reused_and_are_as_many_as_asked(children: Children) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: children.prepare(TINY, KEY, list), range(100)))
    assert len(living()) <= 2
    before = {p.pid for p in living()}
    children.prepare(TINY, KEY, list)
    assert {p.pid for p in living()} == before


@pytest.mark.parametrize("bomb", [deflated_bomb, rle_bomb, lambda: nested(5000)], ids=["deflated", "rle", "nested"])
def test_a_bomb_costs_its_own_outcome_and_nothing_else(children: Children, bomb) -> None:
    data, peak, done = bomb(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max([peak, *map(resident, living())])

    children.warm()
    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    code = refusal(children, data)
    elapsed = time.monotonic() - started
    done.set()
    watcher.join()
    assert code in {"memory", "unreadable", "malformed", "undecodable", "timeout"}
    assert elapsed < 5.5
    assert peak <= 512 * 2**20
    assert children.prepare(TINY, KEY, list)[0].instance.rows == 16


def test_a_child_that_takes_too_long_is_killed_and_replaced() -> None:
    pool = Children(1, timeout_s=1)
    pool.warm()
    pool.prepare(TINY, KEY, list)
    (child,) = living()
    os.kill(child.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert refusal(pool, TINY) == "timeout"
    assert time.monotonic() - started < 2
    assert pool.prepare(TINY, KEY, list)[0].instance.rows == 16
    pool.close()
    assert living() == []


def killed_in_the_middle() -> None:
    """The one child stops, and a moment later it is gone."""
    (child,) = living()
    os.kill(child.pid, signal.SIGSTOP)
    threading.Timer(0.3, lambda: os.kill(child.pid, signal.SIGKILL)).start()


def test_a_file_that_kills_a_fresh_child_is_refused_and_the_next_is_fine() -> None:
    pool = Children(1)
    pool.warm()
    killed_in_the_middle()
    assert refusal(pool, TINY) == "unreadable"
    assert pool.prepare(TINY, KEY, list)[0].instance.rows == 16
    pool.close()


def test_a_used_child_that_dies_in_the_middle_costs_nothing(children: Children) -> None:
    children.prepare(TINY, KEY, list)
    killed_in_the_middle()
    assert children.prepare(TINY, KEY, list)[0].instance.rows == 16


def test_a_child_that_died_while_idle_costs_nothing(children: Children) -> None:
    children.prepare(TINY, KEY, list)
    (child,) = living()
    child.kill()
    child.wait(2)
    assert children.prepare(TINY, KEY, list)[0].instance.rows == 16


def test_a_child_cannot_write_files_or_take_memory_without_end(children: Children) -> None:
    children.prepare(TINY, KEY, list)
    (child,) = living()
    assert child.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert child.rlimit(psutil.RLIMIT_AS)[0] < 1 << 30


def test_all_malformed_files_have_an_outcome_in_time(children: Children) -> None:
    with tarfile.open(big("dicom/malformed.tar.gz")) as archive:
        files = [archive.extractfile(m).read() for m in archive if m.name.endswith(".dcm")]  # type: ignore[union-attr]
    assert len(files) == 475

    def outcome(data: bytes) -> tuple[str, float]:
        started = time.monotonic()
        try:
            children.prepare(data, KEY, list)
            return "accepted", time.monotonic() - started
        except Refused as refused:
            return refused.code.value, time.monotonic() - started

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(outcome, files))
    assert max(seconds for _, seconds in outcomes) < 5
    assert "unreadable" not in {code for code, _ in outcomes}
    assert children.prepare(TINY, KEY, list)[0].instance.rows == 16
    assert np.mean([seconds for _, seconds in outcomes]) < 1


@pytest.mark.parametrize(
    "said",
    [
        [],
        [[]],
        [[b"refused"]],
        [[b"refused", b"no such code", b""]],
        [[b"refused", b"\xff", b""]],
        [[b"accepted", b"{}", b"", b""]],
        [[b"accepted", b"{}", b""]],
    ],
)
def test_a_child_that_talks_nonsense_is_as_good_as_dead(said: list[list[bytes]]) -> None:
    with pytest.raises(Refused) as refused:
        list(slices_of(iter(said)))
    assert refused.value.code == "unreadable"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """600 frames of 512 x 512, 315 MB."""
    path = tmp_path_factory.mktemp("large") / "enhanced.dcm"
    path.write_bytes(written(enhanced(600, 512)))
    yield path
    path.unlink()


def test_a_file_of_many_frames_takes_the_memory_of_a_few(children: Children, large: Path) -> None:
    peak = 0

    def take(slices: Iterator[PreparedSlice]) -> list[Instance]:
        nonlocal peak
        found = []
        for one in slices:
            found.append(one.instance)
            peak = max(peak, *(process.memory_info().rss for process in living()))
        return found

    found = children.prepare(large, KEY, take)
    assert [one.position_mm[2] for one in found] == [2.5 * n for n in range(600)]
    assert len({one.sop_instance_uid for one in found}) == 600
    assert peak < 200 * 2**20 < large.stat().st_size


def test_a_slice_out_of_a_large_file_is_what_it_is_out_of_a_small_one(children: Children, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data := written(enhanced(70, 512)))
    assert len(data) > LARGE
    kept = children.prepare(path, KEY, lambda slices: [one.instance.sha256 for one in slices][::30])
    assert kept == [hashlib.sha256(one.clean).hexdigest() for one in islice(prepare(data, Pseudonyms(KEY)), 0, 70, 30)]


@pytest.mark.parametrize("promised", [2, 4, 600])
@pytest.mark.parametrize("compressed", [False, True], ids=["native", "compressed"])
def test_a_file_that_lies_about_its_frames_is_refused(
    children: Children, tmp_path: Path, promised: int, compressed: bool
) -> None:
    ds = enhanced(promised, 16)
    ds.PixelData = images(3, 16).tobytes()
    if compressed:
        ds.PixelData, ds.file_meta.TransferSyntaxUID = encapsulate(streams(images(3, 16))), uid.RLELossless
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    path = tmp_path / "file"
    path.write_bytes(written(ds))
    assert refusal(children, path) == refusal(children, path.read_bytes()) == "size_mismatch"
    assert children.prepare(TINY, KEY, list)[0].instance.rows == 16


def test_a_large_file_that_was_cut_is_refused_at_once(children: Children, large: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with large.open("rb") as source:
        path.write_bytes(source.read(100 * 2**20))
    started = time.monotonic()
    assert refusal(children, path) == "truncated"
    assert time.monotonic() - started < 2


def slowly(_file: BinaryIO, word: bytes) -> Iterator[list[bytes]]:
    for number in range(6):
        time.sleep(float(word))
        yield [str(number).encode()]


class SlowToStart:
    """Takes two seconds to arrive in a child, as everything does on a machine with too much to do."""

    def __setstate__(self, state: dict[str, str]) -> None:
        time.sleep(2)

    def __getstate__(self) -> dict[str, str]:
        return {"": ""}

    def __call__(self, _file: BinaryIO, _word: bytes) -> Iterator[list[bytes]]:
        yield [b"here"]


def endlessly(_file: BinaryIO, word: bytes) -> Iterator[list[bytes]]:
    while True:
        yield [bytes(int(word))]


def leaving_another(_file: BinaryIO, _word: bytes) -> Iterator[list[bytes]]:
    """Hang, and leave a process that holds the line, too."""
    os.fork()
    time.sleep(20)
    yield [b"late"]


def test_a_line_that_is_held_by_a_childs_child_is_closed_in_time() -> None:
    pool = Children(1, timeout_s=1, answer=leaving_another)
    started = time.monotonic()
    with pytest.raises(Refused) as refused:
        pool.ask(TINY, b"", list)
    pool.close()
    assert refused.value.code.value == "timeout"
    assert time.monotonic() - started < 15


def test_each_answer_earns_time_for_the_next_but_none_may_take_too_long() -> None:
    pool = Children(1, timeout_s=3, answer=slowly)
    pool.warm()
    assert pool.ask(b"", b"0.8", list) == [[str(n).encode()] for n in range(6)]
    with pytest.raises(Refused, match="timeout"):
        pool.ask(b"", b"3.5", list)
    assert len(pool.ask(b"", b"0", list)) == 6
    pool.close()


def test_a_child_that_is_slow_to_start_takes_none_of_the_files_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Children(1, timeout_s=1)
    monkeypatch.setattr(pool, "_answer", SlowToStart())
    assert pool.ask(b"", b"0", list) == [[b"here"]]
    pool.close()


def test_a_child_that_does_not_start_is_no_fault_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codetect_ingest.children.START_S", 0.5)
    pool = Children(1, timeout_s=60)
    monkeypatch.setattr(pool, "_answer", SlowToStart())
    with pytest.raises(NotStarted):
        pool.ask(b"", b"0", list)
    monkeypatch.undo()
    assert pool.prepare(TINY, KEY, list)[0].instance.rows == 16
    pool.close()
    assert living() == []


def test_what_we_do_with_an_answer_takes_none_of_the_childs_time() -> None:
    pool = Children(1, timeout_s=2, answer=slowly)
    pool.warm()
    assert len(pool.ask(b"", b"0.2", lambda answers: [time.sleep(0.6) for _ in answers])) == 6
    pool.close()


def test_answers_without_end_are_cut_off() -> None:
    pool = Children(1, timeout_s=60, answer=endlessly)
    taken = 0

    def count(answers: Iterator[list[bytes]]) -> None:
        nonlocal taken
        taken = 0
        for (part,) in answers:
            taken += len(part)

    with pytest.raises(Refused):
        pool.ask(b"x" * 2**20, b"%d" % 2**24, count)
    assert taken <= ANSWER_BYTES + ANSWER_RATIO * 2**20
    with pytest.raises(Refused, match="unreadable"):
        pool.ask(b"", b"1", count)
    assert taken == ANSWERS
    pool.close()


def test_a_child_that_dies_between_slices_is_replaced_and_they_begin_anew(children: Children) -> None:
    children.prepare(TINY, KEY, list)
    data, beginnings = written(enhanced(40, 256)), 0

    def take(slices: Iterator[PreparedSlice]) -> list[int | None]:
        nonlocal beginnings
        beginnings += 1
        numbers = []
        for one in slices:
            numbers.append(one.instance.instance_number)
            if beginnings == 1 and len(numbers) == 10:
                for process in living():
                    process.kill()
        return numbers

    assert children.prepare(data, KEY, take) == list(range(1, 41))
    assert beginnings == 2


def test_a_process_that_forgets_to_close_its_children_still_ends() -> None:
    forgetful = "from codetect_ingest.children import Children\nif __name__ == '__main__':\n    Children(2).warm()\n"
    assert subprocess.run([sys.executable, "-c", forgetful], timeout=60, check=False).returncode == 0


def test_closing_ends_a_child_at_work() -> None:
    pool = Children(1)
    pool.warm()
    (child,) = living()
    os.kill(child.pid, signal.SIGSTOP)
    threading.Timer(0.3, pool.close).start()
    assert refusal(pool, TINY) == "unreadable"
    assert living() == []


def test_children_know_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import os, psutil\n"
        "from codetect_ingest.children import Children\n"
        "pool = Children(1)\n"
        "pool.warm()\n"
        "found = [p.environ() for p in psutil.Process().children(recursive=True)]\n"
        "assert len(found) >= 2, found\n"
        "assert not any('CODETECT_MASTER_KEY' in one for one in found)\n"
        "assert os.environ['CODETECT_MASTER_KEY'] == 'secret'\n"
        "pool.close()\n"
    )
    monkeypatch.setenv("CODETECT_MASTER_KEY", "secret")
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
