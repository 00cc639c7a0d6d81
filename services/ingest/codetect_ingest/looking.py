"""Who patients are, for those with the right: each look is audited in the transaction that reads, or refused."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from codetect_shared import audit
from codetect_shared.problems import Forbidden
from codetect_shared.tokens import Principal
from pydicom.datadict import tag_for_keyword
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_ingest import problems
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.identity import Attributes
from codetect_ingest.identities import forgets
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_ingest.models import Study, StudyTerm, UploadFile
from codetect_ingest.schemas_life import FindRequest, FoundOut, IdentitiesOut, IdentityOut, ReferenceOut, ReportOut
from codetect_ingest.service import Ingest, find_upload
from codetect_ingest.terms import plain

READ = "identity.read"
MOST_FOUND = 50
SHOWN = {
    "patient_name": "PatientName",
    "patient_id": "PatientID",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_instance_uid": "StudyInstanceUID",
    "study_date": "StudyDate",
    "study_description": "StudyDescription",
}


def require_identity(who: Principal) -> None:
    """Raise Forbidden for whoever may see pseudonyms only."""
    if not who.sees_identities:
        raise Forbidden("This needs the right `identity`, which an admin of the facility gives.")


async def show_identity(session: AsyncSession, ingest: Ingest, who: Principal, study_id: UUID) -> IdentityOut:
    """Show whose study this is. Raises Forbidden, StudyNotFound, IdentityForgotten."""
    require_identity(who)
    mine = select(Study.id).where(Study.id == study_id, Study.facility_id == who.facility_id, Study.instances > 0)
    if await session.scalar(mine) is None:
        raise problems.StudyNotFound
    found = await identities(session, ingest, who, [study_id])
    if not found:
        raise problems.IdentityForgotten("The facility's profile is, or was then, to forget identities.")
    await audit.record(session, who, READ, study_id=study_id)
    return found[study_id]


async def list_identities(ingest: Ingest, who: Principal, study_ids: Sequence[UUID]) -> IdentitiesOut:
    """Show whose studies these are, as far as it is kept; one audit row a study that is shown. Raises Forbidden."""
    require_identity(who)
    wanted = list(dict.fromkeys(study_ids))
    async with ingest.db.facility(who.facility_id) as session:
        found = await identities(session, ingest, who, wanted)
        shown = [study_id for study_id in wanted if study_id in found]
        await audit.record_each(session, who, READ, shown)
    return IdentitiesOut(items=[found[study_id] for study_id in shown])


async def find(ingest: Ingest, who: Principal, request: FindRequest) -> FoundOut:
    """Find studies by what they are called elsewhere; by originals for those with the right. Raises Forbidden."""
    if request.accession_number is not None:
        require_identity(who)
    async with ingest.db.facility(who.facility_id) as session:
        if not who.sees_identities or await forgets(session, who.facility_id):
            found = await _called(session, who, Study.study_instance_uid == request.study_instance_uid)
            await audit.record_once(session, who, "study.search")
        else:
            key = await facility_key(session, who.facility_id, ingest.settings.master_key)
            found = await _called(session, who, _called_originally(key, who, request))
            detail = {"level": "study", "found": len(found)}
            await audit.record(session, who, "identity.search", detail=detail)
    return FoundOut(study_ids=found)


def _called_originally(key: FacilityKey, who: Principal, request: FindRequest) -> ColumnElement[bool]:
    if request.study_instance_uid is not None:
        given = request.study_instance_uid
        return Study.study_instance_uid.in_([given, *Pseudonyms(key.pseudonyms).uids(given)])
    term = key.term(f"AccessionNumber={plain(request.accession_number or '')}")
    mine = StudyTerm.facility_id == who.facility_id
    return Study.id.in_(select(StudyTerm.study_id).where(mine, StudyTerm.term == term))


async def _called(session: AsyncSession, who: Principal, so: ColumnElement[bool]) -> list[UUID]:
    those = select(Study.id).where(Study.facility_id == who.facility_id, Study.instances > 0, so)
    return list(await session.scalars(those.order_by(Study.created_at.desc(), Study.id.desc()).limit(MOST_FOUND)))


async def identities(
    session: AsyncSession, ingest: Ingest, who: Principal, study_ids: Sequence[UUID]
) -> dict[UUID, IdentityOut]:
    """Open the sealed identities of these studies; the caller audits. Under `forget` there are none."""
    if await forgets(session, who.facility_id):
        return {}
    key = await facility_key(session, who.facility_id, ingest.settings.master_key)
    sealed = select(Study.id, Study.sealed_identity).where(
        Study.facility_id == who.facility_id, Study.id.in_(study_ids), Study.sealed_identity.is_not(None)
    )
    return {
        study_id: _opened(key, study_id, identity) for study_id, identity in await session.execute(sealed) if identity
    }


async def show_reference(session: AsyncSession, ingest: Ingest, who: Principal, upload_id: UUID) -> ReferenceOut:
    """Show an upload's reference to whoever wrote it, and, audited, to those with the right. Raises Forbidden."""
    upload = await find_upload(session, upload_id)
    key = await facility_key(session, who.facility_id, ingest.settings.master_key)
    if who.subject != upload.created_by:
        require_identity(who)
        await audit.record(session, who, "reference.read", target=f"upload/{upload_id}")
    if upload.sealed_reference is None:
        return ReferenceOut(reference=None)
    return ReferenceOut(reference=key.unseal(upload.sealed_reference, upload.id))


async def show_report(session: AsyncSession, who: Principal, upload_id: UUID, number: int) -> ReportOut:
    """Show what de-identification did to a file. Raises ReportNotFound."""
    mine = UploadFile.upload_id == upload_id, UploadFile.facility_id == who.facility_id, UploadFile.number == number
    report = await session.scalar(select(UploadFile.report).where(*mine))
    if report is None:
        raise problems.ReportNotFound
    return ReportOut(number=number, report=report)


def _opened(key: FacilityKey, study_id: UUID, sealed: bytes) -> IdentityOut:
    original = key.unseal_identity(sealed, study_id)
    return IdentityOut.model_validate(
        {"study_id": study_id} | {name: _value(original, keyword) for name, keyword in SHOWN.items()}
    )


def _value(original: Attributes, keyword: str) -> str | None:
    """Return an attribute's first value in DICOM JSON; of a name in several scripts, the first."""
    values: list[Any] = original.get(f"{tag_for_keyword(keyword):08X}", {}).get("Value") or [None]
    first = values[0]
    if isinstance(first, dict):
        first = next(iter(first.values()), None)
    return None if first is None else str(first)
