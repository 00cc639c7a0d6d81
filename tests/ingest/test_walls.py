"""No operation of ingest tells one facility of another's studies, uploads and destinations, or touches them."""

from dataclasses import replace

import pytest
from codetect_shared.tokens import Role, Scope

from tests.contract import SEEDED, Contract
from tests.ingest.conftest import Clinic
from tests.ingest.test_contract import contract  # noqa: F401 - a fixture
from tests.walls import Walls, walled

SERVICE = "ingest"
# A study's UID is its sender's own: storing under it makes a study of the sender's facility (test_stow has it).
STORING = "POST /dicomweb/studies/{study}"
pytestmark = SEEDED


@pytest.fixture
async def walls(contract: Contract, clinic: Clinic) -> Walls:  # noqa: F811
    """An admin with all rights, of another facility than the one whose things are asked for."""
    owner = {"headers": contract.headers}
    body = {"name": f"pacs {clinic.facility_id}", "url": "http://127.0.0.1:9/dicom-web", "view": "pseudonymous"}
    made = await clinic.http.post("/api/v1/ingest/destinations", json=body, **owner)
    assert made.status_code == 201, made.text
    headers = clinic.tokens.headers(clinic.facility_id, Role.ADMIN, scopes=frozenset({Scope.IDENTITY}))
    ours = {"destination_id": made.json()["id"], "delivery_id": "00000000-0000-7000-8000-000000000000"}
    return Walls(replace(contract, headers=headers, known={**contract.known, **ours}))


@pytest.mark.parametrize("operation", walled(SERVICE, STORING))
async def test_anothers_is_as_if_it_were_not_there(
    walls: Walls,
    contract: Contract,  # noqa: F811
    operation: str,
) -> None:
    status = await walls.stand(operation)
    empty = operation.startswith("GET /dicomweb/studies/") and operation.endswith(("/series", "/instances"))
    assert status in ((200, 204) if empty else (404,)), status
    study = await contract.client.get(f"/api/v1/studies/{contract.known['study_id']}", headers=contract.headers)
    assert study.status_code == 200, "the owner still has it"
    assert study.json()["legal_hold"] is None or not study.json()["legal_hold"]
