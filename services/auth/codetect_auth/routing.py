"""What routes ask for alike: who may, and which part of a list."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

from codetect_shared.problems import BadInput, Forbidden, Unauthenticated
from codetect_shared.tokens import Principal, Role, require
from fastapi import Query, Response
from pydantic import BaseModel

from codetect_auth.schemas import Page

PEOPLE = (Role.OPERATOR, Role.ADMIN, Role.MEMBER, Role.VIEWER)
Human = Annotated[Principal, require(*PEOPLE)]
FreshHuman = Annotated[Principal, require(*PEOPLE, fresh=True)]
Operator = Annotated[Principal, require(Role.OPERATOR)]
FreshOperator = Annotated[Principal, require(Role.OPERATOR, fresh=True)]
Admin = Annotated[Principal, require(Role.ADMIN, Role.OPERATOR)]
FreshAdmin = Annotated[Principal, require(Role.ADMIN, Role.OPERATOR, fresh=True)]
FacilityAdmin = Annotated[Principal, require(Role.ADMIN)]
FreshFacilityAdmin = Annotated[Principal, require(Role.ADMIN, fresh=True)]
REFUSALS = (Unauthenticated, Forbidden, BadInput)

Cursor = Annotated[UUID | None, Query(description="`next` of the part before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Item = TypeVar("Item", bound=BaseModel)


def page(item: type[Item], rows: Sequence[Any], limit: int) -> Page[Item]:
    """Rows as a part of a list; a full part may have one after it."""
    more = str(rows[-1].id) if len(rows) == limit else None
    return Page(items=[item.model_validate(row) for row in rows], next=more)


def no_store(response: Response) -> None:
    """Tokens and secrets are kept by no cache (RFC 6749, section 5.1)."""
    response.headers["Cache-Control"] = "no-store"
