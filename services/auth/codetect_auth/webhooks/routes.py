"""Webhooks, for a facility's admins."""

from uuid import UUID

from codetect_shared.db import SessionDep
from codetect_shared.problems import responses
from codetect_shared.tokens import StepUpRequired
from fastapi import APIRouter, Depends

from codetect_auth.context import AuthDep
from codetect_auth.routing import REFUSALS, Cursor, FacilityAdmin, FreshFacilityAdmin, Limit, no_store
from codetect_auth.schemas import Page
from codetect_auth.webhooks import managing, schemas
from codetect_auth.webhooks.models import DeliveryState
from codetect_auth.webhooks.reaching import networks

ONE = (*REFUSALS, managing.EndpointNotFound)
FRESH_ONE = (*ONE, StepUpRequired)  # what sends outside, or signs for it (docs/adr/0046)
router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])


@router.get("", responses=responses(*REFUSALS))
async def list_webhooks(session: SessionDep, admin: FacilityAdmin) -> Page[schemas.Webhook]:
    """The facility's webhooks."""
    return Page(items=[schemas.Webhook.model_validate(row) for row in await managing.every(session, admin)])


@router.post(
    "",
    status_code=201,
    dependencies=[Depends(no_store)],
    responses=responses(*REFUSALS, StepUpRequired, managing.TooManyEndpoints),
)
async def add_webhook(
    session: SessionDep, auth: AuthDep, admin: FreshFacilityAdmin, body: schemas.NewWebhook
) -> schemas.WebhookWithSecret:
    """Tell an address of events, signed as Standard Webhooks says; the secret is in this answer and nowhere else."""
    inside = networks(auth.settings.webhook_networks)
    endpoint, secret = await managing.add(
        session, auth.settings.master_key, inside, admin, body.url, body.types, body.description
    )
    await session.refresh(endpoint)
    return schemas.WebhookWithSecret(**schemas.Webhook.model_validate(endpoint).model_dump(), secret=secret)


@router.get("/{webhook_id}", responses=responses(*ONE))
async def get_webhook(session: SessionDep, admin: FacilityAdmin, webhook_id: UUID) -> schemas.Webhook:
    """One webhook."""
    return schemas.Webhook.model_validate(await managing.find(session, admin, webhook_id))


@router.patch("/{webhook_id}", responses=responses(*FRESH_ONE))
async def change_webhook(
    session: SessionDep, auth: AuthDep, admin: FreshFacilityAdmin, webhook_id: UUID, body: schemas.WebhookChange
) -> schemas.Webhook:
    """Change it, switch it off, or on again after it was given up."""
    inside = networks(auth.settings.webhook_networks)
    return schemas.Webhook.model_validate(await managing.change(session, inside, admin, webhook_id, body.changes()))


@router.delete("/{webhook_id}", status_code=204, responses=responses(*ONE))
async def remove_webhook(session: SessionDep, admin: FacilityAdmin, webhook_id: UUID) -> None:
    """Forget it, with all its deliveries."""
    await managing.remove(session, admin, webhook_id)


@router.post("/{webhook_id}/secret", dependencies=[Depends(no_store)], responses=responses(*FRESH_ONE))
async def renew_webhook_secret(
    session: SessionDep, auth: AuthDep, admin: FreshFacilityAdmin, webhook_id: UUID
) -> schemas.WebhookSecret:
    """A new secret. Both sign for 24 hours, in which the receiver changes over."""
    secret = await managing.new_secret_of(session, auth.settings.master_key, admin, webhook_id)
    return schemas.WebhookSecret(secret=secret)


@router.post("/{webhook_id}/test", status_code=202, responses=responses(*ONE))
async def test_webhook(session: SessionDep, admin: FacilityAdmin, webhook_id: UUID) -> schemas.WebhookDelivery:
    """Send a message that tells of nothing (`codetect.webhook.tested.v1`)."""
    delivery = await managing.test(session, admin, webhook_id)
    await session.refresh(delivery)
    return schemas.WebhookDelivery.model_validate(delivery)


@router.get("/{webhook_id}/deliveries", responses=responses(*ONE))
async def list_webhook_deliveries(
    session: SessionDep,
    admin: FacilityAdmin,
    webhook_id: UUID,
    state: DeliveryState | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[schemas.WebhookDelivery]:
    """What was sent, what came of each try, and what is still to come; newest first, kept for a fortnight."""
    found = await managing.deliveries(session, admin, webhook_id, state, cursor, limit)
    items = [
        schemas.WebhookDelivery.model_validate(row).model_copy(
            update={"tries": [schemas.WebhookTry.model_validate(one) for one in tries]}
        )
        for row, tries in found
    ]
    return Page(items=items, next=str(items[-1].id) if len(items) == limit else None)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    responses=responses(*ONE, managing.DeliveryNotFound, managing.StillUnderWay, managing.BodyForgotten),
)
async def redeliver_webhook(
    session: SessionDep, admin: FacilityAdmin, webhook_id: UUID, delivery_id: UUID
) -> schemas.WebhookDelivery:
    """Send it again, under the same `webhook-id`."""
    return schemas.WebhookDelivery.model_validate(await managing.redeliver(session, admin, webhook_id, delivery_id))
