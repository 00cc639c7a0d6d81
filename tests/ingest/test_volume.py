from pathlib import Path

import numpy as np
import pytest
import zarr
from codetect_ingest.dicom.instance import SLICE_CODEC
from codetect_ingest.dicom.volume import opened, write_volume
from numcodecs.blosc import Blosc  # type: ignore[import-untyped]
from zarr.storage import ZipStore

HU = np.random.default_rng(1).integers(-1024, 3000, (5, 24, 20)).astype("<i2")
CHUNKS = [SLICE_CODEC.encode(s) for s in HU]


def test_any_zarr_reader_reads_the_volume(tmp_path: Path) -> None:
    sha256, size = write_volume(tmp_path / "v.zarr.zip", HU.shape, CHUNKS)
    assert size == (tmp_path / "v.zarr.zip").stat().st_size
    assert len(sha256) == 64
    with ZipStore(tmp_path / "v.zarr.zip", mode="r") as store:
        array = zarr.open_group(store, mode="r")["hu"]
        assert isinstance(array, zarr.Array)
        assert array.dtype == np.int16
        assert array.chunks == (1, 24, 20)
        assert np.array_equal(array[:], HU)
        assert np.array_equal(array[3], HU[3])


def test_slices_compressed_as_until_2026_stay_readable_beside_new_ones(tmp_path: Path) -> None:
    before = Blosc(cname="zstd", clevel=1, shuffle=Blosc.BITSHUFFLE)
    write_volume(tmp_path / "v.zarr.zip", HU.shape, [before.encode(HU[0]), before.encode(HU[1]), *CHUNKS[2:]])
    with ZipStore(tmp_path / "v.zarr.zip", mode="r") as store:
        array = zarr.open_group(store, mode="r")["hu"]
        assert isinstance(array, zarr.Array)
        assert np.array_equal(array[:], HU)


def test_the_same_slices_make_the_same_bytes(tmp_path: Path) -> None:
    assert write_volume(tmp_path / "a", HU.shape, CHUNKS) == write_volume(tmp_path / "b", HU.shape, CHUNKS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("slices", [1, 5])
def test_slices_come_back_as_they_were_compressed(tmp_path: Path, slices: int) -> None:
    write_volume(tmp_path / "v", (slices, 24, 20), CHUNKS[:slices])
    with opened(tmp_path / "v") as chunk:
        assert [chunk(index) for index in range(slices)] == CHUNKS[:slices]
