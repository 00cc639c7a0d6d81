"""`codetect watch`: what happens, as it happens."""

from contextlib import aclosing
from typing import Annotated

import typer

from codetect.cli.root import FacilityOption, JsonOption, client, run, say
from codetect.models import LiveEvent

watching = typer.Typer()


@watching.command()
def watch(
    facility: FacilityOption = None,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Begin after this event, not now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show everything that happens, until Ctrl-C."""

    async def show() -> None:
        async with client(facility) as door, aclosing(door.watch(after)) as events:
            async for event in events:
                if as_json:
                    print(event.model_dump_json(), flush=True)
                elif line := _line(event):
                    say(line)

    run(show())


def _line(event: LiveEvent) -> str:
    """When, what, and the facts that tell one from another."""
    if event.type == "ready":
        return ""
    if event.type == "resync":
        return "Some events were missed; what is shown from here on is complete again."
    what = " ".join(event.type.removeprefix("codetect.").removesuffix(".v1").replace("_", " ").split("."))
    data = event.data
    told = [f"{name[:-3]} {data[name]}" for name in ("analysis_id", "study_id", "upload_id") if data.get(name)][:1]
    told += [f"{name} {data[name]}" for name in ("model", "code") if data.get(name)]
    if data.get("slices_total") is not None:
        told.append(f"{data.get('slices_done', data.get('slices_analysed'))} of {data['slices_total']} slices")
    for finding in data.get("findings") or []:
        told.append(f"{finding['label']} {finding['probability']:.1%}{' positive' if finding['positive'] else ''}")
    when = event.time.astimezone().strftime("%H:%M:%S") if event.time else ""
    return f"{when}  {what:20}  {', '.join(told)}"
