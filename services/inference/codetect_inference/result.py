"""What a result says and of what: all that its DICOM documents are made from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from codetect_inference.bundle import Bundle
from codetect_inference.explain import Explanation, Maps
from codetect_inference.manifest import Manifest
from codetect_inference.preprocess import HU

MANUFACTURER = "CoDetect"
UNKNOWN_DATE = "19000101"


@dataclass(frozen=True)
class Result:
    """One attempt's result; `hu` holds the top slices of the series, below `prefix` lies what the attempt stores."""

    analysis_id: UUID
    fence: int
    prefix: str
    manifest: Manifest
    bundle: Bundle
    bundle_sha256: str
    explanation: Explanation
    maps: Maps
    hu: Mapping[int, HU]
    provider: str = ""

    def uid(self, name: str) -> str:
        """The UID of a part of it: made again it is the same, of another attempt it is another."""
        return uid_of(f"{self.analysis_id}/{self.fence}/{name}")

    @property
    def date(self) -> str:
        """The date its documents bear: today's would give away by how much the study's is moved."""
        return self.manifest.study_date or UNKNOWN_DATE


def uid_of(name: str) -> str:
    """A UID from a hash (PS3.5 B.2)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], 'big')}"
