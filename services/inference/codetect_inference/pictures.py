"""What is read or drawn from stored objects when somebody asks: the slices of an analysis, pictures, heatmaps."""

import asyncio
import gzip
import re
from dataclasses import asdict, dataclass
from uuid import UUID

from codetect_shared import audit
from codetect_shared.db import Database
from codetect_shared.events import SeriesFacts
from codetect_shared.problems import NotFound
from codetect_shared.storage import ObjectMissing, Storage
from codetect_shared.tokens import Principal
from sqlalchemy import select

from codetect_inference import queries
from codetect_inference.bundle import Bundle
from codetect_inference.drawing import heatmap_png, on_slice, png, slice_png
from codetect_inference.explain import Maps, peak_of, probabilities
from codetect_inference.failures import HeatmapNotFound, SliceNotFound
from codetect_inference.manifest import Manifest
from codetect_inference.models import Analysis, Model
from codetect_inference.preprocess import HU
from codetect_inference.remote import read_slice
from codetect_inference.schemas import PeakOut, SliceList, SliceOut

NONE_OF_IT = re.compile(r"q=0(\.0*)?")
QUICKLY = 1  # a level of gzip's; of a CT the higher ones make hardly less, and take up to three times as long


@dataclass(frozen=True)
class Subject:
    """An analysis with a series, and the model's card when the model is known."""

    analysis: Analysis
    series: SeriesFacts
    bundle: Bundle | None


async def subject(
    db: Database, who: Principal, analysis_id: UUID, *actions: str, missing: type[NotFound] = SliceNotFound
) -> Subject:
    """What pictures are drawn of; the look is written down, in a transaction that ends before any object is read."""
    async with db.facility(who.facility_id) as session:
        row = await queries.analysis(session, analysis_id)
        manifest = await session.scalar(select(Model.manifest).where(Model.id == row.model_id))
        for action in actions:
            await audit.record_once(session, who, action, study_id=row.study_id, target=f"analysis/{row.id}")
    if row.series is None:
        raise missing("No series was chosen, so there are no slices and no result.")
    return Subject(row, SeriesFacts.model_validate(row.series), Bundle.model_validate(manifest) if manifest else None)


async def slices(storage: Storage, of: Subject) -> SliceList:
    """Every slice of the series with its place and, where the model read it, its probabilities and peaks."""
    manifest = await manifest_of(storage, of.series)
    read: dict[int, dict[str, float]] = {}
    peaks: dict[int, dict[str, PeakOut]] = {}
    if of.analysis.maps_key and of.bundle:
        maps = await maps_of(storage, of.analysis.maps_key)
        read, peaks = await asyncio.to_thread(_said, of.bundle, maps, manifest)
    items = [
        SliceOut(
            n=one.index,
            sop_instance_uid=one.sop_instance_uid,
            position_mm=one.position_mm,
            analysed=one.index in read,
            probabilities=read.get(one.index, {}),
            peaks=peaks.get(one.index, {}),
        )
        for one in manifest.instances
    ]
    return SliceList(
        items=items,
        rows=of.series.rows,
        columns=of.series.columns,
        pixel_spacing_mm=manifest.pixel_spacing_mm,
        orientation=manifest.orientation,
    )


def _said(
    bundle: Bundle, maps: Maps, manifest: Manifest
) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, PeakOut]]]:
    """Of each slice that the model read, by its number: probabilities, and peaks."""
    labels = [label.name for label in bundle.labels]
    read, peaks = {}, {}
    for row, (n, chances) in enumerate(
        zip(maps.slices.tolist(), probabilities(bundle, maps.logits).tolist(), strict=True)
    ):
        read[n] = dict(zip(labels, chances, strict=True))
        found = {label: peak_of(maps, row, column, manifest.place) for column, label in enumerate(labels)}
        peaks[n] = {label: PeakOut.model_validate(asdict(peak)) for label, peak in found.items() if peak}
    return read, peaks


async def image(storage: Storage, of: Subject, n: int, level_hu: float, width_hu: float) -> bytes:
    """One slice through a window, as PNG."""
    _check(of, n)
    hu = await slice_of(storage, of.series, await manifest_of(storage, of.series), n)
    return await asyncio.to_thread(slice_png, hu, level_hu, width_hu)


def takes_gzip(accept_encoding: str) -> bool:
    """Whether who asks with this header takes gzip: `gzip;q=0` is a no."""
    named = (each.partition(";") for each in accept_encoding.replace(" ", "").split(","))
    return any(name == "gzip" and not NONE_OF_IT.fullmatch(weight) for name, _, weight in named)


async def pixels(storage: Storage, of: Subject, n: int, *, zipped: bool) -> bytes:
    """One slice in HU, int16 little endian, row by row."""
    _check(of, n)
    hu = await slice_of(storage, of.series, await manifest_of(storage, of.series), n)
    plain = hu.astype("<i2", copy=False).tobytes()
    return await asyncio.to_thread(gzip.compress, plain, QUICKLY, mtime=0) if zipped else plain


async def heatmap(storage: Storage, of: Subject, n: int, label: str | None) -> bytes:
    """What argued for a label (the first, unless named) on one slice: a transparent PNG to lay over the image."""
    maps, row, column, temperature = await _heat(storage, of, n, label)
    shape = (of.series.rows, of.series.columns)
    return await asyncio.to_thread(heatmap_png, maps, row, column, shape, temperature)


async def heatmap_on_slice(
    storage: Storage, of: Subject, n: int, label: str | None, level_hu: float, width_hu: float
) -> bytes:
    """The same laid over the slice, through a window."""
    maps, row, column, temperature = await _heat(storage, of, n, label)
    hu = await slice_of(storage, of.series, await manifest_of(storage, of.series), n)
    return await asyncio.to_thread(lambda: png(on_slice(hu, level_hu, width_hu, maps, row, column, temperature)))


async def _heat(storage: Storage, of: Subject, n: int, label: str | None) -> tuple[Maps, int, int, float]:
    """The maps, the row of a slice and the column of a label in them, and the label's temperature."""
    _check(of, n)
    if not of.analysis.maps_key or not of.bundle:
        raise HeatmapNotFound(f"The analysis is {of.analysis.status}: it has no result.")
    names = [one.name for one in of.bundle.labels]
    if label is not None and label not in names:
        raise HeatmapNotFound(f"The model's labels are {', '.join(names)}.")
    maps = await maps_of(storage, of.analysis.maps_key)
    rows = (maps.slices == n).nonzero()[0]
    if not len(rows):
        raise HeatmapNotFound("This slice shows no lung, so the model did not read it.")
    column = names.index(label) if label else 0
    return maps, int(rows[0]), column, of.bundle.labels[column].temperature


async def slice_of(storage: Storage, series: SeriesFacts, manifest: Manifest, n: int) -> HU:
    """One slice in HU. Raises SliceNotFound."""

    async def read(offset: int, length: int) -> bytes:
        return await storage.get("studies", series.volume_key, part=(offset, length))

    try:
        return await read_slice(read, manifest.volume.bytes, series.slices, n)
    except ObjectMissing as error:
        raise SliceNotFound("The study's images are no longer stored.") from error


def _check(of: Subject, n: int) -> None:
    if not 0 <= n < of.series.slices:
        raise SliceNotFound(f"The series has {of.series.slices} slices, numbered from 0.")


async def manifest_of(storage: Storage, series: SeriesFacts) -> Manifest:
    """What is known of the series. Raises SliceNotFound."""
    try:
        return Manifest.model_validate_json(await storage.get("studies", series.manifest_key))
    except ObjectMissing as error:
        raise SliceNotFound("The study's images are no longer stored.") from error


async def maps_of(storage: Storage, key: str) -> Maps:
    """What the model said, slice by slice. Raises HeatmapNotFound."""
    try:
        return Maps.unpack(await storage.get("results", key))
    except ObjectMissing as error:
        raise HeatmapNotFound("The result's maps are no longer stored.") from error
