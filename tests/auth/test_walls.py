"""No operation of auth tells one facility of another's people, programs and webhooks, or touches them."""

import pytest
from codetect_shared.tokens import Role

from tests.auth.conftest import House
from tests.contract import SEEDED, Contract
from tests.walls import Walls, walled

SERVICE = "auth"
pytestmark = SEEDED
FAILED = "codetect.analysis.failed.v1"


# Whoever holds this token, in a mail, needs no login.
UNSUBSCRIBING = [f"{method} /api/v1/auth/mail-preferences/unsubscribe/{{token}}" for method in ("GET", "POST")]


@pytest.mark.parametrize("operation", walled(SERVICE, *UNSUBSCRIBING))
async def test_anothers_is_as_if_it_were_not_there(house: House, operation: str) -> None:
    facility = await house.facility()
    owner = await house.account(Role.ADMIN, facility)
    mine = {"Authorization": f"Bearer {(await owner.enrol())['access_token']}"}

    async def owned(method: str, path: str, **body: object) -> dict[str, object]:
        answer = await owner.client.request(method, f"/api/v1{path}", headers=mine, json=body or None)
        assert answer.is_success, answer.text
        return dict(answer.json())

    me = await owned("GET", "/auth/me")
    client = await owned("POST", "/api-clients", name="pacs")
    hook = await owned("POST", "/webhooks", url="https://a.example", types=[FAILED])
    delivery = await owned("POST", f"/webhooks/{hook['id']}/test")
    (login,) = (await owned("GET", "/auth/sessions"))["items"]
    (factor,) = (await owned("GET", "/auth/factors"))["items"]
    colleague = {"email": "carl@clinic.example", "name": "Carl", "role": "member"}
    await owner.client.post("/api/v1/invitations", headers=mine, json=[colleague])
    (invitation,) = (await owned("GET", "/invitations"))["items"]
    wish = {"email": "rita@clinic.example", "name": "Rita", "role": "member", "reason": "work"}
    assert (await owner.client.post("/api/v1/access-requests", json=wish)).status_code == 202
    ((request,),) = await house.sql("SELECT id FROM access_requests WHERE facility_id = :f", f=facility.id)
    dead = "gen_random_uuid(), :f, 'key', 'dead@clinic.example', 'no mailbox'"
    ((address,),) = await house.sql(
        "INSERT INTO undeliverable_addresses (id, facility_id, address_key, address, reason)"
        f" VALUES ({dead}) RETURNING id",
        f=facility.id,
    )
    known = {
        "facility_id": facility.id,
        "invitation_id": invitation["id"],
        "request_id": request,
        "address_id": address,
        "member_id": me["id"],
        "client_id": client["client_id"],
        "webhook_id": hook["id"],
        "delivery_id": delivery["id"],
        "session_id": login["id"],
        "factor_id": factor["id"],
    }
    stranger = await house.account(Role.ADMIN)
    theirs = {"Authorization": f"Bearer {(await stranger.enrol())['access_token']}"}
    contract = Contract(SERVICE, stranger.client, theirs, {name: str(value) for name, value in known.items()})
    bodies = {"PATCH /api/v1/members/{member_id}": {"status": "suspended"}}
    operators_alone = "/facilities/" in operation
    assert await Walls(contract, bodies).stand(operation) == (403 if operators_alone else 404)
    for path in (f"/webhooks/{hook['id']}", "/auth/me"):
        await owned("GET", path)
    assert [one["client_id"] for one in (await owned("GET", "/api-clients"))["items"]] == [client["client_id"]]
