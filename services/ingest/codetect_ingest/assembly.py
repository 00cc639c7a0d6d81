"""Slices to studies: what came, joined with what is known, as new versions of series ready to be filed."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

import structlog
from codetect_shared.events import SeriesFacts
from codetect_shared.storage import Bucket, Storage, StorageUnavailable
from codetect_shared.threads import in_thread, together

from codetect_ingest import objects
from codetect_ingest.dicom.instance import Instance
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicom.series import Arrangement, arrange, duplicates, mixed_studies
from codetect_ingest.dicom.volume import Manifest, ManifestInstance, VolumeObject, opened, write_volume
from codetect_ingest.models import InstanceRow
from codetect_ingest.packs import Found, Pack, Place, Slot, packed_before, packs_of, write_packs

log = structlog.get_logger()
PACKS_AT_ONCE = 8


@dataclass(frozen=True)
class KnownSeries:
    """A series as it stands in the database: what was told of it, once something was, and its instances."""

    id: UUID
    facts: SeriesFacts | None
    rows: list[InstanceRow]


@dataclass
class KnownStudy:
    """A study as it stands in the database, with those of its series that were asked for."""

    id: UUID
    study_instance_uid: str
    version: int
    updated_at: datetime
    patient_id: str
    series: dict[str, KnownSeries] = field(default_factory=dict)

    def series_id(self, uid: str) -> UUID:
        """Return the id that a series has, or gets."""
        known = self.series.get(uid)
        return known.id if known else objects.derived_id(self.id, uid)


@dataclass(frozen=True)
class Slice:
    """A slice of a series' new version: just read, or known, and then in the volume before or waiting in a pack."""

    instance: Instance
    new: Found | None = None
    row: InstanceRow | None = None

    @property
    def in_volume(self) -> bool:
        """Whether the series' volume holds it already."""
        return self.row is not None and self.row.index is not None and self.row.hu_key is None

    @property
    def source(self) -> int:
        """The number of the file that brought it, within its upload."""
        return self.new.number if self.new else self.row.source if self.row else 0


@dataclass
class NewSeries:
    """A series' new version, its objects written; `places` are those of the new slices."""

    facts: SeriesFacts
    slices: list[Slice]
    places: dict[Slot, Place]


@dataclass
class NewStudy:
    """A study's new version: `known` is what stood before, so that filing notices when that has moved on."""

    known: KnownStudy
    series: list[NewSeries] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        """The study's id."""
        return self.known.id

    @property
    def brought(self) -> int:
        """How many slices are new; a file can hold several."""
        return sum(1 for series in self.series for s in series.slices if s.new)

    @property
    def still_waiting(self) -> set[str]:
        """The packs that hold slices which didn't go into this version."""
        taken = {s.instance.sop_instance_uid for series in self.series for s in series.slices}
        rows = (row for series in self.known.series.values() for row in series.rows)
        return {row.hu_key for row in rows if row.hu_key and row.sop_instance_uid not in taken}


def waiting_packs(known: KnownStudy) -> set[str]:
    """Return the packs of HU that slices of these series wait in."""
    return {row.hu_key for series in known.series.values() for row in series.rows if row.hu_key}


def used_packs(studies: Iterable[NewStudy]) -> set[str]:
    """Return the packs that these studies' new slices lie in."""
    return {place.key for study in studies for series in study.series for place in series.places.values()}


def sort_out(found: Mapping[int, list[Found]]) -> dict[int, Refused]:
    """Return which files can't stay beside the others: second copies, and studies of more than one patient."""
    instances = {number: [one.instance for one in frames] for number, frames in found.items()}
    refused = {number: Refused(Refusal.DUPLICATE) for number in duplicates(instances)}
    mixed = mixed_studies(itertools.chain.from_iterable(instances.values()))
    return refused | {
        number: Refused(Refusal.MIXED_PATIENTS)
        for number, frames in instances.items()
        if any(one.study_instance_uid in mixed for one in frames)
    }


def strangers(found: Mapping[int, list[Found]], known: Mapping[str, KnownStudy]) -> dict[int, Refused]:
    """Return which files name another patient than their study, as it is known, does."""
    return {
        number: Refused(Refusal.MIXED_PATIENTS)
        for number, frames in found.items()
        if any(known[one.instance.study_instance_uid].patient_id != one.instance.patient_id for one in frames)
    }


def by_series(slices: Iterable[Found]) -> list[tuple[tuple[str, str], list[Found]]]:
    """Return slices by the UIDs of their study and series, in the order of these."""
    groups: defaultdict[tuple[str, str], list[Found]] = defaultdict(list)
    for one in slices:
        groups[one.instance.study_instance_uid, one.instance.series_instance_uid].append(one)
    return sorted(groups.items())


class Assembler:
    """Makes new versions of series; `job_id` and `fence` name the attempt that its objects belong to.

    Slices that lie in a pack of `packed` already, all of which is needed, are left where they lie.
    """

    def __init__(
        self, storage: Storage, scratch: Path, facility_id: UUID, job_id: UUID, fence: int, packed: Sequence[Pack] = ()
    ) -> None:
        self._storage, self._scratch, self._packed = storage, scratch, packed
        self._facility_id, self._job_id, self._fence = facility_id, job_id, fence

    async def assemble(
        self, found: Mapping[int, list[Found]], known: Mapping[str, KnownStudy]
    ) -> tuple[list[NewStudy], dict[int, Refused]]:
        """Write the objects of each series that files came for; return the studies, and the files that don't fit."""
        studies: dict[str, NewStudy] = {}
        refused = strangers(found, known)
        fitting_patients = [one for number, frames in found.items() if number not in refused for one in frames]
        for (study_uid, series_uid), slices in by_series(fitting_patients):
            study = known[study_uid]
            series = await self.series(study, series_uid, slices)
            fitting = {s.new.number for s in series.slices if s.new} if series else set()
            refused |= {one.number: Refused(Refusal.ODD_SLICE) for one in slices if one.number not in fitting}
            if series and fitting:
                new = studies.setdefault(study_uid, NewStudy(study))
                new.series.append(series)
                new.numbers.extend(sorted(fitting))
        return list(studies.values()), refused

    async def series(self, study: KnownStudy, uid: str, found: list[Found]) -> NewSeries | None:
        """Join, order and write one series; a slice sent again replaces the one before. None when nothing new fits."""
        known = study.series.get(uid)
        before, rows = (known.facts, known.rows) if known else (None, [])
        brought = {one.instance.sop_instance_uid for one in found}
        slices = [Slice(one.instance, new=one) for one in found]
        slices += [
            Slice(Instance.model_validate(row.facts), row=row)
            for row in rows
            if row.sop_instance_uid not in brought and (row.index is not None or row.hu_key is not None)
        ]
        if not slices:
            return None
        settled = {index for index, s in enumerate(slices) if s.in_volume}
        arrangement = await asyncio.to_thread(arrange, [s.instance for s in slices], settled)
        ordered = [slices[index] for index in arrangement.order]
        if all(s.in_volume for s in ordered):
            return None
        series_id = study.series_id(uid)
        prefix = objects.attempt_prefix(self._facility_id, study.id, self._job_id, self._fence)
        volume, places = await together(
            self._volume(prefix, series_id, ordered, before),
            self._places(study.id, prefix, series_id, [s.new for s in ordered if s.new]),
        )
        manifest = _manifest(arrangement, ordered, volume, [_lies(s, places) for s in ordered])
        manifest_key = f"{prefix}{objects.manifest_name(series_id)}"
        await self._storage.put("studies", manifest_key, manifest.model_dump_json().encode(), "application/json")
        facts = SeriesFacts.model_validate(
            manifest.model_dump(include=set(SeriesFacts.model_fields))
            | {"series_id": series_id, "manifest_key": manifest_key}
            | {"volume_key": volume.key, "volume_sha256": volume.sha256}
        )
        return NewSeries(facts, ordered, places)

    async def _places(self, study_id: UUID, prefix: str, series_id: UUID, new: list[Found]) -> dict[Slot, Place]:
        """Write packs of the slices that don't lie in one yet; return where all of them lie."""
        places = packed_before(self._packed, study_id, new)
        unpacked = [one for one in new if one.slot not in places]
        keys = objects.pack_keys(prefix, series_id)
        written = await put_packs(self._storage, self._scratch, unpacked, keys)
        return places | {one.slot: place for one, place in zip(unpacked, written, strict=True)}

    async def _volume(
        self, prefix: str, series_id: UUID, slices: list[Slice], before: SeriesFacts | None
    ) -> VolumeObject:
        path = self._scratch / f"{series_id}.zip"
        fetched = await self._fetch(series_id, slices, before)
        volume_before = fetched.get(before.volume_key) if before else None
        shape = (len(slices), slices[0].instance.rows, slices[0].instance.columns)
        sha256, size = await in_thread(write_volume, path, shape, _in_order(slices, volume_before, fetched))
        for one in fetched.values():
            one.unlink()
        volume = VolumeObject(key=f"{prefix}{objects.volume_name(series_id)}", sha256=sha256, bytes=size)
        await self._storage.put_file("studies", volume.key, path, "application/zip")
        path.unlink()
        return volume

    async def _fetch(self, series_id: UUID, slices: list[Slice], before: SeriesFacts | None) -> dict[str, Path]:
        """Fetch the objects that known slices lie in to the scratch folder, where new ones lie; return their paths."""
        needed = {s.row.hu_key for s in slices if s.row and s.row.hu_key}
        if before and any(s.in_volume for s in slices):
            needed.add(before.volume_key)
        fetched = {key: self._scratch / f"{series_id}-{number}.known" for number, key in enumerate(sorted(needed))}
        for key, path in fetched.items():
            await self._storage.get_file("studies", key, path)
        return fetched


def _in_order(slices: list[Slice], before: Path | None, packs: Mapping[str, Path]) -> Iterator[bytes]:
    """Yield the compressed HU of one slice after the other, from wherever they lie."""
    with ExitStack() as stack:
        volume = stack.enter_context(opened(before)) if before else None
        for one in slices:
            if one.new:
                yield one.new.chunk.read_bytes()
            elif one.row and one.row.hu_key:
                with packs[one.row.hu_key].open("rb") as pack:
                    pack.seek(one.row.hu_offset or 0)
                    yield pack.read(one.row.hu_length or 0)
            elif one.row and one.row.index is not None:
                assert volume is not None
                yield volume(one.row.index)


async def put_packs(storage: Storage, folder: Path, slices: list[Found], keys: Iterator[str]) -> list[Place]:
    """Write slices as packs, so many at once that the folder holds little of them twice; return their places."""
    groups, places = packs_of(slices, keys), list[Place]()
    while len(places) < len(slices):
        paths, some = await in_thread(write_packs, folder, itertools.islice(groups, PACKS_AT_ONCE))
        await put_all(storage, paths)
        places += some
    return places


async def put_all(storage: Storage, files: Mapping[str, Path]) -> None:
    """Write files of the scratch folder as objects, several at once, and remove them."""

    async def put(key: str, path: Path) -> None:
        await storage.put_file("studies", key, path)
        await asyncio.to_thread(path.unlink)

    await together(*(put(key, path) for key, path in files.items()))


async def remove(storage: Storage, bucket: Bucket, keys: Collection[str]) -> None:
    """Remove objects that nobody needs any more; while the store is away they stay, and that is said."""
    try:
        await storage.remove(bucket, keys)
    except StorageUnavailable as error:
        log.warning("not removed yet", bucket=bucket, error=repr(error))


def _lies(one: Slice, places: Mapping[Slot, Place]) -> dict[str, str | int]:
    """Return where a slice's clean file lies."""
    if one.new:
        place = places[one.new.slot]
        return {"key": place.key, "offset": place.offset, "length": place.length}
    assert one.row is not None
    return {"key": one.row.key, "offset": one.row.offset, "length": one.row.length}


def _manifest(
    arrangement: Arrangement, slices: list[Slice], volume: VolumeObject, lying: list[dict[str, str | int]]
) -> Manifest:
    first = slices[0].instance
    return Manifest(
        patient_id=first.patient_id,
        study_date=first.study_date,
        study_instance_uid=first.study_instance_uid,
        series_instance_uid=first.series_instance_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        rows=first.rows,
        columns=first.columns,
        slices=len(slices),
        pixel_spacing_mm=first.pixel_spacing_mm,
        slice_spacing_mm=arrangement.slice_spacing_mm,
        orientation=first.orientation,
        plane=arrangement.plane,
        modality=first.modality,
        convolution_kernel=first.convolution_kernel,
        body_part=first.body_part,
        manufacturer=first.manufacturer,
        slice_thickness_mm=first.slice_thickness_mm,
        irregularities={kind.value: number for kind, number in arrangement.warnings.items()},
        volume=volume,
        instances=[
            ManifestInstance.model_validate(
                {
                    "index": index,
                    "sop_instance_uid": s.instance.sop_instance_uid,
                    "sop_class_uid": s.instance.sop_class_uid,
                    "instance_number": s.instance.instance_number,
                    "position_mm": s.instance.position_mm,
                    "sha256": s.instance.sha256,
                    "source": s.source,
                }
                | place
            )
            for index, (s, place) in enumerate(zip(slices, lying, strict=True))
        ],
    )
