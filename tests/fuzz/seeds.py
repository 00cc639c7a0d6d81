"""Small sound files of every kind that ingest reads or tells by name: what fuzzing starts from."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from tests.ingest.samples import ROOT, ct, written
from tests.ingest.test_multiframe import enhanced, legacy

NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
LARGEST = 40_000


def seeds() -> Iterator[bytes]:
    """Yield files."""
    for make in (ct, enhanced, legacy):
        for syntax in NATIVE:
            ds = make()
            ds.file_meta.TransferSyntaxUID = syntax
            yield written(ds)
    for syntax in (uid.RLELossless, uid.JPEG2000Lossless):
        ds = ct(32)
        ds.compress(syntax, generate_instance_uid=False)
        yield written(ds)
    for stream in (ROOT / "tests/data/htj2k").glob("*.j2c"):
        yield written(with_stream(ct(64), stream.read_bytes(), uid.HTJ2K))
    folder = Path(pydicom.data.DATA_ROOT)
    for path in sorted([*(folder / "test_files").rglob("*"), *(folder / "charset_files").glob("*.dcm")]):
        if path.is_file() and path.stat().st_size < LARGEST:
            data = path.read_bytes()
            yield data
            yield from as_ct(data)


def as_ct(data: bytes) -> Iterator[bytes]:
    """Yield the image of another kind of file as that of a CT, so that its stream is decoded."""
    try:
        ds = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
        syntax = ds.file_meta.TransferSyntaxUID
        if syntax.is_compressed and not syntax.is_deflated and ds.SamplesPerPixel == 1:
            described = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
            stream = next(generate_frames(ds.PixelData, number_of_frames=1))
            yield written(with_stream(ct(**{keyword: ds[keyword].value for keyword in described}), stream, syntax))
    except (pydicom.errors.InvalidDicomError, AttributeError, ValueError, KeyError):
        return


def with_stream(ds: Dataset, stream: bytes, syntax: uid.UID) -> Dataset:
    """A slice with this compressed image."""
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds
