"""A pool of limited child processes: hostile bytes are only ever parsed in one of them. ADR 0021 has the reasons.

A child is reused while it answers, and replaced after a failure or `FILES_PER_CHILD` files. A file on which a used
child dies is shown to a fresh one: an earlier file, or the kernel, may be to blame. What a child sends is never
unpickled.
"""

import atexit
import contextlib
import json
import logging
import multiprocessing
import os
import queue
import resource
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import TypeVar

from pydicom.uid import UID

from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import Prepared, PreparedSlice, prepare
from codetect_ingest.dicom.other import Other, named_by, other_of
from codetect_ingest.dicom.refusals import Refusal, Refused

FILES_PER_CHILD = 500
TIMEOUT_S = 5.0
MEMORY_BYTES = 512 * 2**20
ANSWER_BYTES = 256 * 2**20
ANSWER_PARTS = 10_000
PRELOADED = "codetect_ingest.dicom.instance"
ACCEPTED, REFUSED = b"accepted", b"refused"
OURS = "CODETECT_"
STARTING = threading.Lock()
EXHAUSTED = {Refusal.MEMORY, Refusal.UNREADABLE}
T = TypeVar("T")
Answer = Callable[[bytes, bytes], list[bytes]]  # a file and a word about it, to parts


class Died(Refused):
    """The child ended before it had answered."""


@dataclass(eq=False)
class Child:
    """A process and our end of its pipe; `files` it has read so far."""

    process: ForkServerProcess
    pipe: Connection
    files: int = 0


class Children:
    """`size` children, for as many threads; `prepare` blocks until one is free and has answered.

    What they do with a file is `answer`; by default they prepare it.
    """

    def __init__(
        self,
        size: int,
        *,
        timeout_s: float = TIMEOUT_S,
        memory_bytes: int = MEMORY_BYTES,
        answer: Answer | None = None,
    ) -> None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([PRELOADED])
        self._timeout_s, self._memory_bytes, self._answer = timeout_s, memory_bytes, answer or _answer
        self._idle: queue.LifoQueue[Child | None] = queue.LifoQueue()
        self.size = size
        self._alive: set[Child] = set()
        self._closed = False
        atexit.register(self.close)
        for _ in range(size):
            self._idle.put(None)

    def warm(self) -> None:
        """Start every child now, so that the first upload needn't wait for them."""
        idle = [self._idle.get() for _ in range(self.size)]
        for child in idle:
            self._idle.put(child or self._start())

    def prepare(self, data: bytes, key: bytes) -> Prepared:
        """Run `dicom.instance.prepare` in a child. Raises `Refused`, also for a child that died or took too long."""
        return self.ask(data, key, understand)

    def ask(self, data: bytes, key: bytes, understand: Callable[[list[bytes]], T | Refused]) -> T:
        """Show a file, with a word about it, to a child; return its answer as understood. Raises `Refused`."""
        child, healthy = self._idle.get(), False
        try:
            if child is None or not child.process.is_alive():
                child = self._start(instead_of=child)
            until = time.monotonic() + self._timeout_s
            try:
                answer = understand(self._ask(child, data, key, until))
            except Died:
                if child.files == 0 or self._closed:
                    raise
                child = self._start(instead_of=child)
                answer = understand(self._ask(child, data, key, until))
            child.files += 1
            exhausted = isinstance(answer, Refused) and answer.code in EXHAUSTED
            healthy = child.files < FILES_PER_CHILD and not exhausted
        finally:
            if child is not None and not healthy:
                self._end(child)
            self._idle.put(child if healthy else None)
        if isinstance(answer, Refused):
            raise answer
        return answer

    def close(self) -> None:
        """End every child, also those at work: whoever waits for one gets `UNREADABLE`, and buries it."""
        atexit.unregister(self.close)
        self._closed = True
        for child in list(self._alive):
            child.process.kill()
        with contextlib.suppress(queue.Empty):
            while True:
                if idle := self._idle.get_nowait():
                    self._end(idle)

    def _start(self, instead_of: Child | None = None) -> Child:
        if instead_of:
            self._end(instead_of)
        _run_forkserver()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_live,
            args=(theirs, self._memory_bytes, 2 * self._timeout_s, self._answer),
            name="codetect-dicom",
            daemon=True,
        )
        process.start()
        theirs.close()
        child = Child(process, ours)
        self._alive.add(child)
        return child

    def _end(self, child: Child) -> None:
        """Kill and reap it; it holds nothing worth a goodbye."""
        self._alive.discard(child)
        child.process.kill()
        child.process.join()
        child.pipe.close()

    def _ask(self, child: Child, data: bytes, key: bytes, until: float) -> list[bytes]:
        """Exchange one file for its answer; the timer's kill ends a child that hangs, even in the middle of one."""
        late = threading.Event()

        def kill() -> None:
            late.set()
            child.process.kill()

        timer = threading.Timer(until - time.monotonic(), kill)
        timer.start()
        try:
            child.pipe.send_bytes(key)
            child.pipe.send_bytes(data)
            return _received(child.pipe)
        except (EOFError, OSError):
            raise (Refused(Refusal.TIMEOUT) if late.is_set() else Died(Refusal.UNREADABLE)) from None
        finally:
            timer.cancel()


def _run_forkserver() -> None:
    """See to it that the process runs which children are forked from, without the secrets of our own environment."""
    with STARTING:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(OURS)}
        try:
            forkserver.ensure_running()
        finally:
            os.environ.update(hidden)


def _received(pipe: Connection) -> list[bytes]:
    """Take an answer's parts, bounded in number and in sum. Raises OSError for more."""
    count = int.from_bytes(pipe.recv_bytes(4), "big")
    if count > ANSWER_PARTS:
        raise OSError("too many parts")
    left, parts = ANSWER_BYTES, []
    for _ in range(count):
        parts.append(pipe.recv_bytes(left))
        left -= len(parts[-1])
    return parts


def understand(answer: list[bytes]) -> Prepared | Refused:
    """Read what a child said; one that talks nonsense was taken over by its file, and is as good as dead."""
    try:
        if answer[0] == REFUSED:
            refused = Refused(Refusal(answer[1].decode()), answer[2].decode())
            refused.other = Other.model_validate_json(answer[3]) if answer[3:] and answer[3] else None
            refused.named = _two_uids(answer[4]) if answer[4:] and answer[4] else None
            return refused
        if len(answer) % 3 != 1:
            return Refused(Refusal.UNREADABLE)
        told = zip(answer[1::3], answer[2::3], answer[3::3], strict=True)
        return Prepared(slices=[_slice(*parts) for parts in told])
    except (ValueError, IndexError):
        return Refused(Refusal.UNREADABLE)


def _two_uids(text: bytes) -> tuple[str, str]:
    kind, instance = text.decode().split()
    if not (UID(kind).is_valid and UID(instance).is_valid):
        raise ValueError("a UID that is none")
    return kind, instance


def _slice(facts: bytes, clean: bytes, hu: bytes) -> PreparedSlice:
    found = PreparedSlice.model_validate(json.loads(facts) | {"clean": clean, "hu": hu})
    if not 0 <= found.header[0] <= found.header[1] <= len(clean):
        raise ValueError("a header outside of its file")
    return found


def _live(pipe: Connection, memory_bytes: int, orphan_s: float, answer: Answer) -> None:
    """Answer one file after another until the pipe closes. The alarm is for a child whose parent was killed."""
    _limit(memory_bytes)
    with contextlib.suppress(EOFError, OSError):
        while True:
            key, data = pipe.recv_bytes(), pipe.recv_bytes()
            signal.setitimer(signal.ITIMER_REAL, orphan_s)
            parts = answered(answer, data, key)
            pipe.send_bytes(len(parts).to_bytes(4, "big"))
            for part in parts:
                pipe.send_bytes(part)
            signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(data: bytes, key: bytes) -> list[bytes]:
    try:
        found = prepare(data, Pseudonyms(key))
    except Refused as refused:
        return [REFUSED, refused.code.encode(), refused.note.encode(), _other(refused, data, key), _named(data)]
    answer = [ACCEPTED]
    for one in found.slices:
        answer += one.model_dump_json(exclude={"clean", "hu"}).encode(), one.clean, one.hu
    return answer


def answered(answer: Answer, data: bytes, key: bytes) -> list[bytes]:
    """Answer, whatever happens."""
    try:
        return answer(data, key)
    except Refused as refused:
        return [REFUSED, refused.code.encode(), refused.note.encode()]
    except MemoryError:
        return [REFUSED, Refusal.MEMORY.encode(), b""]
    except Exception:
        return [REFUSED, Refusal.UNREADABLE.encode(), b""]


def _other(refused: Refused, data: bytes, key: bytes) -> bytes:
    """Say what a file is that may be kept although it isn't analysed; nothing where that can't be told."""
    if not refused.keepable:
        return b""
    try:
        return other_of(data, Pseudonyms(key)).model_dump_json().encode()
    except Exception:
        return b""


def _named(data: bytes) -> bytes:
    """Say which instance a refused file is; nothing where that can't be told."""
    try:
        return " ".join(named_by(data) or ()).encode()
    except Exception:
        return b""


def _limit(memory_bytes: int) -> None:
    """Keep what this process may take from now on within bounds, and its voice down: values could be in any message."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with open("/proc/self/statm") as statm:
        virtual, resident = (int(pages) * resource.getpagesize() for pages in statm.read().split()[:2])
    resource.setrlimit(resource.RLIMIT_AS, (virtual - resident + memory_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    logging.disable()
