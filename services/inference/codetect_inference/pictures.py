"""What is read or drawn from stored objects when somebody asks: the slices of an analysis, pictures, heatmaps."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from codetect_shared import audit
from codetect_shared.db import Database
from codetect_shared.events import SeriesFacts
from codetect_shared.storage import ObjectMissing, Storage
from codetect_shared.tokens import Principal
from sqlalchemy import select

from codetect_inference import queries
from codetect_inference.bundle import Bundle
from codetect_inference.explain import Maps, heatmap_png, probabilities, slice_png
from codetect_inference.failures import HeatmapNotFound, ReportNotFound, SliceNotFound
from codetect_inference.manifest import Manifest
from codetect_inference.models import Analysis, Model
from codetect_inference.remote import read_slice
from codetect_inference.schemas import SliceOut


@dataclass(frozen=True)
class Subject:
    """An analysis with a series, and the model's card when the model is known."""

    analysis: Analysis
    series: SeriesFacts
    bundle: Bundle | None


async def subject(db: Database, who: Principal, analysis_id: UUID, action: str) -> Subject:
    """What pictures are drawn of; the look is written down, in a transaction that ends before any object is read."""
    async with db.facility(who.facility_id) as session:
        row = await queries.analysis(session, analysis_id)
        manifest = await session.scalar(select(Model.manifest).where(Model.id == row.model_id))
        await audit.record_once(session, who, action, study_id=row.study_id, target=f"analysis/{row.id}")
    if row.series is None:
        raise SliceNotFound("No series was chosen, so there are no slices.")
    return Subject(row, SeriesFacts.model_validate(row.series), Bundle.model_validate(manifest) if manifest else None)


async def slices(storage: Storage, of: Subject) -> list[SliceOut]:
    """Every slice of the series with its place and, where the model read it, its probabilities."""
    manifest = await _manifest(storage, of.series)
    read: dict[int, dict[str, float]] = {}
    if of.analysis.maps_key and of.bundle:
        maps = await _maps(storage, of.analysis.maps_key)
        labels = [label.name for label in of.bundle.labels]
        chances = probabilities(of.bundle, maps.logits).tolist()
        read = {n: dict(zip(labels, row, strict=True)) for n, row in zip(maps.slices.tolist(), chances, strict=True)}
    return [
        SliceOut(
            n=one.index,
            sop_instance_uid=one.sop_instance_uid,
            position_mm=one.position_mm,
            analysed=one.index in read,
            probabilities=read.get(one.index, {}),
        )
        for one in manifest.instances
    ]


async def image(storage: Storage, of: Subject, n: int, level_hu: float, width_hu: float) -> bytes:
    """One slice through a window, as PNG."""
    _check(of, n)
    volume = (await _manifest(storage, of.series)).volume

    async def read(offset: int, length: int) -> bytes:
        return await storage.get("studies", of.series.volume_key, part=(offset, length))

    try:
        hu = await read_slice(read, volume.bytes, of.series.slices, n)
    except ObjectMissing as error:
        raise SliceNotFound("The study's images are no longer stored.") from error
    return await asyncio.to_thread(slice_png, hu, level_hu, width_hu)


async def heatmap(storage: Storage, of: Subject, n: int, label: str | None) -> bytes:
    """What argued for a label (the first, unless named) on one slice: a transparent PNG to lay over the image."""
    _check(of, n)
    if not of.analysis.maps_key or not of.bundle:
        raise HeatmapNotFound(f"The analysis is {of.analysis.status}: it has no result.")
    names = [one.name for one in of.bundle.labels]
    if label is not None and label not in names:
        raise HeatmapNotFound(f"The model's labels are {', '.join(names)}.")
    maps = await _maps(storage, of.analysis.maps_key)
    rows = (maps.slices == n).nonzero()[0]
    if not len(rows):
        raise HeatmapNotFound("This slice shows no lung, so the model did not read it.")
    column = names.index(label) if label else 0
    shape, temperature = (of.series.rows, of.series.columns), of.bundle.labels[column].temperature
    return await asyncio.to_thread(heatmap_png, maps, int(rows[0]), column, shape, temperature)


async def report(storage: Storage, of: Analysis) -> bytes:
    """The structured report, as the worker wrote it. Raises ReportNotFound."""
    key = next((one["key"] for one in of.documents if one["kind"] == "sr"), None)
    if key is None:
        raise ReportNotFound(f"The analysis is {of.status}: it has no report.")
    try:
        return await storage.get("results", key)
    except ObjectMissing as error:
        raise ReportNotFound("The result's report is no longer stored.") from error


def _check(of: Subject, n: int) -> None:
    if not 0 <= n < of.series.slices:
        raise SliceNotFound(f"The series has {of.series.slices} slices, numbered from 0.")


async def _manifest(storage: Storage, series: SeriesFacts) -> Manifest:
    try:
        return Manifest.model_validate_json(await storage.get("studies", series.manifest_key))
    except ObjectMissing as error:
        raise SliceNotFound("The study's images are no longer stored.") from error


async def _maps(storage: Storage, key: str) -> Maps:
    try:
        return Maps.unpack(await storage.get("results", key))
    except ObjectMissing as error:
        raise HeatmapNotFound("The result's maps are no longer stored.") from error
