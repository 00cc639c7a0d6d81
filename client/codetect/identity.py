"""The StudyInstanceUID that a local file carries: the server keeps only pseudonyms, callers know their own."""

import warnings
import zlib
from io import BytesIO
from typing import IO

MAGIC = slice(128, 132)
META_START = 132
DEFLATED = b"1.2.840.10008.1.2.1.99"
STUDY_INSTANCE_UID = 0x0020000D
HEAD_BYTES = 1 << 20
LONG_HEAD_BYTES = 16 << 20


def study_instance_uid(file: IO[bytes]) -> str | None:
    """The UID, or None; never raises for what a file holds, and reads and inflates 16 MiB of it at most."""
    head = file.read(HEAD_BYTES)
    uid = _find(head)
    if uid is None and len(head) == HEAD_BYTES:
        uid = _find(head + file.read(LONG_HEAD_BYTES - HEAD_BYTES))
    return uid


def _find(head: bytes) -> str | None:
    from pydicom.filereader import read_dataset, read_partial  # half a second that most commands don't need
    from pydicom.tag import BaseTag

    def beyond(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        return int(tag) > STUDY_INSTANCE_UID

    wanted: list[BaseTag | int] = [STUDY_INSTANCE_UID]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = _dataset_start(head)
            if start and DEFLATED in head[META_START:start]:
                plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head[start:], len(head))
                found = read_dataset(BytesIO(plain), False, True, stop_when=beyond, specific_tags=wanted)
            else:
                found = read_partial(BytesIO(head), beyond, force=True, specific_tags=wanted)
            return str(found.StudyInstanceUID) or None
    except Exception:  # whatever a hostile file makes the parser raise
        return None


def _dataset_start(head: bytes) -> int | None:
    """Where the file meta information ends (PS3.10, section 7.1), if it says so."""
    if head[MAGIC] != b"DICM" or head[META_START : META_START + 8] != b"\x02\x00\x00\x00UL\x04\x00":
        return None
    return META_START + 12 + int.from_bytes(head[META_START + 8 : META_START + 12], "little")
