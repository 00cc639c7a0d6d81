"""Uploads and studies, as requests see them."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from codetect_shared import audit, outbox, topology
from codetect_shared.db import Database, one_at_a_time
from codetect_shared.events import UploadCompleted, UploadOpened
from codetect_shared.identifiers import refuse_identifiers
from codetect_shared.jobs import PRIORITIES
from codetect_shared.problems import Problem, ServiceUnavailable
from codetect_shared.storage import Listed, Storage, StorageUnavailable
from codetect_shared.tokens import Principal
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import objects, problems
from codetect_ingest.children import Children
from codetect_ingest.dicomweb.blocks import Blocks
from codetect_ingest.identities import settings_of
from codetect_ingest.keys import facility_key
from codetect_ingest.models import UPLOADS, Series, State, Study, Upload, UploadFile, now
from codetect_ingest.quota import FULL, check_quota, code_of
from codetect_ingest.schemas import (
    Claim,
    Post,
    SeriesOut,
    StudyOut,
    StudyPage,
    UploadOpenedOut,
    UploadOut,
    UploadRequest,
)
from codetect_ingest.settings import Settings

GAPS_SHOWN = 100
HEAD_START_S = 2  # for the importer that has read it already; others come to it when that one is gone


@dataclass(frozen=True)
class Ingest:
    """What requests work with."""

    settings: Settings
    db: Database
    storage: Storage
    children: Children
    viewers: Children
    blocks: Blocks
    hands: asyncio.Semaphore  # so many files of requests are held and read at a time


async def open_upload(
    session: AsyncSession, ingest: Ingest, who: Principal, request: UploadRequest, idempotency_key: str | None
) -> UploadOpenedOut:
    """Open an upload; asked again with the same key, answer with the same upload.

    Raises HoldsIdentifier, KeyReused, StorageQuotaReached, StudyQuotaReached, TooManyJobs.
    """
    refuse_identifiers("reference", request.reference or "")
    upload = Upload(
        facility_id=who.facility_id,
        created_by=who.subject,
        idempotency_key=idempotency_key,
        models=request.models,
        priority=PRIORITIES[request.priority],
        expires_at=now() + timedelta(minutes=ingest.settings.upload_minutes),
    )
    if idempotency_key:
        known = await _opened_before(session, upload)
        if known:
            return _opened(ingest, known)
    await check_quota(session, ingest.settings, who.facility_id)
    session.add(upload)
    await session.flush()
    if request.reference:
        key = await facility_key(session, who.facility_id, ingest.settings.master_key)
        upload.sealed_reference = key.seal(request.reference, upload.id)
    opened = UploadOpened(upload_id=upload.id, priority=request.priority, submitted_by=UUID(who.subject))
    await outbox.tell(session, upload, opened)
    await _ask_to_read(session, ingest.settings, upload)
    await audit.record(session, who, "upload.open", target=f"upload/{upload.id}")
    return _opened(ingest, upload)


async def renew_upload(session: AsyncSession, ingest: Ingest, upload_id: UUID) -> UploadOpenedOut:
    """Give an open upload more time. Raises UploadNotFound, UploadExpired, WrongState."""
    upload = await find_upload(session, upload_id, lock=True)
    if upload.state == State.EXPIRED:
        raise problems.UploadExpired("Begin a new upload.")
    if upload.state != State.OPEN:
        raise problems.WrongState(f"The upload is {upload.state}; nothing more can be posted.")
    upload.expires_at = now() + timedelta(minutes=ingest.settings.upload_minutes)
    await _ask_to_read(session, ingest.settings, upload)
    return _opened(ingest, upload)


async def complete_upload(ingest: Ingest, who: Principal, upload_id: UUID, claim: Claim) -> UploadOut:
    """Freeze what was posted and have it imported; asked again, even at once, the answer is the same.

    Raises UploadNotFound, UploadExpired, UploadEmpty, UploadTooLarge, ClaimMismatch, ServiceUnavailable, and what
    `check_quota` does. The listing is read between two transactions: a slow store must not hold one open.
    """
    async with ingest.db.facility(who.facility_id) as session:
        upload = await find_upload(session, upload_id)
        if upload.state == State.EXPIRED:
            raise problems.UploadExpired("Begin a new upload.")
        if upload.state != State.OPEN:
            return await show_upload(session, upload_id)
    try:
        listed = await ingest.storage.list("raw", objects.raw_prefix(who.facility_id, upload_id))
    except StorageUnavailable as error:
        raise ServiceUnavailable from error
    try:
        return await _complete(ingest, who, upload_id, claim, listed)
    except FULL as full:
        await _note_full(ingest, who, upload_id, full)
        raise


async def _complete(ingest: Ingest, who: Principal, upload_id: UUID, claim: Claim, listed: list[Listed]) -> UploadOut:
    async with ingest.db.facility(who.facility_id) as session:
        upload = await find_upload(session, upload_id, lock=True)
        if upload.state == State.OPEN:
            await check_quota(session, ingest.settings, who.facility_id, sum(file.size for file in listed))
            await _freeze(session, ingest.settings, upload, claim, listed)
            detail = {"files": upload.files_total, "bytes": upload.stored_bytes}
            await audit.record(session, who, "upload.complete", target=f"upload/{upload_id}", detail=detail)
        return await show_upload(session, upload_id)


async def _note_full(ingest: Ingest, who: Principal, upload_id: UUID, full: Problem) -> None:
    """Write down that there is no room: such an upload isn't waited for once its time is over (`sweep`)."""
    async with ingest.db.facility(who.facility_id) as session:
        upload = await find_upload(session, upload_id, lock=True)
        if upload.state == State.OPEN:
            upload.error_code, upload.error_detail = code_of(full), str(full)


async def show_upload(session: AsyncSession, upload_id: UUID) -> UploadOut:
    """Show an upload with the outcome of each file so far. Raises UploadNotFound."""
    upload = await find_upload(session, upload_id)
    files = await session.scalars(
        select(UploadFile).where(UploadFile.upload_id == upload_id).order_by(UploadFile.number)
    )
    return UploadOut.of(upload, list(files))


async def find_upload(session: AsyncSession, upload_id: UUID, *, lock: bool = False) -> Upload:
    """Find an upload of the session's facility, as it is now. Raises UploadNotFound."""
    query = select(Upload).where(Upload.id == upload_id).execution_options(populate_existing=True)
    upload = await session.scalar(query.with_for_update() if lock else query)
    if upload is None:
        raise problems.UploadNotFound
    return upload


async def list_studies(
    session: AsyncSession, cursor: str | None, limit: int, patient_id: str | None = None
) -> StudyPage:
    """List the newest studies first. Raises CursorInvalid."""
    query = select(Study).where(Study.instances > 0).order_by(Study.id.desc()).limit(limit + 1)
    if patient_id is not None:
        query = query.where(Study.patient_id == patient_id)
    if cursor:
        query = query.where(Study.id < _place(cursor))
    found = list(await session.scalars(query))
    items = await _with_series(session, found[:limit])
    more = len(found) > limit
    return StudyPage(items=items, next=base64.urlsafe_b64encode(items[-1].id.bytes).decode() if more else None)


async def show_study(session: AsyncSession, study_id: UUID) -> StudyOut:
    """Show one study. Raises StudyNotFound."""
    study = await session.get(Study, study_id)
    if study is None or not study.instances:
        raise problems.StudyNotFound
    return (await _with_series(session, [study]))[0]


async def _opened_before(session: AsyncSession, upload: Upload) -> Upload | None:
    """Return the upload that was opened with this key; of two requests at once, one waits for the other. KeyReused."""
    await one_at_a_time(session, f"{upload.facility_id}/{upload.created_by}/{upload.idempotency_key}")
    known: Upload | None = await session.scalar(
        select(Upload).where(Upload.created_by == upload.created_by, Upload.idempotency_key == upload.idempotency_key)
    )
    if known and (known.models, known.priority) != (upload.models, upload.priority):
        raise problems.KeyReused
    return known


async def _ask_to_read(session: AsyncSession, settings: Settings, upload: Upload) -> None:
    """Have an importer read what is posted while it arrives."""
    if settings.read_ahead_bytes:
        await outbox.ask_to_look(session, topology.UPLOADS_TO_READ, upload)


async def _freeze(
    session: AsyncSession, settings: Settings, upload: Upload, claim: Claim, listed: list[Listed]
) -> None:
    """Hold the listing against the claim and write it down, with the job and the event."""
    files = {number: file for file in listed if (number := objects.number_of(file.key)) is not None}
    size = sum(file.size for file in files.values())
    if upload.expires_at < now():
        raise problems.UploadExpired("Renew it, or begin a new one.")
    if claim.file_count == 0:
        raise problems.UploadEmpty
    if claim.file_count > settings.max_files or claim.total_bytes > settings.max_total_bytes:
        _too_large(settings)
    if (len(files), size) != (claim.file_count, claim.total_bytes):
        _mismatch(claim, sorted(files), size)
    rows = [
        {"upload_id": upload.id, "number": n, "facility_id": upload.facility_id, "etag": file.etag, "size": file.size}
        for n, file in sorted(files.items())
    ]
    await session.execute(insert(UploadFile), rows)
    upload.move(State.IMPORTING)
    upload.error_code = upload.error_detail = None
    upload.completed_at, upload.files_total, upload.stored_bytes = now(), len(rows), size
    await UPLOADS.enqueue(session, upload, head_start_s=HEAD_START_S)
    await outbox.tell(session, upload, UploadCompleted(upload_id=upload.id, files=len(rows), bytes=size))


def _too_large(settings: Settings) -> NoReturn:
    raise problems.UploadTooLarge(
        f"At most {settings.max_files} files and {settings.max_total_bytes} bytes are taken at once.",
        max_files=settings.max_files,
        max_total_bytes=settings.max_total_bytes,
    )


def _mismatch(claim: Claim, numbers: list[int], size: int) -> NoReturn:
    """Say what is missing, so that a client can post it and ask again."""
    present = set(numbers)
    gaps = [n for n in range(numbers[0], numbers[-1]) if n not in present] if numbers else []
    raise problems.ClaimMismatch(
        f"{claim.file_count} files with {claim.total_bytes} bytes were claimed; {len(numbers)} with {size} are there.",
        files_found=len(numbers),
        bytes_found=size,
        numbers_missing=gaps[:GAPS_SHOWN],
    )


async def _with_series(session: AsyncSession, studies: Sequence[Study]) -> list[StudyOut]:
    """Show studies of one facility with those of their series that were assembled."""
    if not studies:
        return []
    series: dict[UUID, list[SeriesOut]] = {study.id: [] for study in studies}
    assembled = Series.study_id.in_(series), Series.facts.is_not(None)
    for row in await session.scalars(select(Series).where(*assembled).order_by(Series.id)):
        series[row.study_id].append(SeriesOut.model_validate(row.facts))
    retention_days = (await settings_of(session, studies[0].facility_id)).retention_days
    return [StudyOut.of(study, series[study.id], retention_days) for study in studies]


def _place(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor))
    except ValueError as error:
        raise problems.CursorInvalid from error


def _opened(ingest: Ingest, upload: Upload) -> UploadOpenedOut:
    settings = ingest.settings
    prefix = objects.raw_prefix(upload.facility_id, upload.id)
    url, fields = ingest.storage.presign_post("raw", prefix, settings.max_file_bytes, upload.expires_at)
    return UploadOpenedOut(
        id=upload.id,
        state=State(upload.state),
        post=Post(url=url, fields=fields),
        key_prefix=prefix,
        max_file_bytes=settings.max_file_bytes,
        max_files=settings.max_files,
        max_total_bytes=settings.max_total_bytes,
        expires_at=upload.expires_at,
    )
