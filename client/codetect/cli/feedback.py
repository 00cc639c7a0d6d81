"""`codetect feedback`: what readers say of findings; and the labels that come of it."""

import json
import sys
from contextlib import aclosing
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from codetect.cli.root import DISCLAIMER, FacilityOption, JsonOption, client, complain, fail, printable, run
from codetect.cli.whole import whole
from codetect.readers import Feedback, FeedbackState, Says

feedback = typer.Typer(help="Agree with findings or correct them; decide as a second reader.", no_args_is_help=True)

AnalysisArgument = Annotated[UUID, typer.Argument(metavar="ANALYSIS")]
FeedbackArgument = Annotated[UUID, typer.Argument(metavar="FEEDBACK", help="Its id, as `feedback list` shows it.")]
SliceOption = Annotated[list[int] | None, typer.Option("--slice", min=0, help="A slice that shows it; repeatable.")]
CommentOption = Annotated[str | None, typer.Option(help="In words; no names, please.")]
LabelsOption = Annotated[list[str] | None, typer.Option(metavar="LABEL", help="Repeatable.")]


@feedback.command()
def give(
    analysis_id: AnalysisArgument,
    present: LabelsOption = None,
    absent: LabelsOption = None,
    unsure: LabelsOption = None,
    slices: SliceOption = None,
    comment: CommentOption = None,
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say of findings whether they are there; whether that agrees with the model is seen then."""
    given: tuple[tuple[Says, list[str] | None], ...] = (("present", present), ("absent", absent), ("unsure", unsure))
    said = [(label, says) for says, labels in given for label in labels or ()]
    opinions = dict(said)
    if not said or len(opinions) < len(said):
        raise typer.BadParameter("name each label once.", param_hint="--present, --absent, --unsure")

    async def send() -> list[Feedback]:
        async with client(facility) as door:
            return await door.give_feedback(analysis_id, opinions, slices=slices or (), comment=comment)

    _show(run(send()), as_json)


@feedback.command("list")
def list_feedback(
    state: Annotated[FeedbackState, typer.Option(help="Only in this state.")] = "waiting",
    mine: Annotated[bool, typer.Option("--mine", help="Only what you may decide.")] = False,
    label: Annotated[str | None, typer.Option(help="Only of this label.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """List findings that something was said of, the oldest first; those that wait unless told otherwise."""

    async def read() -> list[Feedback]:
        async with client(facility) as door, aclosing(door.feedback(state=state, mine=mine, label=label)) as found:
            listed: list[Feedback] = []
            async for one in found:
                listed.append(one)
                if len(listed) == limit:
                    break
            return listed

    _show(run(read()), as_json)


@feedback.command()
def show(analysis_id: AnalysisArgument, facility: FacilityOption = None, as_json: JsonOption = False) -> None:
    """Show all that was said of an analysis's findings."""

    async def read() -> list[Feedback]:
        async with client(facility) as door:
            return await door.feedback_on(analysis_id)

    _show(run(read()), as_json)


@feedback.command()
def decide(
    feedback_id: FeedbackArgument,
    present: Annotated[bool, typer.Option("--present", help="It is there.")] = False,
    absent: Annotated[bool, typer.Option("--absent", help="It is not there.")] = False,
    unsure: Annotated[bool, typer.Option("--unsure", help="It can't be told.")] = False,
    slices: SliceOption = None,
    comment: CommentOption = None,
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decide as a second reader what holds, until somebody reopens it."""
    if present + absent + unsure != 1:
        raise typer.BadParameter("say one of them.", param_hint="--present, --absent, --unsure")
    says: Says = "present" if present else "absent" if absent else "unsure"

    async def send() -> Feedback:
        async with client(facility) as door:
            return await door.adjudicate(feedback_id, says, slices=slices or (), comment=comment)

    _show([run(send())], as_json)


@feedback.command()
def reopen(feedback_id: FeedbackArgument, facility: FacilityOption = None, as_json: JsonOption = False) -> None:
    """Take a decision back: readers' opinions count again."""

    async def send() -> Feedback:
        async with client(facility) as door:
            return await door.reopen(feedback_id)

    _show([run(send())], as_json)


def export_labels(
    facility: str | None, output: Path | None, label: str | None, since: datetime | None, until: datetime | None
) -> None:
    """Write the table of labels to a file or to stdout, whole or not at all."""

    async def read() -> bytes:
        table = BytesIO()
        async with client(facility) as door:
            await door.export_labels(table, label=label, since=since, until=until)
        return table.getvalue()

    found = run(read())
    if output is None:
        sys.stdout.write(found.decode())
        return
    try:
        with whole(output) as file:
            file.write(found)
    except OSError as error:
        fail(f"{output} can't be written: {error.strerror or error}.")
    complain(f"{len(found.splitlines()) - 1:,} labels in {output}. {DISCLAIMER}")


def _show(found: list[Feedback], as_json: bool) -> None:
    if as_json:
        print(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    for one in found:
        held = f"holds: {one.says}" if one.says else (one.reason or "")
        model = f"{one.model} {one.model_version} says {one.model_says}"
        print(
            "\t".join(map(printable, (str(one.id), str(one.analysis_id), one.label, model, one.state, held))).rstrip()
        )
        for opinion in one.opinions:
            _line("said", opinion.reader, opinion.says, opinion.comment, over=opinion.superseded)
        for ruling in one.rulings:
            _line("decided", ruling.reader, ruling.says, ruling.comment, over=ruling.reopened_at is not None)


def _line(what: str, reader: UUID, says: str, comment: str | None, *, over: bool) -> None:
    state = " (no longer)" if over else ""
    print("\t" + printable(f"{reader} {what} {says}{state}{': ' + comment if comment else ''}"))
