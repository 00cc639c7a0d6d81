"""Every operation of inference keeps to its document, whatever it is asked, and asks who is there first."""

from dataclasses import replace

import pytest
from codetect_inference.feedback.models import Feedback
from codetect_shared.db import uuid7
from codetect_shared.tokens import Role

from tests.contract import SEEDED, STRANGERS, Contract, operations
from tests.inference.conftest import Facility, House, lung
from tests.inference.samples import bundle_files, tiny_model

SERVICE = "inference"
pytestmark = SEEDED


@pytest.fixture(scope="module")
def facility(house: House) -> Facility:
    return Facility(house, uuid7())


@pytest.fixture(scope="module")
async def contract(house: House, facility: Facility) -> Contract:
    """An admin of a facility with a model, an analysis that waits, and a finding that waits for a second reader."""
    registered = await facility.register(bundle_files(tiny_model(), name=f"contract-{facility.id}"))
    model = registered.json()
    event = await facility.receive(await facility.store(lung(12)))
    found = await facility.analyses(event.study_id)  # also one by each model that tests before left
    analysis = next(one for one in found if one.model_name == model["name"])
    finding = Feedback(
        facility_id=facility.id,
        analysis_id=analysis.id,
        label="grey",
        model_says="present",
        probability=0.7,
        state="waiting",
        readers=1,
    )
    async with house.db.facility(facility.id) as session:
        session.add(finding)
    admin = house.tokens.headers(facility.id, Role.ADMIN)
    view = await house.client.post("/api/v1/views", json={"name": "kept", "filters": "status=failed"}, headers=admin)
    note = await house.client.post(f"/api/v1/analyses/{analysis.id}/notes", json={"text": "kept"}, headers=admin)
    known = {
        "note_id": note.json()["id"],
        "view_id": view.json()["id"],
        "feedback_id": str(finding.id),
        "analysis_id": str(analysis.id),
        "study_id": str(event.study_id),
        "name": model["name"],
        "version": model["version"],
        "n": "0",
        "number": "0",
    }
    return Contract(SERVICE, house.client, admin, known)


@pytest.mark.parametrize("operation", operations(SERVICE))
async def test_an_admin_is_answered_as_documented(contract: Contract, operation: str) -> None:
    await contract.holds(operation)


@pytest.mark.parametrize("operation", operations(SERVICE))
async def test_an_operator_is_answered_as_documented(contract: Contract, facility: Facility, operation: str) -> None:
    operator = facility.house.tokens.headers(facility.id, Role.OPERATOR)
    await replace(contract, headers=operator).holds(operation, examples=3)


@pytest.mark.parametrize("operation", operations(SERVICE))
async def test_strangers_are_told_to_log_in_and_nothing_else(contract: Contract, operation: str) -> None:
    for headers in STRANGERS:
        await replace(contract, headers=headers).holds(operation, examples=1, only=(401,))
