"""A pool of limited child processes: hostile bytes are only ever parsed in one of them. ADR 0021 has the reasons.

A child is reused while it answers, and replaced after a failure or `FILES_PER_CHILD` files. A file on which a used
child dies is shown to a fresh one: an earlier file, or the kernel, may be to blame. What a child sends is never
unpickled.

A conversation is a file and a word about it, then one answer or several, none of which waits for the next: neither side
holds more than one slice of a file of many.
"""

import atexit
import contextlib
import multiprocessing
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import TypeVar

from codetect_ingest.child import READY, Answer, answer_slices, live
from codetect_ingest.dicom.instance import PreparedSlice
from codetect_ingest.dicom.reading import MAX_FRAMES
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.line import Line, line
from codetect_ingest.spoken import slices_of
from codetect_ingest.watch import Watch

FILES_PER_CHILD = 500
START_S = 60.0  # until a child is there, which takes none of a file's time
TIMEOUT_S = 5.0
EARNED_S = 1.0  # with each answer, to make the next
MEMORY_BYTES = 512 * 2**20
ANSWER_BYTES = 256 * 2**20
ANSWER_RATIO = 16  # answers to one file may be so many times as large as the file, on top
ANSWERS = MAX_FRAMES
PRELOADED = "codetect_ingest.dicom.instance"
OURS = "CODETECT_"
STARTING = threading.Lock()
EXHAUSTED = {Refusal.MEMORY, Refusal.UNREADABLE, Refusal.TIMEOUT}
T = TypeVar("T")
Source = bytes | Path  # a file's bytes, or where it lies when it is large


class Died(Refused):
    """The child ended before it had answered."""


class NotStarted(TimeoutError):
    """A child didn't come to life: no file's fault, so that trying again later may help."""


@dataclass(eq=False)
class Child:
    """A process and our end of its line; `files` it has read so far."""

    process: ForkServerProcess
    line: Line
    files: int = 0
    ready: bool = False

    def end(self) -> None:
        """Kill it, and hear no more of it: what it may have started could keep the line open."""
        self.process.kill()
        with contextlib.suppress(OSError):
            self.line.socket.shutdown(socket.SHUT_RDWR)

    def await_ready(self) -> None:
        """Wait until it has started: on a machine with much to do that takes its time. Raises NotStarted."""
        if self.ready:
            return
        try:
            self.ready = bool(wait([self.line.socket], START_S)) and self.line.receive(len(READY)) == [READY]
        except (EOFError, OSError):
            self.ready = False
        if not self.ready:
            raise NotStarted("a process to read files in didn't start")


@dataclass
class Allowance:
    """The time that children have left for a file: never more than at first. What we do with answers doesn't count."""

    most_s: float
    left_s: float
    watch: Watch

    @contextlib.contextmanager
    def limit(self, child: Child) -> Iterator[None]:
        """Talk to a child inside; the watch ends one that hangs, even in the middle of an answer."""
        started, broken = time.monotonic(), False
        self.watch.begin(child, self.left_s, child.end)
        try:
            yield
        except (EOFError, OSError):
            broken = True
        finally:
            late = not self.watch.end(child)
            self.left_s -= time.monotonic() - started
        if broken:
            raise Refused(Refusal.TIMEOUT) if late else Died(Refusal.UNREADABLE)

    def earn(self) -> None:
        """Give time for the next answer."""
        self.left_s = min(self.most_s, self.left_s + EARNED_S)


class Children:
    """`size` children, for as many threads; `prepare` blocks until one is free and has answered.

    What they do with a file is `answer`; by default they prepare it. Each file gets `timeout_s`, and `EARNED_S` more
    for each slice, of which none may take longer than `timeout_s`.
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
        self._timeout_s, self._memory_bytes, self._answer = timeout_s, memory_bytes, answer or answer_slices
        self._idle: queue.LifoQueue[Child | None] = queue.LifoQueue()
        self.size = size
        self._alive: set[Child] = set()
        self._watch = Watch()
        self._closed = False
        atexit.register(self.close)
        for _ in range(size):
            self._idle.put(None)

    def warm(self) -> None:
        """Start every child now, so that the first upload needn't wait for them."""
        idle = [self._idle.get() for _ in range(self.size)]
        started = [child or self._start() for child in idle]
        for child in started:
            with contextlib.suppress(NotStarted):  # who needs it will say so
                child.await_ready()
            self._idle.put(child)

    def prepare(self, source: Source, key: bytes, take: Callable[[Iterator[PreparedSlice]], T]) -> T:
        """Run `dicom.instance.prepare` in a child; return what `take` makes of the slices, which come one by one.

        Should the child die under them, `take` is given them anew from the first. Raises `Refused`, for a child that
        died or took too long as well, out of the slices.
        """
        return self.ask(source, key, lambda answers: take(slices_of(answers)))

    def ask(self, source: Source, word: bytes, understand: Callable[[Iterator[list[bytes]]], T]) -> T:
        """Show a file, with a word about it, to a child; return its answers as understood.

        Raises Refused, and NotStarted where no child can be had.
        """
        child, healthy = self._idle.get(), False
        try:
            if child is None or not child.process.is_alive():
                child = self._start(instead_of=child)
            allowance = Allowance(self._timeout_s, self._timeout_s, self._watch)
            try:
                answer, healthy = self._converse(child, source, word, allowance, understand)
            except Died:
                if child.files == 0 or self._closed:
                    raise
                child = self._start(instead_of=child)
                answer, healthy = self._converse(child, source, word, allowance, understand)
            child.files += 1
            healthy = healthy and child.files < FILES_PER_CHILD
        finally:
            if child is not None and not healthy:
                self._end(child)
            self._idle.put(child if healthy else None)
        if isinstance(answer, Refused):
            raise answer
        return answer

    def _converse(
        self,
        child: Child,
        source: Source,
        word: bytes,
        allowance: Allowance,
        understand: Callable[[Iterator[list[bytes]]], T],
    ) -> tuple[T | Refused, bool]:
        """Return what was understood, and whether the child has ended its answers well."""
        child.await_ready()
        answers = _answers(child, source, word, allowance)
        try:
            return understand(answers), next(answers, None) is None
        except Refused as refused:
            if isinstance(refused, Died):
                raise
            return refused, refused.code not in EXHAUSTED and next(answers, None) is None

    def close(self) -> None:
        """End every child, also those at work: whoever waits for one gets `UNREADABLE`, and buries it."""
        atexit.unregister(self.close)
        self._closed = True
        self._watch.close()
        for child in list(self._alive):
            child.end()
        with contextlib.suppress(queue.Empty):
            while True:
                if idle := self._idle.get_nowait():
                    self._end(idle)

    def _start(self, instead_of: Child | None = None) -> Child:
        if instead_of:
            self._end(instead_of)
        if self._closed:
            raise NotStarted("no more files are read: the process is to stop")
        _run_forkserver()
        ours, theirs = line()
        process = self._context.Process(
            target=live,
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
        child.line.close()


def _run_forkserver() -> None:
    """See to it that the process runs which children are forked from, without the secrets of our own environment."""
    with STARTING:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(OURS)}
        try:
            forkserver.ensure_running()
        finally:
            os.environ.update(hidden)


def _answers(child: Child, source: Source, word: bytes, allowance: Allowance) -> Iterator[list[bytes]]:
    """Exchange one file for its answers, bounded in sum. Raises Refused for one that takes too long, Died."""
    left = ANSWER_BYTES + ANSWER_RATIO * size_of(source)
    for number in range(ANSWERS + 1):
        with allowance.limit(child):
            if number == 0:
                _show(child, source, word)
            answer = child.line.receive(max(0, min(left, ANSWER_BYTES)))
            if number == ANSWERS and answer:
                raise OSError("too many answers")
        if not answer:
            return
        allowance.earn()
        left -= sum(map(len, answer))
        yield answer


def size_of(source: Source) -> int:
    """Return how many bytes a file has."""
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _show(child: Child, source: Source, word: bytes) -> None:
    """Send a file, or lend it, to be read only: a child opens none itself."""
    if isinstance(source, bytes):
        child.line.send([word, source])
        return
    child.line.send([word])
    with source.open("rb") as file:
        child.line.lend(file.fileno())
