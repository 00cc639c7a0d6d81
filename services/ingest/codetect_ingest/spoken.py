"""What a child says of a file, read with suspicion: the file may have taken it over."""

from collections.abc import Iterator

from pydicom.uid import UID

from codetect_ingest.child import REFUSED
from codetect_ingest.dicom.instance import Facts, PreparedSlice
from codetect_ingest.dicom.other import Other
from codetect_ingest.dicom.refusals import Refusal, Refused


def slices_of(answers: Iterator[list[bytes]]) -> Iterator[PreparedSlice]:
    """Yield the slices it tells of. Raises Refused; a child that talks nonsense is as good as dead."""
    nothing = True
    for answer in answers:
        nothing = False
        try:
            if answer[0] == REFUSED:
                refused = Refused(Refusal(answer[1].decode()), answer[2].decode())
                refused.other = Other.model_validate_json(answer[3]) if answer[3:] and answer[3] else None
                refused.named = _two_uids(answer[4]) if answer[4:] and answer[4] else None
                raise refused
            _, facts, clean, hu = answer
            found = _slice(facts, clean, hu)
        except (ValueError, IndexError):
            raise Refused(Refusal.UNREADABLE) from None
        yield found
    if nothing:
        raise Refused(Refusal.UNREADABLE)


def _two_uids(text: bytes) -> tuple[str, str]:
    kind, instance = text.decode().split()
    if not (UID(kind).is_valid and UID(instance).is_valid):
        raise ValueError("a UID that is none")
    return kind, instance


def _slice(facts: bytes, clean: bytes, hu: bytes) -> PreparedSlice:
    found = Facts.model_validate_json(facts)
    if not 0 <= found.header[0] <= found.header[1] <= len(clean):
        raise ValueError("a header outside of its file")
    return PreparedSlice.model_construct(**vars(found), clean=clean, hu=hu)
