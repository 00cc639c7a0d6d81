"""Which role may do what: the one table, from which docs/roles.md is written and against which every route is tested.

A route that isn't here fails the tests; so does one that lets in or keeps out another role than it says here.
"""

from dataclasses import dataclass

from codetect_shared.tokens import Role, Scope

OPERATOR, ADMIN, MEMBER, VIEWER, API_CLIENT = Role.OPERATOR, Role.ADMIN, Role.MEMBER, Role.VIEWER, Role.API_CLIENT
ANYBODY = None
PEOPLE = frozenset({OPERATOR, ADMIN, MEMBER, VIEWER})
ALL = PEOPLE | {API_CLIENT}
WRITERS = frozenset({ADMIN, MEMBER, API_CLIENT})
READERS = frozenset({ADMIN, MEMBER})
ADMINS = frozenset({ADMIN})
EXPORTERS = frozenset({ADMIN, API_CLIENT})
BOTH = frozenset({OPERATOR, ADMIN})
OPERATORS = frozenset({OPERATOR})


@dataclass(frozen=True)
class Doing:
    """Something that can be done, who may (None: anybody, without a token), and the routes it is done by.

    An API client needs the scope `read` for GET and `write` for the rest, but where it only `reads` by another method.
    `right` is what somebody needs beyond the role.
    """

    what: str
    who: frozenset[Role] | None
    routes: tuple[str, ...]
    reads: bool = False
    right: Scope | None = None


TABLE = (
    Doing(
        "find a facility's name and login methods, the terms, the public keys",
        ANYBODY,
        (
            "GET /api/v1/facility",
            "GET /api/v1/terms",
            "GET /api/v1/terms/{version}",
            "GET /.well-known/jwks.json",
        ),
    ),
    Doing(
        "ask to come in, come in with a mailed link, log in, get back in",
        ANYBODY,
        (
            "POST /api/v1/access-requests",
            "POST /api/v1/access-requests/confirm",
            "POST /api/v1/invitations/accept",
            "POST /api/v1/auth/login",
            "POST /api/v1/auth/mfa",
            "POST /api/v1/auth/totp/enrol",
            "POST /api/v1/auth/totp/confirm",
            "POST /api/v1/auth/passkeys/enrol/options",
            "POST /api/v1/auth/passkeys/enrol",
            "POST /api/v1/auth/passkeys/login/options",
            "POST /api/v1/auth/passkeys/login",
            "POST /api/v1/auth/refresh",
            "POST /api/v1/auth/logout",
            "POST /api/v1/auth/password-reset",
            "POST /api/v1/auth/password-reset/confirm",
            "POST /api/v1/auth/mail-preferences/unsubscribe/{token}",
            "POST /oauth/token",
        ),
    ),
    Doing("see who one is", ALL, ("GET /api/v1/auth/me",)),
    Doing(
        "look after one's own account: logins, password, second factors, mail, terms",
        PEOPLE,
        (
            "GET /api/v1/auth/sessions",
            "DELETE /api/v1/auth/sessions",
            "DELETE /api/v1/auth/sessions/{session_id}",
            "POST /api/v1/auth/password",
            "POST /api/v1/auth/terms",
            "GET /api/v1/auth/factors",
            "PATCH /api/v1/auth/factors/{factor_id}",
            "DELETE /api/v1/auth/factors/{factor_id}",
            "POST /api/v1/auth/factors/totp",
            "POST /api/v1/auth/factors/totp/confirm",
            "POST /api/v1/auth/passkeys/options",
            "POST /api/v1/auth/passkeys",
            "POST /api/v1/auth/recovery-codes",
            "POST /api/v1/auth/step-up/options",
            "POST /api/v1/auth/step-up",
            "GET /api/v1/auth/mail-preferences",
            "PUT /api/v1/auth/mail-preferences",
        ),
    ),
    Doing(
        "keep views of the worklist for oneself",
        PEOPLE,
        (
            "GET /api/v1/views",
            "POST /api/v1/views",
            "PATCH /api/v1/views/{view_id}",
            "DELETE /api/v1/views/{view_id}",
        ),
    ),
    Doing(
        "read the facility's figures",
        ALL,
        ("GET /api/v1/analytics/summary", "GET /api/v1/analytics/timeseries"),
    ),
    Doing("watch what happens in the facility, live", ALL, ("POST /api/v1/live/ticket",), reads=True),
    Doing(
        "read uploads, studies and their images, under pseudonyms",
        ALL,
        (
            "GET /api/v1/uploads/{upload_id}",
            "GET /api/v1/uploads/{upload_id}/files/{number}/report",
            "GET /api/v1/studies",
            "POST /api/v1/studies/find",
            "GET /api/v1/studies/{study_id}",
            "GET /api/v1/studies/export",
            "GET /api/v1/studies/{study_id}/export",
            "GET /api/v1/ingest/settings",
            "GET /api/v1/ingest/usage",
        ),
        reads=True,
    ),
    Doing(
        "search and retrieve by DICOMweb, under pseudonyms",
        ALL,
        (
            "GET /dicomweb/studies",
            "GET /dicomweb/studies/{study}",
            "GET /dicomweb/series",
            "GET /dicomweb/instances",
            "GET /dicomweb/studies/{study}/series",
            "GET /dicomweb/studies/{study}/instances",
            "GET /dicomweb/studies/{study}/series/{series}/instances",
            "GET /dicomweb/studies/{study}/series/{series}",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}",
            "GET /dicomweb/studies/{study}/metadata",
            "GET /dicomweb/studies/{study}/series/{series}/metadata",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/metadata",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frames}",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/bulkdata/{tag}",
            "GET /dicomweb/studies/{study}/rendered",
            "GET /dicomweb/studies/{study}/series/{series}/rendered",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/rendered",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered",
            "GET /dicomweb/studies/{study}/thumbnail",
            "GET /dicomweb/studies/{study}/series/{series}/thumbnail",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/thumbnail",
            "GET /dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail",
        ),
    ),
    Doing(
        "see who patients are",
        ALL,
        ("POST /api/v1/studies/identities", "GET /api/v1/studies/{study_id}/identity"),
        reads=True,
        right=Scope.IDENTITY,
    ),
    Doing(
        "read an upload's reference (one's own; others' with the right `identity`)",
        ALL,
        ("GET /api/v1/uploads/{upload_id}/reference",),
    ),
    Doing(
        "send studies, and erase them",
        WRITERS,
        (
            "POST /api/v1/uploads",
            "POST /api/v1/uploads/{upload_id}/renew",
            "POST /api/v1/uploads/{upload_id}/complete",
            "POST /dicomweb/studies",
            "POST /dicomweb/studies/{study}",
            "DELETE /api/v1/studies/{study_id}",
        ),
    ),
    Doing(
        "read analyses, results and models",
        ALL,
        (
            "GET /api/v1/analyses",
            "GET /api/v1/analyses/facets",
            "GET /api/v1/analyses/{analysis_id}",
            "GET /api/v1/analyses/{analysis_id}/slices",
            "GET /api/v1/analyses/{analysis_id}/slices/{n}/image.png",
            "GET /api/v1/analyses/{analysis_id}/slices/{n}/pixels",
            "GET /api/v1/analyses/{analysis_id}/slices/{n}/heatmap.png",
            "GET /api/v1/analyses/{analysis_id}/report.dcm",
            "GET /api/v1/analyses/{analysis_id}/report.pdf",
            "GET /api/v1/analyses/{analysis_id}/report.fhir.json",
            "GET /api/v1/analyses/{analysis_id}/documents/{n}",
            "GET /api/v1/models",
            "GET /api/v1/models/{name}/{version}",
        ),
    ),
    Doing(
        "read what readers said of findings and wrote down, and how models fare (operators: everywhere)",
        ALL,
        (
            "GET /api/v1/analyses/{analysis_id}/feedback",
            "GET /api/v1/analyses/{analysis_id}/notes",
            "GET /api/v1/feedback",
            "GET /api/v1/models/{name}/{version}/watch",
        ),
    ),
    Doing(
        "agree with findings or correct them, decide as a second reader, reopen a decision, write notes",
        READERS,
        (
            "POST /api/v1/analyses/{analysis_id}/feedback",
            "POST /api/v1/feedback/{feedback_id}/adjudicate",
            "POST /api/v1/feedback/{feedback_id}/reopen",
            "POST /api/v1/analyses/{analysis_id}/notes",
            "DELETE /api/v1/analyses/{analysis_id}/notes/{note_id}",
        ),
    ),
    Doing("export readers' labels for training", EXPORTERS, ("GET /api/v1/feedback/labels.csv",)),
    Doing(
        "ask for analyses, change, rerun, cancel and delete them",
        WRITERS,
        (
            "POST /api/v1/analyses",
            "POST /api/v1/analyses/bulk",
            "PATCH /api/v1/analyses/{analysis_id}",
            "DELETE /api/v1/analyses/{analysis_id}",
            "POST /api/v1/analyses/{analysis_id}/rerun",
            "POST /api/v1/analyses/{analysis_id}/cancel",
        ),
    ),
    Doing(
        "decide on the facility's images: settings, legal hold, forgetting, where results go",
        ADMINS,
        (
            "PATCH /api/v1/ingest/settings",
            "POST /api/v1/ingest/forget",
            "PUT /api/v1/studies/{study_id}/legal-hold",
            "DELETE /api/v1/studies/{study_id}/legal-hold",
            "GET /api/v1/ingest/destinations",
            "POST /api/v1/ingest/destinations",
            "PATCH /api/v1/ingest/destinations/{destination_id}",
            "DELETE /api/v1/ingest/destinations/{destination_id}",
            "GET /api/v1/ingest/deliveries",
            "POST /api/v1/ingest/deliveries/{delivery_id}/retry",
            "POST /api/v1/ingest/destinations/{destination_id}/retry",
        ),
    ),
    Doing(
        "decide who comes in on request, change and remove members, read the checklist",
        ADMINS,
        (
            "GET /api/v1/access-requests",
            "POST /api/v1/access-requests/{request_id}/approve",
            "POST /api/v1/access-requests/{request_id}/reject",
            "PATCH /api/v1/members/{member_id}",
            "DELETE /api/v1/members/{member_id}",
            "GET /api/v1/facility/checklist",
        ),
    ),
    Doing(
        "have events told to addresses of the facility's (webhooks)",
        ADMINS,
        (
            "GET /api/v1/webhooks",
            "POST /api/v1/webhooks",
            "GET /api/v1/webhooks/{webhook_id}",
            "PATCH /api/v1/webhooks/{webhook_id}",
            "DELETE /api/v1/webhooks/{webhook_id}",
            "POST /api/v1/webhooks/{webhook_id}/secret",
            "POST /api/v1/webhooks/{webhook_id}/test",
            "GET /api/v1/webhooks/{webhook_id}/deliveries",
            "POST /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
        ),
    ),
    Doing(
        "end members' logins, reset their factors (operators: also a sole admin's), see mails and dead addresses",
        BOTH,
        (
            "DELETE /api/v1/members/{member_id}/sessions",
            "POST /api/v1/members/{member_id}/reset-factors",
            "GET /api/v1/mails",
            "GET /api/v1/undeliverable-addresses",
            "DELETE /api/v1/undeliverable-addresses/{address_id}",
        ),
    ),
    Doing(
        "list members, invite, manage API clients, read who did what (operators: of their own facility)",
        BOTH,
        (
            "GET /api/v1/audit-events",
            "GET /api/v1/audit-events/chain",
            "GET /api/v1/members",
            "GET /api/v1/access-steps",
            "POST /api/v1/invitations",
            "GET /api/v1/invitations",
            "POST /api/v1/invitations/{invitation_id}/resend",
            "DELETE /api/v1/invitations/{invitation_id}",
            "GET /api/v1/api-clients",
            "POST /api/v1/api-clients",
            "POST /api/v1/api-clients/{client_id}/rotate",
            "PATCH /api/v1/api-clients/{client_id}",
            "DELETE /api/v1/api-clients/{client_id}",
        ),
    ),
    Doing(
        "open, change and suspend facilities, invite their first admin, publish terms, manage models",
        OPERATORS,
        (
            "GET /api/v1/facilities",
            "POST /api/v1/facilities",
            "GET /api/v1/facilities/{facility_id}",
            "PATCH /api/v1/facilities/{facility_id}",
            "POST /api/v1/facilities/{facility_id}/invitations",
            "GET /api/v1/facilities/{facility_id}/checklist",
            "POST /api/v1/terms",
            "POST /api/v1/models",
            "PATCH /api/v1/models/{name}/{version}",
            "POST /api/v1/models/{name}/{version}/activate",
            "POST /api/v1/models/{name}/{version}/shadow",
            "DELETE /api/v1/models/{name}/{version}/shadow",
            "POST /api/v1/models/{name}/{version}/canary",
            "DELETE /api/v1/models/{name}/{version}/canary",
            "POST /api/v1/models/{name}/rollback",
            "GET /api/v1/models/rollouts",
            "GET /api/v1/models/{name}/{version}/comparison",
        ),
    ),
    Doing(
        "see how the platform fares and what went wrong, look at events that couldn't be applied and send them again",
        OPERATORS,
        (
            "GET /api/v1/platform/health",
            "GET /api/v1/platform/errors",
            "GET /api/v1/platform/dead-letters",
            "POST /api/v1/platform/dead-letters/{event_id}/redeliver",
        ),
    ),
)
BY_ROUTE = {route: doing for doing in TABLE for route in doing.routes}


def may(route: str, role: Role, scopes: frozenset[str] = frozenset()) -> bool:
    """Whether the table lets a role (an API client with `scopes`) do this. KeyError for a route that isn't in it."""
    doing = BY_ROUTE[route]
    if doing.who is None:
        return True
    needed = Scope.READ if doing.reads or route.startswith("GET ") else Scope.WRITE
    scoped = role is not Role.API_CLIENT or needed in scopes
    return role in doing.who and scoped and (doing.right is None or doing.right in scopes)
