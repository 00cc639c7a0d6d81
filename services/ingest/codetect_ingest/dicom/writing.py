"""A clean data set as a file of PS3.10: its data set without the image lies in one piece before the image."""

import struct
from typing import NamedTuple, cast

from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from codetect_ingest.dicom.encoding import dataset_of, encoded

IMPLEMENTATION_CLASS_UID = uid.UID("2.25.302043790172249692526321623266752743501")
IMPLEMENTATION_VERSION_NAME = "CODETECT"
PIXEL_DATA = b"\xe0\x7f\x10\x00"
UNDEFINED_LENGTH = 0xFFFFFFFF
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
PREAMBLE = bytes(128) + b"DICM"
GROUP_LENGTH = b"\x02\0\0\0UL\x04\0"
VERSION = b"\0\x01"


class Written(NamedTuple):
    """A file, and where in it the data set without pixel data begins and ends (Explicit VR Little Endian)."""

    data: bytes
    header_start: int
    header_end: int


def meta_of(sop_class: str, sop_instance: str, syntax: str) -> FileMetaDataset:
    """Return a file's header of our own (PS3.10 7.1), but for its length."""
    values = {
        "FileMetaInformationVersion": VERSION,
        "MediaStorageSOPClassUID": sop_class,
        "MediaStorageSOPInstanceUID": sop_instance,
        "TransferSyntaxUID": syntax,
        "ImplementationClassUID": IMPLEMENTATION_CLASS_UID,
        "ImplementationVersionName": IMPLEMENTATION_VERSION_NAME,
    }
    return cast(FileMetaDataset, dataset_of(values, kind=FileMetaDataset))


def write(clean: Dataset) -> Written:
    """Write a file with a preamble of zeros, of what `deidentify` made. PixelData must be the last element."""
    pixels = clean["PixelData"]
    meta, header = encoded(clean.file_meta), encoded(clean, but=pixels.tag)
    compressed = clean.file_meta.TransferSyntaxUID.is_encapsulated
    start = len(PREAMBLE) + len(GROUP_LENGTH) + 4 + len(meta)
    size = len(pixels.value)
    length = UNDEFINED_LENGTH if compressed else size + size % 2
    parts = (
        PREAMBLE + GROUP_LENGTH + struct.pack("<I", len(meta)) + meta,
        header,
        PIXEL_DATA + str(pixels.VR).encode() + b"\0\0" + struct.pack("<I", length),
        pixels.value,
        SEQUENCE_END if compressed else bytes(size % 2),
    )
    return Written(b"".join(parts), start, start + len(header))
