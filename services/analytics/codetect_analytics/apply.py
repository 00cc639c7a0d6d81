"""Events into Postgres: kept once each, and folded into the figures of a schema. Runs in the caller's transaction."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import astuple, fields
from functools import cache
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import structlog
from codetect_shared.bus import Envelope
from codetect_shared.events import Event, StudyErased
from codetect_shared.forgetting import KEY_BYTES
from pydantic import ValidationError
from sqlalchemy import Table

from codetect_analytics import models
from codetect_analytics.fold import Latest, Tally, analyses_in

log = structlog.get_logger()
ERASE = "INSERT INTO erasures (study_id, facility_id, key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
KEPT = ("event_id", "facility_id", "type", "subject", "sequence", "time", "data")


async def keep(db: asyncpg.Connection, told: Sequence[Envelope]) -> list[Envelope]:
    """Keep events that are not kept yet; returns those, in order."""
    rows = [(e.id, e.facility_id, e.type, e.subject, e.sequence, e.time, json.dumps(e.data)) for e in told]
    insert = f"""
        INSERT INTO events ({", ".join(KEPT)}) SELECT * FROM {_unnest(models.events, KEPT)}
        ON CONFLICT (event_id) DO NOTHING RETURNING event_id
    """  # noqa: S608 - names of our own columns
    new = {row["event_id"] for row in await db.fetch(insert, *_columns(rows, len(KEPT)))}
    fresh = [e for e in told if e.id in new and not new.discard(e.id)]  # type: ignore[func-returns-value]
    for envelope in fresh:
        if envelope.type == StudyErased.type and isinstance(event := _event(envelope), StudyErased):
            await db.execute(ERASE, event.study_id, envelope.facility_id, secrets.token_bytes(KEY_BYTES))
    return fresh


async def count(db: asyncpg.Connection, schema: str, told: Sequence[Envelope]) -> None:
    """Fold events that were never folded before into the figures of `schema`."""
    known = [(envelope, _event(envelope)) for envelope in told]
    ids = list(analyses_in(event for _, event in known))
    names = [field.name for field in fields(Latest)]
    select = f"SELECT analysis_id, {', '.join(names)} FROM {schema}.latest WHERE analysis_id = ANY($1)"  # noqa: S608
    rows = await db.fetch(select, ids) if ids else []
    tally = Tally({row["analysis_id"]: Latest(*(row[name] for name in names)) for row in rows})
    for envelope, event in known:
        if event:
            tally.fold(envelope, event)
    for table, changes in tally.counters.items():
        await _write(db, schema, table, [(*key, *sums) for key, sums in sorted(changes.items())])
    if tally.moved:
        moved = [(id_, *astuple(tally.latest[id_])) for id_ in sorted(tally.moved)]
        await _write(db, schema, models.latest, moved)


def _event(envelope: Envelope) -> Event | None:
    """The payload, if this version understands it: another one may, when it rebuilds."""
    try:
        return envelope.event()
    except (KeyError, ValidationError) as error:
        log.error("event without figures", type=envelope.type, event_id=str(envelope.id), error=str(error))
        return None


async def _write(db: asyncpg.Connection, schema: str, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    await db.execute(_upsert(schema, table), *_columns(rows, len(table.columns)))


@cache
def _upsert(schema: str, table: Table) -> str:
    """Counters add what comes, `latest` takes it."""
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key]
    adds = table in models.COUNTERS
    values = [f"{n} = " + (f"t.{n} + " if adds else "") + f"excluded.{n}" for n in names if n not in keys]
    return f"""
        INSERT INTO {schema}.{table.name} AS t ({", ".join(names)}) SELECT * FROM {_unnest(table, names)}
        ON CONFLICT ({", ".join(keys)}) DO UPDATE SET {", ".join(values)}
    """  # noqa: S608 - names of our own tables and columns


def _unnest(table: Table, names: Sequence[str]) -> str:
    kinds = [table.columns[name].type.compile(models.DIALECT) for name in names]
    return f"unnest({', '.join(f'${n}::{kind}[]' for n, kind in enumerate(kinds, 1))})"


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [[row[n] for row in rows] for n in range(width)]
