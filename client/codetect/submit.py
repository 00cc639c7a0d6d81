"""A submission from the caller's paths to the results: collect, post, complete, wait."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from codetect.errors import NotFinished, NothingToSubmit, Refused, TooMuch
from codetect.files import Rejected, Source, collect
from codetect.follow import Followed, Report, follow
from codetect.journal import Journal, fingerprint
from codetect.models import OpenUpload, Priority, Upload
from codetect.posting import Policy, post_all
from codetect.submission import Progress, Submission, outcome

if TYPE_CHECKING:
    from codetect.client import Client


@dataclass(frozen=True)
class Wishes:
    """What the caller wants done."""

    reference: str | None = None
    priority: Priority = "routine"
    models: tuple[str, ...] = ()


@dataclass
class Sending:
    """One submission on its way: files by their numbers, and those that this side keeps back."""

    client: "Client"
    files: dict[int, Source]
    unreadable: list[Rejected]
    wishes: Wishes
    journal: Journal
    parallel: int
    report: Report
    unsent: dict[int, Rejected] = field(default_factory=dict)

    @property
    def rejected(self) -> list[Rejected]:
        """All that the server never gets to see."""
        return [*self.unreadable, *(one for _, one in sorted(self.unsent.items()))]


async def submit(
    client: "Client",
    paths: Iterable[Path | str],
    wishes: Wishes,
    *,
    wait: bool,
    parallel: int,
    timeout_s: float,
    report: Report,
) -> Submission:
    """Do it all; what an earlier call left undone is taken up where it stopped."""
    with ExitStack() as stack:
        found = collect(paths, stack)
        if not found.sources:
            raise NothingToSubmit("There is nothing to submit: no file was found.", found.rejected)
        mark = fingerprint(client.url, found.sources, asdict(wishes))
        journal = stack.enter_context(Journal(mark))
        numbered = dict(enumerate(found.sources, 1))
        sending = Sending(client, numbered, found.rejected, wishes, journal, parallel, report)
        upload = await _earlier(sending)
        if upload is None or upload.state == "open":
            upload = await _send(sending, upload)
        followed = Followed(upload, finished=True)
        if wait:
            followed = await follow(client, upload.id, len(wishes.models), report, timeout_s)
        submission = outcome(followed.upload, followed.analyses, numbered, sending.rejected, found.left_out)
        if not followed.finished:
            message = f"Not all results were there after {timeout_s:.0f} s; the work goes on at the server."
            raise NotFinished(message, submission)
        journal.forget()
        return submission


async def _earlier(sending: Sending) -> Upload | None:
    """The upload of an earlier call that was interrupted, unless it came to nothing."""
    if sending.journal.upload_id is None:
        return None
    try:
        upload = await sending.client.upload(sending.journal.upload_id)
    except Refused as refused:
        if refused.status != 404:
            raise
        return None
    return None if upload.state == "expired" else upload


async def _send(sending: Sending, earlier: Upload | None) -> Upload:
    """Post what isn't there yet, and complete the upload."""
    policy = await _renewed(sending.client, earlier) if earlier else await _begun(sending)
    try:
        return await _post_and_complete(sending, policy)
    except Refused as refused:
        if refused.code != "claim-mismatch":
            raise
    # What is there isn't what the journal says: nothing of it can be relied on.
    return await _post_and_complete(sending, await _begun(sending))


async def _post_and_complete(sending: Sending, policy: Policy) -> Upload:
    client, journal = sending.client, sending.journal
    files = _within_limits(sending, policy.upload)
    total, done = sum(source.size for source in files.values()), 0

    def sent(size: int) -> None:
        nonlocal done
        done += size
        sending.report(Progress("upload", done, total))

    sent(sum(files[number].size for number in journal.posted & files.keys()))
    sending.unsent.update(await post_all(client.api, policy, files.items(), journal, sending.parallel, sent))
    posted = journal.posted & files.keys()
    if not posted:
        raise NothingToSubmit("There is nothing to submit: no file could be sent.", sending.rejected)
    claim = {"file_count": len(posted), "total_bytes": sum(files[number].size for number in posted)}
    current = await policy.current()
    try:
        return await client.complete(current.id, **claim)
    except Refused as refused:
        if refused.code != "upload-expired":
            raise
    await policy.current(refused=current)  # this machine slept, or its clock jumped
    return await client.complete(current.id, **claim)


async def _begun(sending: Sending) -> Policy:
    wishes = {name: value for name, value in asdict(sending.wishes).items() if value}
    headers = {"Idempotency-Key": token_hex(16)}
    response = await sending.client.api.request("POST", "/api/v1/uploads", json=wishes, headers=headers, retry=True)
    policy = Policy(sending.client.api, response)
    sending.journal.begin(policy.upload.id)
    return policy


async def _renewed(client: "Client", upload: Upload) -> Policy:
    return Policy(client.api, await client.api.request("POST", f"/api/v1/uploads/{upload.id}/renew", retry=True))


def _within_limits(sending: Sending, upload: OpenUpload) -> Mapping[int, Source]:
    """The files that this server takes; raises TooMuch when they are too many for one upload."""
    files = {number: source for number, source in sending.files.items() if source.size <= upload.max_file_bytes}
    detail = f"The file is larger than {upload.max_file_bytes / 1e6:,.0f} MB, the largest that is taken."
    for number in sending.files.keys() - files.keys():
        sending.unsent[number] = Rejected(file=sending.files[number].name, code="too_large", detail=detail)
    total = sum(source.size for source in files.values())
    if len(files) > upload.max_files:
        raise TooMuch(
            f"There are {len(files):,} files, and one upload takes {upload.max_files:,}. Submit fewer at once."
        )
    if total > upload.max_total_bytes:
        most = f"{upload.max_total_bytes / 1e9:,.1f} GB"
        raise TooMuch(f"The files have {total / 1e9:,.1f} GB, and one upload takes {most}. Submit fewer at once.")
    return files
