"""API clients: programs that work for a facility, and their tokens (OAuth 2.0 client credentials, RFC 6749)."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.problems import BadInput, NotFound, Problem
from codetect_shared.tokens import Principal, Role, Scope, issue
from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import revocations
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.mails.asking import Kind, ask
from codetect_auth.models import ApiClient, Person, Status
from codetect_auth.recording import about, command, record

LONGEST_LIFE, USUAL_LIFE = timedelta(days=5 * 366), timedelta(days=365)
LONGEST_GRACE_H = 24
WARN_BEFORE = timedelta(days=14)


class TokenRequestRefused(Problem):
    """The token request is not valid."""

    status = 400
    error: ClassVar[str] = "invalid_request"

    def body(self) -> dict[str, Any]:
        """With the members that OAuth libraries read (RFC 6749, section 5.2)."""
        return super().body() | {"error": self.error, "error_description": self.title()}


class ClientRefused(TokenRequestRefused):
    """The client id or the client secret is wrong."""

    status = 401
    headers = {"WWW-Authenticate": 'Basic realm="codetect"'}
    error = "invalid_client"


class GrantUnsupported(TokenRequestRefused):
    """Only the grant type client_credentials is served here."""

    error = "unsupported_grant_type"


class ScopeRefused(TokenRequestRefused):
    """This API client doesn't have that scope, or its owner may not do that any more."""

    error = "invalid_scope"


def most_scopes(owner: Person) -> set[Scope]:
    """What an owner's API clients may do at most: no more than the owner. Admins, who give rights, lend any scope."""
    if owner.role in (Role.ADMIN, Role.OPERATOR):
        return set(Scope)
    working = set() if owner.role == Role.VIEWER else {Scope.WRITE}
    return {Scope.READ, *working, *map(Scope, owner.rights)}


async def create_client(
    session: AsyncSession,
    facility_id: UUID,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None = None,
    by: Principal | None = None,
) -> tuple[ApiClient, str]:
    """A new API client, and its secret, which is kept nowhere; `by` owns it."""
    expires_at = _lasting(expires_at)
    secret = opaque_token()
    client = ApiClient(
        id=uuid7(),
        facility_id=facility_id,
        name=name,
        secret_hash=token_hash(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        created_by=UUID(by.subject) if by else None,
    )
    session.add(client)
    await session.flush()
    await record(session, by or command(facility_id), "client.create", client, scopes=client.scopes)
    return client, secret


async def list_clients(session: AsyncSession, after: UUID | None, limit: int) -> Sequence[ApiClient]:
    """The session's facility's API clients that may still be used or expired by themselves, oldest first."""
    statement = select(ApiClient).where(ApiClient.revoked_at.is_(None)).order_by(ApiClient.id).limit(limit)
    return (await session.scalars(statement.where(ApiClient.id > after) if after else statement)).all()


async def rotate_client(
    session: AsyncSession, client_id: UUID, grace_h: int, expires_at: datetime | None = None
) -> tuple[ApiClient, str]:
    """Another secret, and a new term; the secret of before lasts `grace_h` hours more. Raises NotFound.

    Without grace, tokens that it was traded for are refused within a minute, too.
    """
    client = await _locked(session, client_id)
    secret = opaque_token()
    client.previous_hash, client.secret_hash = client.secret_hash, token_hash(secret)
    client.previous_until = func.clock_timestamp() + timedelta(hours=grace_h)
    client.rotated_at, client.expires_at = func.clock_timestamp(), _lasting(expires_at)
    if grace_h == 0:
        await revocations.refuse(session, client.facility_id, client.id)
    await session.flush()
    await session.refresh(client)
    return client, secret


async def owned_by(session: AsyncSession, client_id: UUID, person_id: UUID) -> ApiClient:
    """Hand an API client to another of the facility's active people. Raises NotFound, BadInput."""
    # Before the client: a person who is just being suspended or removed keeps no client that works.
    active = Person.id == person_id, Person.status == Status.ACTIVE
    owner = await session.scalar(select(Person).where(*active).with_for_update(read=True))
    client = await _locked(session, client_id)
    if owner is None:
        raise BadInput("An API client is owned by an active person of the facility.")
    client.created_by = person_id
    if not most_scopes(owner).issuperset(client.scopes):
        await revocations.refuse(session, client.facility_id, client.id)
    await session.flush()
    return client


async def suspend(session: AsyncSession, client_id: UUID, whether: bool) -> ApiClient:
    """No tokens for this API client for now, or again; those it has are refused within a minute. Raises NotFound."""
    client = await _locked(session, client_id)
    client.suspended_at = func.clock_timestamp() if whether else None
    if whether:
        await revocations.refuse(session, client.facility_id, client.id)
    await session.flush()
    await session.refresh(client)
    return client


async def revoke_client(session: AsyncSession, client_id: UUID) -> ApiClient:
    """No more tokens for this API client; those it has are refused within a minute. Raises NotFound."""
    client = await _locked(session, client_id)
    client.revoked_at = func.clock_timestamp()
    await revocations.refuse(session, client.facility_id, client.id)
    return client


async def refuse_clients_of(session: AsyncSession, person: Person, *, revoke: bool = False) -> None:
    """Refuse the tokens of a person's API clients, which get no others while the person may not work, or ever again."""
    theirs = select(ApiClient).where(ApiClient.created_by == person.id, ApiClient.revoked_at.is_(None))
    for client in (await session.scalars(theirs.order_by(ApiClient.id).with_for_update())).all():
        if revoke:
            client.revoked_at = func.clock_timestamp()
        await revocations.refuse(session, person.facility_id, client.id)


async def tell_owner(auth: Auth, session: AsyncSession, client: ApiClient, what: str, cause: str) -> None:
    """Mail to the person who owns an API client; one that a command made has no owner."""
    owner = await session.get(Person, client.created_by) if client.created_by else None
    if owner and owner.status == Status.ACTIVE:
        key, facts = auth.settings.master_key, {"client": client.name, "what": what}
        name = f"client/{client.id}/{cause}"
        await ask(session, key, client.facility_id, Kind.API_CLIENT_CHANGED, owner.email, name, **facts)


async def warn(auth: Auth, session: AsyncSession) -> None:
    """Once for each term, two weeks before an API client's secret ends, mail to its owner."""
    now = func.clock_timestamp()
    soon = ApiClient.expires_at > now, ApiClient.expires_at < now + WARN_BEFORE, ApiClient.revoked_at.is_(None)
    for client in (await session.scalars(select(ApiClient).where(*soon))).all():
        assert client.expires_at is not None
        await tell_owner(auth, session, client, "expires soon", f"expires/{client.expires_at:%Y-%m-%dT%H:%M:%S}")


def _lasting(expires_at: datetime | None) -> datetime:
    now = datetime.now(UTC)
    if expires_at and not now < expires_at < now + LONGEST_LIFE:
        raise BadInput("expires_at lies in the past, or more than five years ahead.")
    return expires_at or now + USUAL_LIFE


async def _locked(session: AsyncSession, client_id: UUID) -> ApiClient:
    """An API client that wasn't revoked, for a change. Raises NotFound."""
    usable = ApiClient.id == client_id, ApiClient.revoked_at.is_(None)
    client = (await session.scalars(select(ApiClient).where(*usable).with_for_update())).one_or_none()
    if client is None:
        raise NotFound
    return client


async def client_token(
    auth: Auth, caller: Caller, grant_type: str, client_id: str, secret: str, scope: str
) -> tuple[str, list[str]]:
    """An access token of an API client, and the scopes it has: of its own, those that its owner may lend now."""
    about(None)
    if grant_type != "client_credentials":
        raise GrantUnsupported
    facility = caller.active_facility()
    if facility is None:
        raise ClientRefused
    async with auth.db.facility(facility.id) as session:
        now = func.clock_timestamp()
        lasts = ApiClient.revoked_at.is_(None), or_(ApiClient.expires_at.is_(None), ApiClient.expires_at > now)
        mine = ApiClient.id == _uuid(client_id), ApiClient.suspended_at.is_(None), *lasts
        allowed = await revocations.hold_facility(session, facility.id)
        owns = Person.id.in_(select(ApiClient.created_by).where(*mine))
        owner = await session.scalar(select(Person).where(owns).with_for_update(read=True))
        client = await session.scalar(select(ApiClient).where(*mine).with_for_update(read=True))
        if not client or not await _is_secret(session, client, token_hash(secret)):
            raise ClientRefused
        if (owner and owner.status != Status.ACTIVE) or not allowed:
            raise ClientRefused
        granted = [one for one in client.scopes if owner is None or one in most_scopes(owner)]
        scopes = scope.split() or granted
        if not scopes or not set(scopes) <= set(granted):
            raise ScopeRefused
        issued_at = await revocations.moment(session, facility.id, client.id)
        key = await auth.keys.current(session)
        await record(session, client, "client.token", client, once=True)
    principal = Principal(
        str(client.id), facility.id, facility.slug, Role.API_CLIENT, frozenset(scopes), issued_at=issued_at
    )
    return issue(principal, key, issuer=auth.settings.issuer), scopes


async def _is_secret(session: AsyncSession, client: ApiClient, given: bytes) -> bool:
    """The secret, or for a while after a rotation the one before."""
    if hmac.compare_digest(client.secret_hash, given):
        return True
    known = client.previous_hash is not None and hmac.compare_digest(client.previous_hash, given)
    return known and bool(
        await session.scalar(select(ApiClient.previous_until > func.clock_timestamp()).where(ApiClient.id == client.id))
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ClientRefused from None
