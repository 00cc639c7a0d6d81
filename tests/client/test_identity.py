"""The StudyInstanceUID of local files, hostile ones among them."""

import os
import tarfile
import time
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from codetect.identity import study_instance_uid
from pydicom.data import get_testdata_file

from tests.client.conftest import STUDY_UID, dicom

DATA = Path(os.environ.get("CODETECT_DATA", Path(__file__).parents[3] / "shared/data")) / "dicom"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="CODETECT_DATA isn't there")


def read(path: Path) -> str | None:
    with path.open("rb") as file:
        return study_instance_uid(file)


def test_it_is_what_the_file_says(tmp_path: Path) -> None:
    assert read(dicom(tmp_path / "x", "1.2.3")) == STUDY_UID


@needs_data
def test_it_is_found_in_every_transfer_syntax() -> None:
    for path in sorted((DATA / "transfer-syntaxes").glob("CT*")):
        assert read(path) == str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID), path.name


def test_it_is_found_in_files_without_preamble_and_behind_private_groups() -> None:
    for name in ("no_meta.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm", "rtplan.dcm", "nested_priv_SQ.dcm"):
        path = Path(str(get_testdata_file(name)))
        expected = pydicom.dcmread(path, force=True, stop_before_pixels=True).get("StudyInstanceUID")
        assert read(path) == (str(expected) if expected else None), name


def test_it_is_found_beyond_a_long_first_part(tmp_path: Path) -> None:
    path = dicom(tmp_path / "x", "1.2.3")
    ds = pydicom.dcmread(path)
    ds.add_new(0x00091010, "OB", bytes(5_000_000))
    ds.save_as(path)
    assert read(path) == STUDY_UID


def test_a_deflated_bomb_takes_neither_time_nor_memory(tmp_path: Path) -> None:
    plain = dicom(tmp_path / "x", "1.2.3").read_bytes()
    meta_end = plain.find(b"\x08\x00\x16\x00")
    bomb = zlib.compressobj(9, wbits=-15)
    body = bomb.compress(b"\x08\x00\x05\x00OB\0\0\xf0\xff\xff\xff" + bytes(300_000_000)) + bomb.flush()
    syntax = b"1.2.840.10008.1.2.1.99"
    head = plain[:meta_end].replace(
        b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0", b"\x02\x00\x10\x00UI\x16\x00" + syntax
    )
    size = int.from_bytes(head[140:144], "little") + 2
    head = head[:140] + size.to_bytes(4, "little") + head[144:]
    tracemalloc.start()
    started = time.monotonic()
    try:
        assert study_instance_uid(BytesIO(head + body)) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000_000
    assert time.monotonic() - started < 5


@needs_data
def test_no_hostile_file_raises_or_takes_long() -> None:
    with tarfile.open(DATA / "malformed.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file:
                started = time.monotonic()
                study_instance_uid(BytesIO(file.read()))
                assert time.monotonic() - started < 5, member.name


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"junk" * 1000, b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM\x02\0\0\0UL\x04\0\xff\xff\xff\xff"],
)
def test_what_is_no_dicom_has_none(content: bytes) -> None:
    assert study_instance_uid(BytesIO(content)) is None


def test_nested_sequences_without_end_have_none() -> None:
    deep = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 20_000
    assert study_instance_uid(BytesIO(deep)) is None
