"""What an address leads to: instances with their series and study, as the one who asks may see them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Bundle

from codetect_ingest.dicom.identity import SERIES_UID, SOP_UID, STUDY_UID
from codetect_ingest.dicomweb.problems import NothingThere, QueryInvalid
from codetect_ingest.dicomweb.views import OriginalView, View, value
from codetect_ingest.identities import originals
from codetect_ingest.models import InstanceRow, Kind, Series, Study

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID = 64
STUDY: Bundle[Any] = Bundle(
    "study",
    Study.id,
    Study.study_instance_uid,
    Study.patient_id,
    Study.study_date,
    Study.instances,
    Study.sealed_identity,
)
FILED = Series.id, Series.study_id, Series.series_instance_uid, Series.kind, Series.modality, Series.sealed_identity
PLACED = (
    InstanceRow.series_id,
    InstanceRow.sop_instance_uid,
    InstanceRow.sop_class_uid,
    InstanceRow.transfer_syntax_uid,
    InstanceRow.bucket,
    InstanceRow.key,
    InstanceRow.offset,
    InstanceRow.length,
    InstanceRow.header_offset,
    InstanceRow.header_length,
    InstanceRow.sealed_identity,
)
FILED_SERIES: Bundle[Any] = Bundle("series", *FILED)
FILE: Bundle[Any] = Bundle("instance", *PLACED)
SERIES: Bundle[Any] = Bundle("series", *FILED, Series.attributes)
INSTANCE: Bundle[Any] = Bundle(
    "instance",
    InstanceRow.series_id,
    InstanceRow.sop_instance_uid,
    InstanceRow.sop_class_uid,
    InstanceRow.instance_number,
    InstanceRow.facts,
    InstanceRow.sealed_identity,
)
IN_ORDER = (Series.id, InstanceRow.index.nulls_last(), InstanceRow.instance_number, InstanceRow.sop_instance_uid)


@dataclass(frozen=True)
class Address:
    """The UIDs of an address, as the client wrote them."""

    study: str
    series: str | None = None
    instance: str | None = None

    def __post_init__(self) -> None:
        """Raises QueryInvalid for what is no UID."""
        for uid in (self.study, self.series, self.instance):
            if uid is not None:
                checked_uid(uid)


def checked_uid(text: str) -> str:
    """Return the UID if it is one. Raises QueryInvalid."""
    if len(text) > LONGEST_UID or not UID.fullmatch(text):
        raise QueryInvalid("A UID has digits and dots, 64 at most.")
    return text


@dataclass(frozen=True)
class Located:
    """An instance with what it belongs to."""

    study: Any
    series: Any
    instance: Any

    def uids(self, view: View) -> tuple[str, str, str]:
        """Return what its study, its series and itself are called in this view."""
        return (
            value(view.study(self.study), STUDY_UID) or self.study.study_instance_uid,
            value(view.series(self.series), SERIES_UID) or self.series.series_instance_uid,
            value(view.instance(self.instance), SOP_UID) or self.instance.sop_instance_uid,
        )

    def url(self, base: str, view: View) -> str:
        """Return its address."""
        study, series, instance = self.uids(view)
        return f"{base}/studies/{study}/series/{series}/instances/{instance}"


def instances_of(facility_id: UUID, view: View) -> Select[Any]:
    """Select what can be seen. The facility is asked for in so many words, whatever row-level security does."""
    return (
        select(STUDY, FILED_SERIES, FILE)
        .select_from(InstanceRow)
        .join(Series, Series.id == InstanceRow.series_id)
        .join(Study, Study.id == Series.study_id)
        .where(Study.facility_id == facility_id, Series.facility_id == facility_id, view.visible())
        .where(InstanceRow.facility_id == facility_id)
    )


async def find(session: AsyncSession, facility_id: UUID, view: View, address: Address) -> list[Located]:
    """Return the instances at an address, in their order. Raises NothingThere."""
    query = instances_of(facility_id, view).where(Study.study_instance_uid.in_(view.uids(address.study)))
    if address.series is not None:
        query = query.where(Series.series_instance_uid.in_(view.uids(address.series)))
    if address.instance is not None:
        query = query.where(InstanceRow.sop_instance_uid.in_(view.uids(address.instance)))
    found = [Located(row.study, row.series, row.instance) for row in await session.execute(query.order_by(*IN_ORDER))]
    if not found:
        raise NothingThere
    return found


async def names_of(session: AsyncSession, view: View, located: Sequence[Located]) -> dict[str, str]:
    """Return the originals of every UID that documents of ours among these may refer to, by pseudonym."""
    if not isinstance(view, OriginalView) or all(one.series.kind != Kind.RESULT for one in located):
        return {}
    return await originals(session, located[0].study, view.key)
