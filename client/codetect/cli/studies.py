"""`codetect studies` and `codetect erase`: what a facility keeps, and what it shall keep no more."""

import json
import sys
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from codetect.cli.access import step_up
from codetect.cli.root import Exit, FacilityOption, JsonOption, client, complain, printable, run, say
from codetect.client import Client
from codetect.errors import Refused
from codetect.models import Study

kept = typer.Typer()


@kept.command()
def studies(
    facility: FacilityOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List studies, the newest first, under their pseudonyms."""

    async def read() -> list[Study]:
        async with client(facility) as door, aclosing(door.studies()) as found:
            listed: list[Study] = []
            async for study in found:
                listed.append(study)
                if len(listed) == limit:
                    break
            return listed

    found = run(read())
    if as_json:
        print(json.dumps([study.model_dump(mode="json") for study in found], indent=2))
    elif sys.stdout.isatty():
        table = Table("Came", "Study", "Patient", "Images", "Series", "Kept", box=None)
        for study in found:
            table.add_row(*map(Text, _row(study)))
        Console().print(table)
    else:
        for study in found:
            print("\t".join(_row(study)))


@kept.command()
def erase(
    ids: Annotated[list[UUID], typer.Argument(metavar="STUDY...")],
    facility: FacilityOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Erase studies for good: images, identities and results."""
    if not yes:
        what = "this study" if len(ids) == 1 else f"these {len(ids)} studies"
        typer.confirm(f"Erase {what} for good?", abort=True, err=True)

    async def work() -> int:
        refused = 0
        async with client(facility) as door:
            for study_id in ids:
                try:
                    await _erase(door, study_id)
                    say(f"{study_id} is erased.")
                except Refused as error:
                    complain(f"{study_id}: {error}")
                    refused += 1
        return refused

    if run(work()):
        raise typer.Exit(Exit.FAILED)


async def _erase(door: Client, study_id: UUID) -> None:
    try:
        await door.erase(study_id)
    except Refused as error:
        if error.code != "step-up-required":
            raise
        await step_up(door)
        await door.erase(study_id)


def _row(study: Study) -> tuple[str, ...]:
    came = study.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    until = study.expires_at.astimezone().strftime("until %Y-%m-%d") if study.expires_at else ""
    series = ", ".join(f"{one.slices} {one.plane}" for one in study.series)
    cells = (came, str(study.id), study.patient_id, str(study.instances or ""), series)
    return tuple(map(printable, (*cells, "held" if study.legal_hold else until)))
