"""Corrections: what is sent again under another name, number or description goes by that from then on.

The patient's id stays what it was: a file that names another patient than its study does is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from codetect_shared import audit
from codetect_shared.tokens import Principal
from cryptography.exceptions import InvalidTag
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import rows
from codetect_ingest.dicom.identity import Attributes, Identity
from codetect_ingest.identities import Sealer
from codetect_ingest.models import InstanceRow, Series, Study, StudyTerm


@dataclass(frozen=True)
class Said:
    """What a file, by its number, says: which instance it is, in pseudonyms, and what all its levels are called."""

    number: int
    study_id: UUID
    series_id: UUID
    named: rows.Named
    identity: Identity


class Corrections:
    """What one transaction's files correct: taken up study by study, written down when all of them are locked."""

    def __init__(self, sealer: Sealer, said: Iterable[Said] = ()) -> None:
        self._sealer = sealer
        self._said = sorted(said, key=lambda one: one.number)
        self._seen: set[UUID] = set()
        self._corrected: set[UUID] = set()

    async def take_up(self, session: AsyncSession, study: Study) -> None:
        """Seal a study and its series anew where instances that were there already say what isn't sealed.

        The study is locked, its instances as they were; once is enough. Files may disagree with each other: where one
        of them says what is sealed that stays, else the last one counts.
        """
        if study.id in self._seen:
            return
        self._seen.add(study.id)
        if study.sealed_identity is None or not self._sealer.keeps:
            return
        again = await _again(session, study, [one for one in self._said if one.study_id == study.id])
        if again and self._new(study.sealed_identity, study.id, [one.identity.study for one in again]):
            await session.execute(delete(StudyTerm).where(StudyTerm.study_id == study.id))
            study.sealed_identity, study.study_date = None, again[-1].named.study_date
            await rows.seal_study(session, study, again[-1].identity, self._sealer)
            self._corrected.add(study.id)
        last = {one.series_id: one for one in again}
        query = select(Series).where(Series.id.in_(last), Series.sealed_identity.is_not(None))
        for series in await session.scalars(query) if again else ():
            levels = [one.identity.series for one in again if one.series_id == series.id]
            if self._new(series.sealed_identity, series.id, levels):
                series.sealed_identity = self._sealer.series(last[series.id].identity, series.id)
                self._corrected.add(study.id)

    async def record(self, session: AsyncSession, who: Principal | audit.Actor, upload_id: UUID) -> None:
        """Write down which studies were corrected, one row each. Raises AuditUnavailable."""
        detail = {"upload": str(upload_id)}
        await audit.record_each(session, who, "identity.correct", sorted(self._corrected), detail=detail)

    def _new(self, sealed: bytes | None, owner: UUID, levels: list[Attributes]) -> bool:
        """Whether none of these is what is sealed."""
        try:
            return self._sealer.key.unseal_identity(sealed or b"", owner) not in levels
        except InvalidTag:  # of a key that was destroyed
            return True


async def _again(session: AsyncSession, study: Study, said: list[Said]) -> list[Said]:
    """Return what is said of instances that are there."""
    mine = (
        InstanceRow.series_id.in_({one.series_id for one in said}),
        InstanceRow.sop_instance_uid.in_({one.named.sop_instance_uid for one in said}),
        InstanceRow.study_id == study.id,
    )
    query = select(InstanceRow.series_id, InstanceRow.sop_instance_uid).where(*mine)
    there = {(series_id, uid) for series_id, uid in await session.execute(query)}
    return [one for one in said if (one.series_id, one.named.sop_instance_uid) in there]
