"""What becomes of identities that were taken off: sealed with the facility's key, or forgotten."""

from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.identity import Identity, uids_in
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_ingest.models import FacilitySettings, InstanceRow, Others, Profile, Series
from codetect_ingest.terms import terms_of

DEFAULT_QUIET_S = 30


@dataclass(frozen=True)
class Sealer:
    """Seals what a facility's profile keeps; under `forget` everything it returns is nothing."""

    key: FacilityKey
    keeps: bool
    keeps_others: bool
    facility_id: UUID
    master_key: bytes = field(repr=False)

    async def renewed(self, session: AsyncSession) -> "Sealer":
        """Return the same with the key as it is now: what this transaction commits is sealed with that alone."""
        return replace(self, key=await facility_key(session, self.facility_id, self.master_key))

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
    return Sealer(key, keeps, keeps and wanted.others == Others.KEEP, facility_id, master_key)


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


async def forgets(session: AsyncSession, facility_id: UUID) -> bool:
    """Whether the facility's profile is to forget: then nobody is shown what is still sealed, either."""
    return (await settings_of(session, facility_id)).profile == Profile.FORGET


async def originals(session: AsyncSession, study: Any, key: FacilityKey) -> dict[str, str]:
    """Return the original of every UID of a study by its pseudonyms; nothing where it was forgotten.

    `study` has an `id` and a `sealed_identity`.
    """
    if study.sealed_identity is None:
        return {}
    found = set(uids_in(key.unseal_identity(study.sealed_identity, study.id)))
    series = select(Series.id, Series.sealed_identity).where(Series.study_id == study.id)
    for series_id, sealed in await session.execute(series.where(Series.sealed_identity.is_not(None))):
        found.update(uids_in(key.unseal_identity(sealed or b"", series_id)))
    columns = InstanceRow.series_id, InstanceRow.sop_instance_uid, InstanceRow.sealed_identity
    mine = InstanceRow.study_id == study.id, InstanceRow.sealed_identity.is_not(None)
    for series_id, uid, sealed in await session.execute(select(*columns).where(*mine)):
        found.update(uids_in(key.unseal_identity(sealed or b"", instance_owner(series_id, uid))))
    pseudonyms = Pseudonyms(key.pseudonyms)
    return {name: original for original in found for name in pseudonyms.uids(original)}
