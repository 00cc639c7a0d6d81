"""What is left of an event once its study is erased: what figures count, and no id that leads anywhere.

Ids become others, by a key that is the erasure's own: events of one analysis still belong together, and once the key is
gone nobody can tell to what. What isn't known here to be a mere fact goes.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from codetect_shared.events import UploadImported

KEY_BYTES = 16
IDS = ("study_id", "analysis_id", "upload_id", "feedback_id")
EMPTY: dict[str, Any] = {
    "study_instance_uid": "",
    "series": [],
    "documents": [],
    "submitted_by": None,
    "given_by": None,
}
# fmt: off
FACTS = frozenset({
    "version", "study_version", "priority", "models", "model", "model_version", "attempt", "provider", "code",
    "findings", "warnings", "slices_done", "slices_total", "slices_analysed", "submitted_at", "upload_ms", "import_ms",
    "queued_ms", "inference_ms", "total_ms", "unlikeness", "cost", "label", "says", "model_says", "agrees", "state",
    "changed",
})
# fmt: on


def forgotten(data: Mapping[str, Any], study_id: UUID, key: bytes) -> dict[str, Any]:
    """An event's payload without its study; an upload may have brought others too: its entry alone changes."""
    if "studies" in data:
        unlinked = str(stranger(study_id, key))
        return dict(data) | {"studies": [unlinked if one == str(study_id) else one for one in data["studies"]]}
    return {
        **{name: value for name, value in data.items() if name in FACTS},
        **{name: value for name, value in EMPTY.items() if name in data},
        **{name: str(stranger(data[name], key)) for name in IDS if name in data},
    }


def forgotten_subject(kind: str, subject: str, key: bytes) -> str:
    """The subject of such an event of type `kind`; an upload stays what it is."""
    aggregate, _, known = subject.partition("/")
    return subject if kind == UploadImported.type else f"{aggregate}/{stranger(known, key)}"


def stranger(known: UUID | str, key: bytes) -> UUID:
    """The id that stands for another from now on."""
    return UUID(bytes=hmac.digest(key, str(known).encode(), hashlib.sha256)[:16], version=4)
