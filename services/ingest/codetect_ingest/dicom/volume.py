"""The prepared volume: HU of one series as Zarr v3 in a zip, and the manifest beside it. ADR 0020 has the format."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import zarr
from pydantic import BaseModel, ConfigDict
from zarr.codecs import BloscCodec
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from codetect_ingest.dicom.instance import Vector
from codetect_ingest.dicom.pixels import AIR_HU
from codetect_ingest.dicom.series import Plane

ARRAY = "hu"
EPOCH = (1980, 1, 1, 0, 0, 0)


class VolumeObject(BaseModel):
    """Where the volume lies, and what it must hash to."""

    key: str
    sha256: str
    bytes: int


class ManifestInstance(BaseModel):
    """One slice: its index in the volume, and where the clean file it was made from lies (bytes within an object)."""

    index: int
    sop_instance_uid: str
    sop_class_uid: str
    instance_number: int | None
    position_mm: Vector
    key: str
    offset: int
    length: int
    sha256: str
    source: int


class Manifest(BaseModel):
    """All that the worker needs to know of a series; pseudonyms only."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    patient_id: str
    study_date: str | None
    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    rows: int
    columns: int
    slices: int
    pixel_spacing_mm: tuple[float, float]
    slice_spacing_mm: float | None
    orientation: tuple[float, float, float, float, float, float]
    plane: Plane
    modality: str
    convolution_kernel: str | None
    body_part: str | None
    manufacturer: str | None
    slice_thickness_mm: float | None
    irregularities: dict[str, float] = {}
    volume: VolumeObject
    instances: list[ManifestInstance]


def write_volume(path: Path, shape: tuple[int, int, int], slices: Iterable[bytes]) -> tuple[str, int]:
    """Write compressed slices (`instance.SLICE_CODEC`, in order) as one Zarr array in a zip; return SHA-256 and size.

    `shape` is (slices, rows, columns). The same slices always make the same bytes: a second try writes the same object.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, document in _metadata(shape).items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), document)
        for index, chunk in enumerate(slices):
            archive.writestr(zipfile.ZipInfo(chunk_name(index), EPOCH), chunk)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


@contextmanager
def opened(path: Path) -> Iterator[Callable[[int], bytes]]:
    """Give a volume's compressed slices by their index: a later version of the series is made of them, undecoded."""
    with zipfile.ZipFile(path) as archive:
        yield lambda index: archive.read(chunk_name(index))


def chunk_name(index: int) -> str:
    """Return the name of a slice inside the zip."""
    return f"{ARRAY}/c/{index}/0/0"


def _metadata(shape: tuple[int, int, int]) -> dict[str, bytes]:
    """Let zarr describe the array whose chunks we add: one a slice, so that any slice is one read."""
    documents: dict[str, Buffer] = {}
    zarr.create_group(MemoryStore(documents)).create_array(
        ARRAY,
        shape=shape,
        chunks=(1, *shape[1:]),
        dtype="<i2",
        fill_value=AIR_HU,
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=2),
        dimension_names=("slice", "row", "column"),
    )
    return {name: documents[name].to_bytes() for name in sorted(documents)}
