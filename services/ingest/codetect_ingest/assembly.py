"""Slices to studies: what an upload brought, joined with what is known, as new versions ready to be filed."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from uuid import UUID

from codetect_shared.events import SeriesFacts
from codetect_shared.storage import Storage

from codetect_ingest import objects
from codetect_ingest.dicom.instance import Instance
from codetect_ingest.dicom.refusals import Refusal, Refused
from codetect_ingest.dicom.series import Arrangement, arrange, duplicates, mixed_studies
from codetect_ingest.dicom.volume import Manifest, ManifestInstance, VolumeObject, read_chunks, write_volume
from codetect_ingest.models import InstanceRow, Upload


@dataclass
class KnownStudy:
    """A study as it stands in the database: its id and version, and the series that were asked for."""

    id: UUID
    version: int
    patient_id: str
    series: dict[str, tuple[SeriesFacts, list[InstanceRow]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Slice:
    """A slice of a series' new version: new ones lie in the scratch folder, known ones in the volume before."""

    instance: Instance
    key: str
    source: int
    number: int | None = None
    index_before: int | None = None


@dataclass
class NewSeries:
    """A series' new version, its objects written."""

    facts: SeriesFacts
    slices: list[Slice]


@dataclass
class NewStudy:
    """A study's new version: what stood before is `known`, so that filing notices when that has moved on."""

    id: UUID
    known: KnownStudy | None
    first: Instance
    series: list[NewSeries] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)


def sort_out(found: Mapping[int, Instance]) -> dict[int, Refused]:
    """Return which files can't stay beside the others: second copies, and studies of more than one patient."""
    refused = {number: Refused(Refusal.DUPLICATE) for number in duplicates(found)}
    mixed = mixed_studies(found.values())
    return refused | {
        number: Refused(Refusal.MIXED_PATIENTS) for number, one in found.items() if one.study_instance_uid in mixed
    }


class Assembler:
    """Makes new versions of an upload's studies out of slices in a scratch folder."""

    def __init__(self, storage: Storage, upload: Upload, scratch: Path) -> None:
        self._storage, self._upload, self._scratch = storage, upload, scratch

    async def assemble(
        self, found: Mapping[int, Instance], known: Mapping[str, KnownStudy]
    ) -> tuple[list[NewStudy], dict[int, Refused]]:
        """Write each series' volume and manifest; return the studies, and the files that don't fit what is known."""
        studies: dict[str, NewStudy] = {}
        refused: dict[int, Refused] = {}
        groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for number, one in found.items():
            before = known.get(one.study_instance_uid)
            if before and before.patient_id != one.patient_id:
                refused[number] = Refused(Refusal.MIXED_PATIENTS)
            else:
                groups[one.study_instance_uid, one.series_instance_uid].append(number)
        for (study_uid, series_uid), numbers in sorted(groups.items()):
            before = known.get(study_uid)
            series, fitting = await self._series(study_uid, series_uid, {n: found[n] for n in numbers}, before)
            refused |= {number: Refused(Refusal.ODD_SLICE) for number in set(numbers) - set(fitting)}
            if series:
                study_id = before.id if before else objects.derived_id(self._upload.id, study_uid)
                study = studies.setdefault(study_uid, NewStudy(study_id, before, found[numbers[0]]))
                study.series.append(series)
                study.numbers.extend(fitting)
        return list(studies.values()), refused

    async def _series(
        self, study_uid: str, uid: str, found: Mapping[int, Instance], study: KnownStudy | None
    ) -> tuple[NewSeries | None, list[int]]:
        """Join, order and write one series; a slice sent again replaces the one before."""
        upload = self._upload
        facts_before, rows = study.series.get(uid, (None, [])) if study else (None, [])
        slices = [
            Slice(one, objects.clean_key(upload.facility_id, upload.id, number), number, number=number)
            for number, one in found.items()
        ]
        brought = {one.sop_instance_uid for one in found.values()}
        slices += [
            Slice(Instance.model_validate(row.facts), row.key, row.source, index_before=row.index)
            for row in rows
            if row.sop_instance_uid not in brought
        ]
        known = {index for index, s in enumerate(slices) if s.index_before is not None}
        arrangement = await asyncio.to_thread(arrange, [s.instance for s in slices], known)
        ordered = [slices[index] for index in arrangement.order]
        fitting = [s.number for s in ordered if s.number is not None]
        if not fitting:
            return None, []
        chunks = []
        if facts_before and len(fitting) < len(ordered):
            chunks = read_chunks(BytesIO(await self._storage.get("studies", facts_before.volume_key)))
        # Studies may share a series UID, however wrong that is.
        series_id = facts_before.series_id if facts_before else objects.derived_id(upload.id, f"{study_uid}/{uid}")
        return NewSeries(await self._write(series_id, arrangement, ordered, chunks), ordered), fitting

    async def _write(
        self, series_id: UUID, arrangement: Arrangement, slices: list[Slice], before: list[bytes]
    ) -> SeriesFacts:
        upload, first = self._upload, slices[0].instance
        path = self._scratch / f"{series_id}.zip"
        compressed = (
            before[s.index_before]
            if s.index_before is not None
            else objects.chunk_path(self._scratch, s.source).read_bytes()
            for s in slices
        )
        shape = (len(slices), first.rows, first.columns)
        sha256, size = await asyncio.to_thread(write_volume, path, shape, compressed)
        volume = VolumeObject(
            key=objects.volume_key(upload.facility_id, upload.id, series_id), sha256=sha256, bytes=size
        )
        manifest = _manifest(arrangement, slices, volume)
        manifest_key = objects.manifest_key(upload.facility_id, upload.id, series_id)
        await self._storage.put_file("studies", volume.key, path, "application/zip")
        await self._storage.put("studies", manifest_key, manifest.model_dump_json().encode(), "application/json")
        path.unlink()
        return SeriesFacts.model_validate(
            manifest.model_dump(include=set(SeriesFacts.model_fields))
            | {"series_id": series_id, "manifest_key": manifest_key, "volume_key": volume.key, "volume_sha256": sha256}
        )


def _manifest(arrangement: Arrangement, slices: list[Slice], volume: VolumeObject) -> Manifest:
    first = slices[0].instance
    return Manifest(
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
        volume=volume,
        instances=[
            ManifestInstance(
                index=index,
                sop_instance_uid=s.instance.sop_instance_uid,
                instance_number=s.instance.instance_number,
                position_mm=s.instance.position_mm,
                key=s.key,
                sha256=s.instance.sha256,
                source=s.source,
            )
            for index, s in enumerate(slices)
        ],
    )
