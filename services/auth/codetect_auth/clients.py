"""API clients: programs that work for a facility, and their tokens (OAuth 2.0 client credentials, RFC 6749)."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from codetect_shared.db import uuid7
from codetect_shared.problems import BadInput, NotFound, Problem
from codetect_shared.tokens import Principal, Role, Scope, issue
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from codetect_auth import revocations
from codetect_auth.context import Auth, Caller, opaque_token, token_hash
from codetect_auth.models import ApiClient, Person, Status
from codetect_auth.recording import about, command, record

LONGEST_LIFE = timedelta(days=5 * 366)


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
    """This API client doesn't have that scope."""

    error = "invalid_scope"


async def create_client(
    session: AsyncSession,
    facility_id: UUID,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None = None,
    by: Principal | None = None,
) -> tuple[ApiClient, str]:
    """A new API client, and its secret, which is kept nowhere."""
    if expires_at and not datetime.now(UTC) < expires_at < datetime.now(UTC) + LONGEST_LIFE:
        raise BadInput("expires_at lies in the past, or more than five years ahead.")
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


async def revoke_client(session: AsyncSession, by: Principal, client_id: UUID) -> None:
    """No more tokens for this API client; those it has are refused within a minute."""
    mine = ApiClient.id == client_id, ApiClient.revoked_at.is_(None)
    revoke = update(ApiClient).where(*mine).values(revoked_at=func.clock_timestamp()).returning(ApiClient.facility_id)
    facility_id = (await session.execute(revoke)).scalar_one_or_none()
    if facility_id is None:
        raise NotFound
    await revocations.refuse(session, facility_id, client_id)
    await record(session, by, "client.revoke", f"client/{client_id}")


async def refuse_clients_of(session: AsyncSession, person: Person) -> None:
    """Refuse the tokens of a person's API clients, which get no more while the person is suspended."""
    theirs = select(ApiClient.id).where(ApiClient.created_by == person.id, ApiClient.revoked_at.is_(None))
    for client_id in (await session.scalars(theirs.order_by(ApiClient.id))).all():
        await revocations.refuse(session, person.facility_id, client_id)


async def client_token(
    auth: Auth, caller: Caller, grant_type: str, client_id: str, secret: str, scope: str
) -> tuple[str, list[str]]:
    """An access token of an API client, and the scopes it has."""
    about(None)
    if grant_type != "client_credentials":
        raise GrantUnsupported
    facility = caller.active_facility()
    if facility is None:
        raise ClientRefused
    async with auth.db.facility(facility.id) as session:
        now = func.clock_timestamp()
        lasts = ApiClient.revoked_at.is_(None), or_(ApiClient.expires_at.is_(None), ApiClient.expires_at > now)
        mine = ApiClient.id == _uuid(client_id), *lasts
        allowed = await revocations.hold_facility(session, facility.id)
        owner = select(Person.status).where(Person.id.in_(select(ApiClient.created_by).where(*mine)))
        suspended = await session.scalar(owner.with_for_update(read=True)) == Status.SUSPENDED
        client = await session.scalar(select(ApiClient).where(*mine).with_for_update(read=True))
        if not client or not hmac.compare_digest(client.secret_hash, token_hash(secret)):
            raise ClientRefused
        if suspended or not allowed:
            raise ClientRefused
        scopes = scope.split() or client.scopes
        if not set(scopes) <= set(client.scopes):
            raise ScopeRefused
        issued_at = await revocations.moment(session, facility.id, client.id)
        key = await auth.keys.current(session)
        await record(session, client, "client.token", client, once=True)
    principal = Principal(
        str(client.id), facility.id, facility.slug, Role.API_CLIENT, frozenset(scopes), issued_at=issued_at
    )
    return issue(principal, key, issuer=auth.settings.issuer), scopes


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise ClientRefused from None
