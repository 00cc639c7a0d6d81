"""Who sees what: pseudonyms, or, with the right, the original identity put back over them."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from uuid import UUID

from codetect_shared import audit
from codetect_shared.tokens import Principal
from pydicom.datadict import tag_for_keyword
from sqlalchemy import ColumnElement, true
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.identity import PSEUDONYMOUS, Attributes
from codetect_ingest.identities import forgets, instance_owner
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_ingest.models import Kind, Series
from codetect_ingest.service import Ingest

CHARACTER_SET: Attributes = {"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}}
PSEUDONYMOUS_TAGS = frozenset(tag for keyword in PSEUDONYMOUS if (tag := tag_for_keyword(keyword)) is not None)


class View:
    """Pseudonyms alone: what was sealed stays so, and files that were kept whole aren't there.

    Looks are written down, those at one study once a minute: a viewer asks for each frame.
    """

    original = False

    def __init__(self, who: Principal) -> None:
        self._who = who

    def visible(self) -> ColumnElement[bool]:
        """Which series there are."""
        return Series.kind != Kind.SEALED

    def uids(self, given: str) -> list[str]:
        """Return what a UID in a request may be called in the database."""
        return [given]

    def study(self, row: Any) -> Attributes:
        """Return what the identity says of patient and study; nothing in this view."""
        return {}

    def series(self, row: Any) -> Attributes:
        """Return what it says of the series."""
        return {}

    def instance(self, row: Any) -> Attributes:
        """Return what it says of the instance."""
        return {}

    async def note_search(self, session: AsyncSession, level: str, found: int) -> None:
        """Write down that somebody searched, never for what. Raises AuditUnavailable."""
        await audit.record_once(session, self._who, "study.search")

    async def note_read(self, session: AsyncSession, study_id: UUID, what: str, instances: int) -> None:
        """Write down that somebody read a study. Raises AuditUnavailable."""
        await audit.record_once(session, self._who, "image.read", study_id=study_id, detail={"what": what})


class OriginalView(View):
    """Original values and UIDs, wherever they were sealed; each look is written down."""

    original = True

    def __init__(self, who: Principal, key: FacilityKey) -> None:
        super().__init__(who)
        self.key = key
        self._pseudonyms = Pseudonyms(key.pseudonyms)
        self._study, self._series = (lru_cache(maxsize=256)(self._unsealed) for _ in range(2))

    def visible(self) -> ColumnElement[bool]:
        """All series are."""
        return true()

    def uids(self, given: str) -> list[str]:
        """Its pseudonym; or itself, as links inside of CoDetect give it, and where nothing was sealed."""
        return [given, *self.pseudonyms(given)]

    def pseudonyms(self, original: str) -> list[str]:
        """Return the pseudonyms of a UID."""
        return self._pseudonyms.uids(original)

    def study(self, row: Any) -> Attributes:
        """Unseal what is known of patient and study."""
        return self._study(row.sealed_identity, row.id)

    def series(self, row: Any) -> Attributes:
        """Unseal what is known of the series."""
        return self._series(row.sealed_identity, row.id)

    def instance(self, row: Any) -> Attributes:
        """Unseal what is known of the instance."""
        return self._unsealed(row.sealed_identity, instance_owner(row.series_id, row.sop_instance_uid))

    async def note_search(self, session: AsyncSession, level: str, found: int) -> None:
        """Write down each search, never for what. Raises AuditUnavailable."""
        await audit.record(session, self._who, "identity.search", detail={"level": level, "found": found})

    async def note_read(self, session: AsyncSession, study_id: UUID, what: str, instances: int) -> None:
        """Write down each look. Raises AuditUnavailable."""
        detail = {"what": what, "instances": instances}
        await audit.record(session, self._who, "identity.read", study_id=study_id, detail=detail)

    def _unsealed(self, sealed: bytes | None, owner: UUID | str) -> Attributes:
        return self.key.unseal_identity(sealed, owner) if sealed else {}


async def view_of(session: AsyncSession, ingest: Ingest, who: Principal) -> View:
    """Return what this principal sees; pseudonyms alone where the facility forgets, whatever is still sealed."""
    if not who.sees_identities or await forgets(session, who.facility_id):
        return View(who)
    return OriginalView(who, await facility_key(session, who.facility_id, ingest.settings.master_key))


def value(attributes: Mapping[str, Any], tag: str) -> Any:
    """Return an attribute's first value; None where it has none."""
    values = attributes.get(tag, {}).get("Value") or [None]
    return values[0]


def restored(clean: Attributes, *levels: Attributes) -> Attributes:
    """Put an identity back over a data set in DICOM JSON; without one it stays as it is."""
    found = {tag: attribute for tag, attribute in clean.items() if int(tag, 16) not in PSEUDONYMOUS_TAGS}
    for level in levels:
        found |= level
    return found | CHARACTER_SET if any(levels) else clean


def with_uids(attributes: Attributes, names: Mapping[str, str]) -> Attributes:
    """Name every UID in a data set as `names` has it, also deep inside."""
    return {tag: _named(attribute, names) for tag, attribute in attributes.items()}


def _named(attribute: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    values = attribute.get("Value")
    if not values or attribute["vr"] not in ("UI", "SQ"):
        return attribute
    deep = attribute["vr"] == "SQ"
    return attribute | {"Value": [with_uids(v, names) if deep else names.get(v, v) for v in values]}
