"""Which routes take a proof of the last ten minutes (step-up), and why other changes by admins and operators don't.

See docs/adr/0046; docs/roles.md marks the first. Tests ask every route of every service with an old proof, and compare.
"""

STEP_UP = frozenset(
    {
        # One's own factors.
        "PATCH /api/v1/auth/factors/{factor_id}",
        "DELETE /api/v1/auth/factors/{factor_id}",
        "POST /api/v1/auth/factors/totp",
        "POST /api/v1/auth/factors/totp/confirm",
        "POST /api/v1/auth/passkeys/options",
        "POST /api/v1/auth/passkeys",
        "POST /api/v1/auth/recovery-codes",
        # Who comes in.
        "POST /api/v1/access-requests/{request_id}/approve",
        "POST /api/v1/invitations",
        "POST /api/v1/facilities",
        "POST /api/v1/facilities/{facility_id}/invitations",
        # People and programs.
        "PATCH /api/v1/members/{member_id}",
        "DELETE /api/v1/members/{member_id}",
        "POST /api/v1/members/{member_id}/reset-factors",
        "POST /api/v1/api-clients",
        "POST /api/v1/api-clients/{client_id}/rotate",
        "PATCH /api/v1/api-clients/{client_id}",
        "DELETE /api/v1/api-clients/{client_id}",
        # What goes outside.
        "POST /api/v1/webhooks",
        "PATCH /api/v1/webhooks/{webhook_id}",
        "POST /api/v1/webhooks/{webhook_id}/secret",
        "POST /api/v1/ingest/destinations",
        "PATCH /api/v1/ingest/destinations/{destination_id}",
        # What is gone then, or kept no longer.
        "DELETE /api/v1/studies/{study_id}",
        "DELETE /api/v1/studies/{study_id}/legal-hold",
        "POST /api/v1/ingest/forget",
        "PATCH /api/v1/ingest/settings",
        # What holds for all facilities, or stops one.
        "PATCH /api/v1/facilities/{facility_id}",
        "POST /api/v1/terms",
        "POST /api/v1/models",
        "PATCH /api/v1/models/{name}/{version}",
        "POST /api/v1/models/{name}/{version}/activate",
        "POST /api/v1/models/{name}/{version}/shadow",
        "DELETE /api/v1/models/{name}/{version}/shadow",
        "POST /api/v1/models/{name}/{version}/canary",
        "DELETE /api/v1/models/{name}/{version}/canary",
        "POST /api/v1/models/{name}/rollback",
    }
)

# What only admins and operators change without it: nothing opens, nothing is lost for good.
OPEN = {
    "POST /api/v1/access-requests/{request_id}/reject": "keeps somebody out, who may ask again",
    "POST /api/v1/invitations/{invitation_id}/resend": "goes to the address that was invited with a proof",
    "DELETE /api/v1/invitations/{invitation_id}": "takes a way in back",
    "DELETE /api/v1/members/{member_id}/sessions": "whoever belongs here logs in again",
    "DELETE /api/v1/undeliverable-addresses/{address_id}": "mails go to an address known before",
    "DELETE /api/v1/webhooks/{webhook_id}": "less goes outside",
    "POST /api/v1/webhooks/{webhook_id}/test": "tells of nothing, at an address given with a proof",
    "POST /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": "goes to an address given with a proof",
    "DELETE /api/v1/ingest/destinations/{destination_id}": "less goes outside",
    "POST /api/v1/ingest/deliveries/{delivery_id}/retry": "goes to a server named with a proof",
    "POST /api/v1/ingest/destinations/{destination_id}/retry": "goes to a server named with a proof",
    "POST /api/v1/platform/dead-letters/{event_id}/redeliver": "was told before, and is applied once at most",
    "PUT /api/v1/studies/{study_id}/legal-hold": "keeps a study",
}
