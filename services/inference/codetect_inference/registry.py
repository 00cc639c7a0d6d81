"""Registered models: a bundle is checked, stored under its hash, then known; no process holds one before that."""

import asyncio
import io
import zipfile

from codetect_shared import audit
from codetect_shared.db import Database
from codetect_shared.events import ModelRegistered
from codetect_shared.outbox import tell
from codetect_shared.storage import Storage
from codetect_shared.tokens import Principal
from fastapi import Request
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from codetect_inference import queries
from codetect_inference.bundle import MANIFEST, BundleRefused, LoadedBundle, open_bundle
from codetect_inference.failures import BundleNotAccepted, BundleTooLarge, LengthNeeded, ModelVersionTaken
from codetect_inference.models import Model, bundle_prefix

MAX_FILES = 64


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


async def register(
    db: Database, storage: Storage, who: Principal, archive: bytes, max_bytes: int
) -> tuple[Model, bool]:
    """Register a zipped bundle; returns it and whether it is new. The same bundle again is no error."""
    files, bundle = await asyncio.to_thread(_check, archive, max_bytes)
    manifest = bundle.manifest
    prefix = bundle_prefix(manifest.name, manifest.version, bundle.sha256)
    for name in (MANIFEST, *manifest.files):
        await storage.put("models", prefix + name, files[name])
    async with db.facility(who.facility_id) as session:
        return await _enter(session, who, bundle)


async def _enter(session: AsyncSession, who: Principal, bundle: LoadedBundle) -> tuple[Model, bool]:
    """The row of a bundle whose files are stored. Raises ModelVersionTaken."""
    facility_id, manifest = who.facility_id, bundle.manifest
    facts = {"name": manifest.name, "version": manifest.version, "sha256": bundle.sha256}
    row = Model(facility_id=facility_id, manifest=manifest.model_dump(mode="json"), **facts)
    entering = insert(Model).values(facility_id=facility_id, manifest=row.manifest, **facts)
    new_id = await session.scalar(entering.on_conflict_do_nothing().returning(Model.id))
    row = (await session.scalars(select(Model).filter_by(name=manifest.name, version=manifest.version))).one()
    if row.sha256 != bundle.sha256:
        raise ModelVersionTaken(f"{row.name} {row.version} is registered with SHA-256 {row.sha256}; raise the version.")
    if new_id:
        await tell(session, row, ModelRegistered(model_id=row.id, **facts))
        await audit.record(session, who, "model.register", target=_target(row), detail={"sha256": row.sha256})
    return row, new_id is not None


async def activate(session: AsyncSession, who: Principal, name: str, version: str, active: bool) -> Model:
    """Take a version into service, or out of it: then the newest one left serves under the name."""
    row = await queries.model(session, name, version)
    row.active = active
    await session.flush()
    await audit.record(session, who, "model.switch", target=_target(row), detail={"active": active})
    return row


def _target(row: Model) -> str:
    return f"model/{row.name}/{row.version}"


def _check(archive: bytes, max_bytes: int) -> tuple[dict[str, bytes], LoadedBundle]:
    files = unzip(archive, max_bytes)
    try:
        return files, open_bundle(files)
    except BundleRefused as error:
        raise BundleNotAccepted(str(error), code=error.code) from error


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
