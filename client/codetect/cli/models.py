"""`codetect models`: which models there are, and, for the operator, new ones and which of them serve where."""

import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import typer

from codetect.cli.access import step_up
from codetect.cli.root import FacilityOption, JsonOption, client, fail, printable, run, say
from codetect.client import Client
from codetect.errors import Refused
from codetect.models import Compared, Comparison, RegisteredModel, Rollout
from codetect.readers import Watch

T = TypeVar("T")
models = typer.Typer(
    help="List the models, `watch` how one fares; the rest is the operator's: push, activate, shadow ..."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The model.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Its version.")]
ForOption = Annotated[
    str | None, typer.Option("--for", metavar="SLUG", help="One facility, by its slug or id. Default: all of them.")
]


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
        state = ("serves" if model.serves else "") if model.active else "out of service"
        print("\t".join(map(printable, (model.name, model.version, model.title or "", state))).rstrip())
    if not found:
        print("No model is registered yet.", file=sys.stderr)


@models.command()
def push(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, metavar="FOLDER", help="The model bundle.")],
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a signed model bundle, at the operator's own address (admin.<domain>)."""
    model = _operate(facility, lambda door: door.push_model(folder))
    if as_json:
        print(model.model_dump_json(indent=2))
    else:
        then = "" if model.serves else "; `codetect models activate` has it read new studies"
        say(f"{model.name} {model.version} is registered{then}.")


@models.command()
def rollouts(facility: FacilityOption = None, as_json: JsonOption = False) -> None:
    """List which versions take part where: active ones, shadows, canaries."""

    async def read(door: Client) -> tuple[list[Rollout], dict[UUID, str]]:
        return await door.rollouts(), {one.id: one.slug for one in await door.facilities()}

    found, slugs = _operate(facility, read)
    if as_json:
        print(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    for one in found:
        where = slugs.get(one.facility_id, str(one.facility_id)) if one.facility_id else "all"
        more = f"{one.share} %" if one.share is not None else f"before it: {one.before}" if one.before else ""
        print("\t".join(map(printable, (one.name, one.version, one.kind, where, more))).rstrip())


@models.command()
def activate(
    name: Name, version: Version, place: ForOption = None, facility: FacilityOption = None, as_json: JsonOption = False
) -> None:
    """Have a version read new studies from now on, once it has been seen to load and run."""

    async def work(door: Client) -> Rollout:
        return await door.activate_model(name, version, await _id(door, place))

    _show(_operate(facility, work), place, as_json)


@models.command()
def shadow(
    name: Name, version: Version, place: ForOption = None, facility: FacilityOption = None, as_json: JsonOption = False
) -> None:
    """Have a version read new studies besides, for nobody to see; `compare` tells how it does."""

    async def work(door: Client) -> Rollout:
        return await door.shadow_model(name, version, await _id(door, place))

    _show(_operate(facility, work), place, as_json)


@models.command()
def canary(
    name: Name,
    version: Version,
    share: Annotated[int, typer.Option("--share", min=0, max=100, help="Percent of the new studies.")],
    place: ForOption = None,
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a version read a share of the new studies; the same study always gets the same version."""

    async def work(door: Client) -> Rollout:
        return await door.canary_model(name, version, share, await _id(door, place))

    _show(_operate(facility, work), place, as_json)


@models.command()
def stop(
    name: Name,
    version: Version,
    kind: Annotated[Literal["shadow", "canary"], typer.Argument(metavar="shadow|canary", help="What it is.")],
    place: ForOption = None,
    facility: FacilityOption = None,
) -> None:
    """End a shadow or a canary."""

    async def work(door: Client) -> None:
        await door.stop_model(name, version, kind, await _id(door, place))

    _operate(facility, work)
    say(f"{name} {version} is no {kind} any more.")


@models.command()
def rollback(name: Name, place: ForOption = None, facility: FacilityOption = None, as_json: JsonOption = False) -> None:
    """End the canary, if one runs; else have the version serve again that served before."""

    async def work(door: Client) -> Rollout:
        return await door.roll_back_model(name, await _id(door, place))

    _show(_operate(facility, work), place, as_json)


@models.command()
def compare(name: Name, version: Version, facility: FacilityOption = None, as_json: JsonOption = False) -> None:
    """Compare what a shadow finds with what was shown."""

    async def read(door: Client) -> tuple[Comparison, dict[UUID, str]]:
        return await door.compare_model(name, version), {one.id: one.slug for one in await door.facilities()}

    found, slugs = _operate(facility, read)
    if as_json:
        print(found.model_dump_json(indent=2))
        return

    def line(where: str, one: Compared) -> str:
        figures = f"{one.studies} studies", f"{one.agreement:.1%} agree", f"{one.mean_absolute_difference:.4f} apart"
        verdicts = f"positive: {one.positive_shown} shown, {one.positive_candidate} here, {one.positive_both} both"
        return "\t".join(map(printable, (where, f"against {one.against}", one.label, *figures, verdicts)))

    for one in found.overall:
        print(line("all", one))
    for one in found.items:
        print(line(slugs.get(one.facility_id, str(one.facility_id)) if one.facility_id else "", one))
    if not found.overall:
        print(f"No study was read by {name} {version} as a shadow and has a shown result yet.", file=sys.stderr)


def _operate(facility: str | None, work: Callable[[Client], Awaitable[T]]) -> T:
    """Do something at the operator's address; where a code is wanted first, ask for it."""

    async def all_of_it() -> T:
        async with client(facility, operator=True, patience_s=60) as door:
            try:
                return await work(door)
            except Refused as error:
                if error.code != "step-up-required":
                    raise
                await step_up(door)
                return await work(door)

    return run(all_of_it())


async def _id(door: Client, place: str | None) -> UUID | None:
    """The facility that a slug or an id means."""
    if place is None:
        return None
    found = next((one.id for one in await door.facilities() if place in (one.slug, str(one.id))), None)
    return found or fail(f"There is no facility {place!r}.")


def _show(one: Rollout, place: str | None, as_json: bool) -> None:
    if as_json:
        print(one.model_dump_json(indent=2))
        return
    where = f"at {place}" if place else "everywhere"
    how = {
        "active": "reads new studies",
        "shadow": "reads new studies besides, for nobody to see",
        "canary": f"reads {one.share} % of the new studies",
    }[one.kind]
    say(f"{one.name} {one.version} {how} {where}.")


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
