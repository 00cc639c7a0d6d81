"""Every operation of ingest keeps to its document, whatever it is asked, and asks who is there first."""

from dataclasses import replace

import httpx
import pytest
from codetect_ingest.service import Ingest
from codetect_shared.testing import Tokens
from codetect_shared.tokens import Role, Scope

from tests.contract import SEEDED, STRANGERS, Contract, operations
from tests.ingest.conftest import Clinic
from tests.ingest.media import multipart, with_boundary
from tests.ingest.test_importer import bodies, slices
from tests.ingest.test_kept import mr, wants
from tests.ingest.test_stow import store

SERVICE = "ingest"
pytestmark = SEEDED


@pytest.fixture(scope="module")
async def contract(api_client: tuple[httpx.AsyncClient, Ingest, Tokens]) -> Contract:
    """An admin with all rights, of a facility that has something of everything."""
    clinic = Clinic(*api_client)
    await wants(clinic)
    (one,) = slices(1)
    kept = mr(StudyInstanceUID=one.StudyInstanceUID, PatientID=one.PatientID)
    answer = await store(clinic, multipart(bodies([one, kept])))
    assert answer.status_code == 200, answer.text
    ((study_id,),) = await clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=clinic.facility_id)
    headers = clinic.tokens.headers(clinic.facility_id, Role.ADMIN, scopes=frozenset({Scope.IDENTITY}))
    known = {
        "upload_id": (await clinic.open(reference="my own words"))["id"],
        "study_id": str(study_id),
        "study": one.StudyInstanceUID,
        "series": one.SeriesInstanceUID,
        "instance": one.SOPInstanceUID,
        "frames": "1",
        "tag": "7FE00010",
        "number": "1",
    }
    return Contract(SERVICE, clinic.http, headers, known, with_boundary)


@pytest.mark.parametrize("operation", operations(SERVICE))
async def test_an_admin_with_all_rights_is_answered_as_documented(contract: Contract, operation: str) -> None:
    await contract.holds(operation)


@pytest.mark.parametrize("operation", operations(SERVICE))
async def test_strangers_are_told_to_log_in_and_nothing_else(contract: Contract, operation: str) -> None:
    for headers in STRANGERS:
        await replace(contract, headers=headers).holds(operation, examples=1, only=(401,))
