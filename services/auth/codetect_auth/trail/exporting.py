"""A facility's audit rows as CSV, or as lines of FHIR."""

import csv
import json
from collections.abc import AsyncIterator, Sequence
from io import StringIO
from typing import Any

from sqlalchemy import Row

from codetect_auth.trail import fhir

COLUMNS = (
    "number",
    "at",
    "subject",
    "role",
    "session_id",
    "action",
    "outcome",
    "target",
    "study_id",
    "address",
    "request_id",
    "service",
    "service_number",
    "detail",
    "hash",
)
# Spreadsheets take these for the beginning of a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

Batches = AsyncIterator[Sequence[Row[Any]]]


async def csv_of(batches: Batches) -> AsyncIterator[bytes]:
    """Yield CSV (RFC 4180, UTF-8) with a header."""
    yield _lines([COLUMNS])
    async for rows in batches:
        yield _lines([[_harmless(_value(row, name)) for name in COLUMNS] for row in rows])


async def ndjson_of(batches: Batches, host: str) -> AsyncIterator[bytes]:
    """Yield one FHIR AuditEvent a line."""
    async for rows in batches:
        events = (fhir.audit_event(row.number, row.event_id, row.record, row.hash, host) for row in rows)
        yield "".join(json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n" for event in events).encode()


def _value(row: Row[Any], name: str) -> Any:
    record = row.record
    match name:
        case "number":
            return row.number
        case "hash":
            return row.hash.hex()
        case "service_number":
            return record["number"]
        case "detail":
            return json.dumps(record["detail"], separators=(",", ":"), sort_keys=True)
        case _:
            return record[name]


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    out = StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    return out.getvalue().encode()
