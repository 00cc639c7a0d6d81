"""Those to invite, as they come: one JSON object, a list of them, or CSV as a spreadsheet saves it."""

import csv
import io
from typing import Any

from codetect_shared.problems import BadInput, Problem
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from codetect_auth.access.invitations import MOST_AT_ONCE, Wanted
from codetect_auth.facility_schemas import NewInvitations

COLUMNS = ("email", "name", "role")
CSV = "text/csv"
JSON = TypeAdapter[Any](NewInvitations)
REQUEST_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": JSON.json_schema(ref_template="#/components/schemas/{model}")},
            CSV: {"schema": {"type": "string"}, "example": "email,name,role\nmira@hospital.example,Mira,member\n"},
        },
    }
}


class NotReadable(Problem):
    """Send application/json or text/csv."""

    status = 415


async def invitations_in(request: Request) -> list[Wanted]:
    """What a request's body holds. Raises BadInput, NotReadable."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind == CSV:
        return from_csv(body)
    if kind != "application/json":
        raise NotReadable
    try:
        found = JSON.validate_json(body)
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in error.errors()]) from None
    return [Wanted(each.email, each.name, each.role) for each in (found if isinstance(found, list) else [found])]


def from_csv(body: bytes) -> list[Wanted]:
    """Rows of `email,name,role`, with commas, semicolons or tabs; with a heading the columns may come in any order."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput("Save the CSV as UTF-8.") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error as error:
        raise BadInput(f"This is no CSV: {error}.") from None
    rows = [row for row in rows if any(row)]
    heading = [cell.casefold() for cell in rows[0]] if rows else []
    columns: tuple[str, ...] = COLUMNS
    if "email" in heading:
        columns, rows = tuple(heading), rows[1:]
        if not {"email", "name"} <= set(columns):
            raise BadInput("The columns are email, name and role.")
    if len(rows) > MOST_AT_ONCE:
        raise BadInput(f"1 to {MOST_AT_ONCE} people are invited at once; these are {len(rows)}.")
    found = [dict(zip(columns, row, strict=False)) for row in rows]
    return [Wanted(each.get("email", ""), each.get("name", ""), each.get("role") or "member") for each in found]
