"""`codetect models`: which models there are, and, for the operator, new ones."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from codetect.cli.root import FacilityOption, JsonOption, client, printable, run, say
from codetect.models import RegisteredModel
from codetect.readers import Watch

models = typer.Typer(help="List the models; `watch` says how one fares, `push` registers one (operator).")


@models.callback(invoke_without_command=True)
def list_models(context: typer.Context, facility: FacilityOption = None, as_json: JsonOption = False) -> None:
    """List the models that can be asked for."""
    if context.invoked_subcommand:
        return

    async def read() -> list[RegisteredModel]:
        async with client(facility) as door:
            return await door.models()

    found = run(read())
    if as_json:
        print(json.dumps([model.model_dump(mode="json") for model in found], indent=2))
        return
    for model in found:
        state = "" if model.active else "out of service"
        print("\t".join(map(printable, (model.name, model.version, model.title or "", state))).rstrip())
    if not found:
        print("No model is registered yet.", file=sys.stderr)


@models.command()
def push(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, metavar="FOLDER", help="The model bundle.")],
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a model bundle, at the operator's own address (admin.<domain>)."""

    async def send() -> RegisteredModel:
        async with client(facility, operator=True, patience_s=60) as door:
            return await door.push_model(folder)

    model = run(send())
    if as_json:
        print(model.model_dump_json(indent=2))
    else:
        say(f"{model.name} {model.version} is registered.")


@models.command()
def watch(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    version: Annotated[str, typer.Argument(metavar="VERSION")],
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say how a model version fared in the last 30 days: drift, unlike studies, readers' agreement."""

    async def read() -> Watch:
        async with client(facility) as door:
            return await door.watch_model(name, version)

    found = run(read())
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    say(found.drift)
    rows: list[tuple[str, ...]] = []
    for one in found.measures:
        value = "" if one.psi is None else f"PSI {one.psi:.3f}"
        rows.append((one.measure, one.band.replace("_", " "), value, f"{one.studies} studies, {one.slices} slices"))
    if unlike := found.out_of_distribution:
        rows.append(("out of distribution", f"{unlike.flagged} of {unlike.studies} studies"))
    for each in found.agreement:
        settled = each.confirmed + each.corrected
        rows.append((f"readers on {each.label}", f"{each.confirmed} of {settled} confirmed, {each.waiting} wait"))
    for row in rows:
        print("\t".join(map(printable, row)))
