"""What must hold for any bytes at all, where a child reads them."""

import contextlib

from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import SLICE_CODEC, prepare
from codetect_ingest.dicom.multiframe import frames_of
from codetect_ingest.dicom.pixels import stored_values
from codetect_ingest.dicom.reading import identify, parse, read
from codetect_ingest.dicom.refusals import Refused

PSEUDONYMS = Pseudonyms(b"a facility's key, 32 bytes long.")
NAME = b"Mustermann"


def check(data: bytes) -> bool:
    """Read a file as a child does; True where it was taken.

    Only `Refused` and MemoryError may come out of it. What was taken names nobody, and read again it is the same image.
    """
    taken = False
    try:
        for one in list(prepare(data, PSEUDONYMS)):
            assert NAME not in one.clean[: one.header[1]]
            (again,) = prepare(one.clean, PSEUDONYMS)
            assert SLICE_CODEC.decode(again.hu) == SLICE_CODEC.decode(one.hu)
            taken = True
    except (Refused, MemoryError):
        assert not taken, "what was taken once is refused"
    with contextlib.suppress(Refused, MemoryError):
        for frame in frames_of(read(data)):
            stored_values(frame)
    with contextlib.suppress(Refused, MemoryError):
        identify(parse(data))
    return taken
