"""A clean data set as a file of PS3.10: its data set without the image lies in one piece before the image."""

import struct
from io import BytesIO
from typing import NamedTuple

from pydicom import uid
from pydicom.dataset import Dataset

IMPLEMENTATION_CLASS_UID = uid.UID("2.25.302043790172249692526321623266752743501")
IMPLEMENTATION_VERSION_NAME = "CODETECT"
PIXEL_DATA = b"\xe0\x7f\x10\x00"
UNDEFINED_LENGTH = 0xFFFFFFFF
SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
PREAMBLE, PREFIX, GROUP_LENGTH = 128, 4, 12


class Written(NamedTuple):
    """A file, and where in it the data set without pixel data begins and ends (Explicit VR Little Endian)."""

    data: bytes
    header_start: int
    header_end: int


def write(clean: Dataset) -> Written:
    """Write a file with a preamble of zeros and a header of our own. PixelData must be the last element."""
    clean.file_meta.MediaStorageSOPClassUID = clean.SOPClassUID
    clean.file_meta.MediaStorageSOPInstanceUID = clean.SOPInstanceUID
    clean.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    clean.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    pixels = clean["PixelData"]
    del clean.PixelData
    buffer = BytesIO()
    clean.save_as(buffer, enforce_file_format=True)
    clean[pixels.tag] = pixels
    end = buffer.tell()
    start = PREAMBLE + PREFIX + GROUP_LENGTH
    start += int.from_bytes(buffer.getbuffer()[start - 4 : start], "little")
    value: bytes = pixels.value
    compressed = clean.file_meta.TransferSyntaxUID.is_encapsulated
    length = UNDEFINED_LENGTH if compressed else len(value) + len(value) % 2
    buffer.write(PIXEL_DATA + str(pixels.VR).encode() + b"\0\0" + struct.pack("<I", length))
    buffer.write(value)
    buffer.write(SEQUENCE_END if compressed else b"\0" * (len(value) % 2))
    return Written(buffer.getvalue(), start, end)
