"""What runs in a child: answers one file after another, and can do nothing else. ADR 0021 has the reasons."""

import contextlib
import logging
import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import BinaryIO

from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import prepare
from codetect_ingest.dicom.other import named_by, other_of
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicom.remembering import only_of
from codetect_ingest.line import Line

READY = b"ready"
ACCEPTED, REFUSED = b"accepted", b"refused"
Answer = Callable[[BinaryIO, bytes], Iterable[list[bytes]]]  # a file and a word about it, to answers in parts


def live(line: Line, memory_bytes: int, orphan_s: float, answer: Answer) -> None:
    """Say that we are there, then answer one file after another until the line closes.

    The alarm is for a child whose parent was killed.
    """
    _limit(memory_bytes)
    with contextlib.suppress(EOFError, OSError):
        line.send([READY])
        while True:
            asked, *sent = line.receive(memory_bytes)
            with BytesIO(sent[0]) if sent else open(line.borrow(), "rb") as file:
                signal.setitimer(signal.ITIMER_REAL, orphan_s)
                for parts in answered(answer, file, asked):
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    line.send(parts)
                    signal.setitimer(signal.ITIMER_REAL, orphan_s)
                signal.setitimer(signal.ITIMER_REAL, 0)
            line.send([])


def answer_slices(file: BinaryIO, key: bytes) -> Iterator[list[bytes]]:
    """Prepare a file: its slices, clean and as HU, or why it is refused and what can be told of it all the same."""
    only_of(key)
    try:
        for one in prepare(file, Pseudonyms(key)):
            yield [ACCEPTED, one.model_dump_json(exclude={"clean", "hu"}).encode(), one.clean, one.hu]
    except Refused as refused:
        yield [REFUSED, refused.code.encode(), refused.note.encode(), _other(refused, file, key), _named(file)]


def answered(answer: Answer, file: BinaryIO, word: bytes) -> Iterator[list[bytes]]:
    """Answer, whatever happens."""
    try:
        yield from answer(file, word)
    except Refused as refused:
        yield [REFUSED, refused.code.encode(), refused.note.encode()]
    except MemoryError:
        yield [REFUSED, Refusal.MEMORY.encode(), b""]
    except Exception:
        yield [REFUSED, Refusal.UNREADABLE.encode(), b""]


def _other(refused: Refused, file: BinaryIO, key: bytes) -> bytes:
    """Say what a file is that may be kept although it isn't analysed; nothing where that can't be told."""
    if not refused.keepable:
        return b""
    try:
        return other_of(file, Pseudonyms(key)).model_dump_json().encode()
    except Exception:
        return b""


def _named(file: BinaryIO) -> bytes:
    """Say which instance a refused file is; nothing where that can't be told."""
    try:
        return " ".join(named_by(file) or ()).encode()
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
