"""Files to the object store: several at a time, streamed from where they lie, retried, under one renewable policy."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from secrets import token_hex

import httpx

from codetect.api import TRANSIENT, Api, backoff, parse
from codetect.errors import CodetectError, Refused, Unreachable
from codetect.files import UNREADABLE, Rejected, Source
from codetect.journal import Journal
from codetect.models import OpenUpload

CHUNK_BYTES = 1 << 20
SPARE_S = 30
PATIENCE_S = 120
FEWEST_TRIES = 4
REFUSALS = 3
FORBIDDEN = 403
PASSING = TRANSIENT | {500}
Numbered = tuple[int, Source]


class Changed(Exception):
    """A file isn't as long as it was, or can't be read any more."""


class Policy:
    """The upload's POST policy, renewed before it ends or once it is refused.

    How long it is good for is measured on the server's clock and counted on this machine's: theirs may differ by hours.
    """

    def __init__(self, api: Api, response: httpx.Response) -> None:
        self._api = api
        self._lock = asyncio.Lock()
        self._take(response)

    async def current(self, refused: OpenUpload | None = None) -> OpenUpload:
        """A policy that is good for a while, and is not the one that was just refused."""
        async with self._lock:
            if self.upload is refused or time.monotonic() > self._good_until:
                self._take(await self._api.request("POST", f"/api/v1/uploads/{self.upload.id}/renew", retry=True))
            return self.upload

    def _take(self, response: httpx.Response) -> None:
        self.upload = parse(OpenUpload, response)
        now = datetime.now(UTC)
        with suppress(KeyError, ValueError):
            now = parsedate_to_datetime(response.headers["Date"])
        left = (self.upload.expires_at - now).total_seconds()
        self._good_until = time.monotonic() + max(left - SPARE_S, left / 2)


async def post_all(
    api: Api,
    policy: Policy,
    files: Iterable[Numbered],
    journal: Journal,
    parallel: int,
    sent: Callable[[int], None],
) -> dict[int, Rejected]:
    """Post the files that the journal doesn't have yet; gives those that turned out to be unreadable.

    `sent` hears of bytes as they leave, and of a negative number when some have to be sent again.
    """
    rejected: dict[int, Rejected] = {}
    waiting = iter([(number, source) for number, source in files if number not in journal.posted])

    async def lane() -> None:
        for number, source in waiting:
            try:
                await _post(api, policy, number, source, sent)
            except Changed as error:
                detail = f"The file can't be read: {error}."
                rejected[number] = Rejected(file=source.name, code="unreadable", detail=detail)
            else:
                journal.note_posted(number)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(parallel):
                group.create_task(lane())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return rejected


async def _post(api: Api, policy: Policy, number: int, source: Source, sent: Callable[[int], None]) -> None:
    """One file, whatever it takes: a renewed policy, another try after a pause, for two minutes of failures."""
    refused: OpenUpload | None = None
    refusals = 0
    deadline = math.inf
    for tries, pause in enumerate(backoff(0.2, 8), 1):
        upload = await policy.current(refused)
        refused, progress = None, 0
        failure: CodetectError

        def count(size: int) -> None:
            nonlocal progress
            progress += size
            sent(size)

        try:
            head, tail = _envelope(upload, number)
            response = await api.http.post(
                upload.post.url,
                content=_body(head[1], source, tail, count),
                headers={"Content-Type": head[0], "Content-Length": str(len(head[1]) + source.size + len(tail))},
            )
        except httpx.TransportError as error:
            failure = Unreachable(f"The object store can't be reached ({type(error).__name__}: {error}).")
            refused = upload if tries > 1 else None  # some stores refuse by cutting the connection
            passing = True
        except BaseException:
            sent(-progress)
            raise
        else:
            if response.is_success:
                sent(source.size - progress)
                return
            reason = _reason(response)
            failure = Refused(response.status_code, {"title": f"The object store refused a file ({reason})."})
            passing = response.status_code in PASSING or reason == "RequestTimeout"
            if response.status_code == FORBIDDEN:
                refused, refusals = upload, refusals + 1
                passing = refusals < REFUSALS
        sent(-progress)
        deadline = min(deadline, time.monotonic() + PATIENCE_S)
        if not passing or (tries >= FEWEST_TRIES and time.monotonic() > deadline):
            raise failure
        await asyncio.sleep(pause)


def _envelope(upload: OpenUpload, number: int) -> tuple[tuple[str, bytes], bytes]:
    """Content type, what comes before and what after the file in a form (RFC 7578); the file's own name stays here."""
    boundary = token_hex(16)
    fields = {**upload.post.fields, "key": f"{upload.key_prefix}{number:06}"}
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{number:06}"\r\n'
    before = "".join([*parts, file, "Content-Type: application/octet-stream\r\n\r\n"])
    return (f"multipart/form-data; boundary={boundary}", before.encode()), f"\r\n--{boundary}--\r\n".encode()


async def _body(before: bytes, source: Source, after: bytes, count: Callable[[int], None]) -> AsyncIterator[bytes]:
    """The form, at most a chunk of it in memory; exactly as many bytes of the file as were announced."""
    yield before
    left = source.size
    try:
        with source.open() as file:  # not in a thread: cancelled meanwhile, it would stay open
            while left:
                chunk = await asyncio.to_thread(file.read, min(left, CHUNK_BYTES))
                if not chunk:
                    raise Changed("it is shorter than it was")
                left -= len(chunk)
                yield chunk
                count(len(chunk))
    except UNREADABLE as error:
        raise Changed(str(error)) from error
    yield after


def _reason(response: httpx.Response) -> str:
    """The `Code` of an S3 error document."""
    _, _, rest = response.text.partition("<Code>")
    return rest.partition("</Code>")[0][:100] or f"status {response.status_code}"
