"""Registered models: a bundle is checked, run once, stored under its hash, then known; no process holds it before."""

import asyncio
import io
import zipfile
from typing import Any

import structlog
from codetect_shared import audit
from codetect_shared.db import Database
from codetect_shared.events import ModelRegistered
from codetect_shared.outbox import tell
from codetect_shared.storage import ObjectMissing, Storage
from codetect_shared.tokens import Principal
from fastapi import Request
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from codetect_inference import queries, rollouts
from codetect_inference.bundle import MANIFEST, BundleRefused, LoadedBundle, open_bundle
from codetect_inference.failures import (
    BundleNotAccepted,
    BundleTooLarge,
    LengthNeeded,
    ModelDoesNotRun,
    ModelOutOfService,
    ModelVersionTaken,
)
from codetect_inference.models import Kind, Model, bundle_prefix
from codetect_inference.remote import bundle_files
from codetect_inference.settings import Settings
from codetect_inference.signature import SIGNATURE
from codetect_inference.trial import prove

log = structlog.get_logger()
MAX_FILES = 64


class Registry:
    """What operators do with bundles, which takes longer than a transaction may last; one trial run at a time."""

    def __init__(self, db: Database, storage: Storage, settings: Settings) -> None:
        self._db, self._storage, self._settings, self._keys = db, storage, settings, settings.trusted_keys
        self._trying = asyncio.Lock()
        self._tried: dict[str, dict[str, Any]] = {}

    async def register(self, who: Principal, archive: bytes) -> tuple[Model, bool]:
        """Register a zipped bundle; returns it and whether it is new. The same bundle again is no error.

        The first version of a name serves at once, those that follow when they are activated.
        """
        try:
            files = await asyncio.to_thread(unzip, archive, self._settings.bundle_max_bytes)
            bundle = await asyncio.to_thread(open_bundle, files, self._keys)
            await self._try(files, bundle)
        except BundleRefused as error:
            raise BundleNotAccepted(str(error), code=error.code) from error
        prefix = bundle_prefix(bundle.manifest.name, bundle.manifest.version, bundle.sha256)
        for name in (MANIFEST, SIGNATURE, *bundle.manifest.files):
            await self._storage.put("models", prefix + name, files[name])
        async with self._db.facility(who.facility_id) as session:
            return await _enter(session, who, bundle)

    async def roll_out(self, who: Principal, name: str, version: str, wish: rollouts.Wish) -> rollouts.Standing:
        """Have a version take part, once it has been seen to load and run. Raises ModelDoesNotRun."""
        async with self._db.facility(who.facility_id) as session:
            row = await queries.model(session, name, version)
        if not row.active:
            raise ModelOutOfService
        try:
            files = {name: content async for name, content in bundle_files(self._storage, row.key_prefix)}
            bundle = await asyncio.to_thread(open_bundle, files, self._keys)
            facts = await self._try(files, bundle)
        except ObjectMissing as error:
            raise ModelDoesNotRun("A file of its bundle is missing in the object store; register it again.") from error
        except BundleRefused as error:
            raise ModelDoesNotRun(f"{error}. What served before goes on.") from error
        async with self._db.facility(who.facility_id) as session:
            row = await queries.model(session, name, version)
            if not row.active:  # taken out of service during its trial
                raise ModelOutOfService
            return await rollouts.enter(session, who, row, wish, facts)

    async def _try(self, files: dict[str, bytes], bundle: LoadedBundle) -> dict[str, Any]:
        """Run a bundle once, the very bytes once in the life of this process. Raises BundleModelUnusable."""
        async with self._trying:
            if bundle.sha256 not in self._tried:
                wanted = {name: files[name] for name in (MANIFEST, *bundle.manifest.files)}
                facts = await prove(wanted, self._settings.trial_timeout_s)
                self._tried[bundle.sha256] = facts
                log.info("model tried", model=bundle.manifest.name, version=bundle.manifest.version, **facts)
            return self._tried[bundle.sha256]


async def received(request: Request) -> bytes:
    """The zip in a multipart request; its length is checked before a byte of it is read."""
    limit = request.app.state.settings.bundle_max_bytes
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise LengthNeeded
    if int(length) > limit:
        raise BundleTooLarge(f"A bundle may have {limit:,} bytes.")
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("bundle")
            if not isinstance(file, UploadFile):
                raise BundleNotAccepted("The form has no file named `bundle`.", code="no_bundle")
            return await file.read()
    except HTTPException as error:  # no boundary, too many fields, ...
        raise BundleNotAccepted(f"The form can't be read: {error.detail}", code="no_bundle") from error


async def _enter(session: AsyncSession, who: Principal, bundle: LoadedBundle) -> tuple[Model, bool]:
    """The row of a bundle whose files are stored. Raises ModelVersionTaken."""
    facility_id, manifest = who.facility_id, bundle.manifest
    facts = {"name": manifest.name, "version": manifest.version, "sha256": bundle.sha256}
    row = Model(facility_id=facility_id, manifest=manifest.model_dump(mode="json"), **facts)
    entering = insert(Model).values(facility_id=facility_id, manifest=row.manifest, signed_by=bundle.signed_by, **facts)
    new_id = await session.scalar(entering.on_conflict_do_nothing().returning(Model.id))
    row = (await session.scalars(select(Model).filter_by(name=manifest.name, version=manifest.version))).one()
    if row.sha256 != bundle.sha256:
        raise ModelVersionTaken(f"{row.name} {row.version} is registered with SHA-256 {row.sha256}; raise the version.")
    if new_id:
        await tell(session, row, ModelRegistered(model_id=row.id, **facts))
        detail = {"sha256": row.sha256, "signed_by": bundle.signed_by}
        await audit.record(session, who, "model.register", target=rollouts.target(row), detail=detail)
        if await rollouts.is_first(session, row.name):
            await rollouts.enter(session, who, row, rollouts.Wish(Kind.ACTIVE), {})
    elif row.signed_by != bundle.signed_by:
        row.signed_by = bundle.signed_by
        detail = {"signed_by": bundle.signed_by}
        await audit.record(session, who, "model.sign", target=rollouts.target(row), detail=detail)
    return row, new_id is not None


async def switch(session: AsyncSession, who: Principal, name: str, version: str, active: bool) -> Model:
    """Take a version into service, or out of it: then the one that was activated before it serves."""
    row = await queries.model(session, name, version)
    if active and row.signed_by is None:
        raise ModelDoesNotRun("Its bundle isn't signed; register it again, signed. What served before goes on.")
    if not active:
        await rollouts.end_candidates(session, who, row)
    row.active = active
    await session.flush()
    await audit.record(session, who, "model.switch", target=rollouts.target(row), detail={"active": active})
    return row


def unzip(archive: bytes, max_bytes: int) -> dict[str, bytes]:
    """The files of a zip with one folder at most around them; never more than `max_bytes`, whatever the zip claims."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as entries:
            infos = [info for info in entries.infolist() if not info.is_dir()]
            if len(infos) > MAX_FILES or sum(info.file_size for info in infos) > max_bytes:
                raise BundleTooLarge
            files = {info.filename.rpartition("/")[2]: entries.read(info) for info in infos}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise BundleNotAccepted("The file is not a zip archive that can be read.", code="not_a_zip") from error
    if len(files) < len(infos):
        raise BundleNotAccepted("Two files of the archive have one name.", code="not_a_zip")
    return files
