"""`admin audit verify | head | forget`."""

import argparse
import asyncio
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from codetect_shared.problems import BadInput, NotFound
from sqlalchemy import select

from codetect_auth.context import Auth
from codetect_auth.models import Facility
from codetect_auth.trail import retention, verifying
from codetect_auth.trail.tables import heads

KEPT_DAYS = 365


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to those of `admin`."""
    audit = commands.add_parser("audit", help="Check the audit trail.", description="Check the audit trail.")
    inner = audit.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, do: Any, text: str) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = inner.add_parser(name, help=text, description=text, parents=[common])
        added.set_defaults(do=do)
        added.add_argument("--facility", metavar="SLUG", help="this one alone; default: all")
        return added

    checked = command("verify", _verify, "Find rows that were altered, removed, put in, reordered, cut off, or missed.")
    checked.add_argument("--head", metavar="FILE", help="compare with what `admin audit head --json` printed earlier")
    command("head", _head, "Print where each chain ends, to be kept off this machine.")
    forgotten = command("forget", _forget, "Remove the oldest rows of chains that are whole.")
    forgotten.add_argument(
        "--before", required=True, type=_day, metavar="DATE", help=f"a day more than {KEPT_DAYS} days ago"
    )


async def _verify(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    kept = await asyncio.to_thread(_kept, options.head) if options.head else None
    reports = await verifying.verify(auth.db, auth.settings.master_key, options.facility, kept)
    if options.facility and not reports:
        raise NotFound(f"There is no facility {options.facility!r}.")
    said = verifying.first_sentence(reports)
    if said:
        print(said, file=sys.stderr)
    if not options.json:
        states = [f"{one.slug}: {one.rows} rows, {'whole' if one.ok else 'not whole'}" for one in reports]
        return {"ok": said is None, "chains": states}
    return {
        "ok": said is None,
        "rows": sum(report.rows for report in reports),
        "facilities": [
            {
                "facility": report.slug,
                "rows": report.rows,
                "head": report.head and report.head.number,
                "hash": report.head and report.head.hash.hex(),
                "first_bad": report.wrong[0].number if report.wrong else None,
                "wrong": [vars(one) for one in report.wrong],
            }
            for report in reports
        ],
    }


async def _head(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    c = heads.c
    wanted = select(c.facility_id, c.number, c.hash, c.at, Facility.slug).outerjoin(
        Facility, Facility.id == c.facility_id
    )
    if options.facility:
        wanted = wanted.where(Facility.slug == options.facility)
    async with auth.db.system() as session:
        rows = (await session.execute(wanted.order_by(c.facility_id))).all()
    if options.facility and not rows:
        raise NotFound(f"Nothing is recorded of a facility {options.facility!r}.")
    found = [
        {
            "facility_id": str(row.facility_id),
            "facility": row.slug,
            "number": row.number,
            "hash": row.hash.hex(),
            "at": row.at.isoformat(),
        }
        for row in rows
    ]
    return {
        "heads": found if options.json else [f"{one['facility']}: row {one['number']}, {one['hash']}" for one in found]
    }


async def _forget(auth: Auth, options: argparse.Namespace) -> dict[str, Any]:
    if options.before > datetime.now(UTC) - timedelta(days=KEPT_DAYS):
        raise BadInput(f"Rows of the last {KEPT_DAYS} days are kept.")
    owner_url = os.environ.get("CODETECT_AUTH_DATABASE_OWNER_URL")
    if not owner_url:
        raise BadInput("Only the database's owner may do this: set CODETECT_AUTH_DATABASE_OWNER_URL.")
    reports = await verifying.verify(auth.db, auth.settings.master_key, options.facility)
    if said := verifying.first_sentence(one for one in reports if any(w.kind != "gap" for w in one.wrong)):
        raise BadInput(f"{said} A chain that isn't whole isn't shortened.")
    removed = await retention.forget(
        owner_url, auth.settings.master_key, [r.facility_id for r in reports], options.before
    )
    return {"removed": removed}


def _kept(path: str) -> dict[UUID, tuple[int, str]]:
    try:
        found = json.loads(Path(path).read_text())
        kept = found.get("heads", [found])
        return {UUID(one["facility_id"]): (int(one["number"]), str(one["hash"])) for one in kept}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is not what `admin audit head --json` prints: {error}") from None


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
