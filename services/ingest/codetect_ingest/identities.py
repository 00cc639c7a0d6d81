"""What becomes of identities that were taken off: sealed with the facility's key, or forgotten."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.dicom.identity import Identity
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_ingest.models import FacilitySettings, InstanceRow, Others, Profile, Series, Study
from codetect_ingest.terms import terms_of

DEFAULT_QUIET_S = 30


@dataclass(frozen=True)
class Sealer:
    """Seals what a facility's profile keeps; under `forget` everything it returns is nothing."""

    key: FacilityKey
    keeps: bool
    keeps_others: bool = False

    def study(self, identity: Identity, study_id: UUID) -> bytes | None:
        """Seal the level of patient and study."""
        return self.key.seal_identity(identity.study, study_id) if self.keeps else None

    def series(self, identity: Identity, series_id: UUID) -> bytes | None:
        """Seal the level of the series."""
        return self.key.seal_identity(identity.series, series_id) if self.keeps else None

    def instance(self, identity: Identity, series_id: UUID, sop_instance_uid: str) -> bytes | None:
        """Seal the level of the instance; `sop_instance_uid` is the pseudonym."""
        owner = instance_owner(series_id, sop_instance_uid)
        return self.key.seal_identity(identity.instance, owner) if self.keeps else None

    def terms(self, identity: Identity) -> set[int]:
        """Return the hashes that the study can be found by."""
        return {self.key.term(term) for term in terms_of(identity.study)} if self.keeps else set()


def instance_owner(series_id: UUID, sop_instance_uid: str) -> str:
    """Return what an instance's sealed identity is bound to."""
    return f"{series_id}/{sop_instance_uid}"


async def sealer_of(session: AsyncSession, facility_id: UUID, master_key: bytes) -> Sealer:
    """Return the facility's key with what its profile says about identities."""
    key = await facility_key(session, facility_id, master_key)
    wanted = await settings_of(session, facility_id)
    keeps = wanted.profile == Profile.SEAL
    return Sealer(key, keeps, keeps and wanted.others == Others.KEEP)


async def settings_of(session: AsyncSession, facility_id: UUID) -> FacilitySettings:
    """Return how the facility wants its images treated; the defaults where it never said."""
    found = await session.get(FacilitySettings, facility_id)
    return found or FacilitySettings(
        facility_id=facility_id,
        profile=Profile.SEAL,
        others=Others.REFUSE,
        quiet_s=DEFAULT_QUIET_S,
        forgetting=False,
    )


async def originals(session: AsyncSession, study: Study, key: FacilityKey) -> dict[str, str]:
    """Return the original UID of each pseudonym that this study's instances bear; nothing where it was forgotten."""
    if study.sealed_identity is None:
        return {}
    uids = {study.study_instance_uid: _uid(key.unseal_identity(study.sealed_identity, study.id), "0020000D")}
    for series in await session.scalars(select(Series).where(Series.study_id == study.id)):
        if series.sealed_identity:
            identity = key.unseal_identity(series.sealed_identity, series.id)
            uids[series.series_instance_uid] = _uid(identity, "0020000E")
    columns = InstanceRow.series_id, InstanceRow.sop_instance_uid, InstanceRow.sealed_identity, InstanceRow.facts
    for series_id, uid, sealed, facts in await session.execute(
        select(*columns).where(InstanceRow.study_id == study.id)
    ):
        if sealed:
            identity = key.unseal_identity(sealed, instance_owner(series_id, uid))
            uids[uid] = _uid(identity, "00080018")
            pseudonym = facts.get("frame_of_reference_uid")  # a file that is kept unread has none
            if pseudonym and (frame := identity.get("00200052")):
                uids[pseudonym] = frame["Value"][0]
    return {pseudonym: original for pseudonym, original in uids.items() if original}


def _uid(identity: dict[str, Any], tag: str) -> str:
    values: list[str] = identity.get(tag, {}).get("Value", [""])
    return values[0]
