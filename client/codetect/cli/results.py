"""`codetect analyses` and `codetect analysis`: what was found."""

import json
import sys
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from codetect.cli.filters import (
    FeedbackOption,
    FindingOption,
    FolderOption,
    FromOption,
    QueryArgument,
    SortOption,
    StatusOption,
    StudyOption,
    TagOption,
    ToOption,
    UploadOption,
    filters,
)
from codetect.cli.root import DISCLAIMER, FacilityOption, JsonOption, client, printable, run, say
from codetect.models import Analysis, Peak

results = typer.Typer()


@results.command()
def analyses(
    q: QueryArgument = None,
    facility: FacilityOption = None,
    status: StatusOption = None,
    finding: FindingOption = None,
    tag: TagOption = None,
    folder: FolderOption = None,
    study: StudyOption = None,
    upload: UploadOption = None,
    feedback: FeedbackOption = None,
    since: FromOption = None,
    until: ToOption = None,
    sort: SortOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List analyses, the newest first."""
    chosen = filters(q, status, finding, tag, folder, study, upload, since, until, sort) | {"feedback": feedback}

    async def read() -> list[Analysis]:
        async with client(facility) as door, aclosing(door.analyses(**chosen)) as found:
            listed: list[Analysis] = []
            async for analysis in found:
                listed.append(analysis)
                if len(listed) == limit:
                    break
            return listed

    found = run(read())
    if as_json:
        print(json.dumps([analysis.model_dump(mode="json") for analysis in found], indent=2))
        return
    rows = [_row(analysis) for analysis in found]
    if sys.stdout.isatty():
        table = Table("Asked for", "Analysis", "Status", "Model", "Findings", box=None)
        for row in rows:
            table.add_row(*map(Text, row))
        Console().print(table)
        say(DISCLAIMER)
    else:
        for row in rows:
            print("\t".join(row))


@results.command()
def analysis(
    analysis_id: Annotated[UUID, typer.Argument(metavar="ID")],
    facility: FacilityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one analysis."""

    async def read() -> Analysis:
        async with client(facility) as door:
            return await door.analysis(analysis_id)

    found = run(read())
    if as_json:
        print(found.model_dump_json(indent=2))
        return
    facts: dict[str, Any] = {
        "Analysis": found.id,
        "Study": f"{found.study_id}, version {found.study_version}",
        "Model": f"{found.model.name} {found.model.version or ''}",
        "Status": found.status + (" (a newer one has taken its place)" if found.superseded else ""),
        "Asked for": found.created_at,
        "Finished": found.finished_at,
        "Series": found.series_reason,
        "Slices": f"{found.slices_analysed} of {found.slices_total} read" if found.slices_analysed else None,
        "Top slices": ", ".join(map(str, found.top_slices)),
        "Ran on": found.provider,
        "Took": f"{found.timings.total_ms / 1000:.1f} s" if found.timings.total_ms is not None else None,
        "Cost": f"{found.cost.cpu_ms / 1000:.1f} s of processor, {found.cost.gpu_ms / 1000:.1f} s of GPU"
        if found.cost
        else None,
        "Tags": ", ".join(found.tags),
        "Folder": found.folder,
        "Error": found.error and f"{found.error.detail} [{found.error.code}]",
    }
    for name, value in facts.items():
        if value:
            say(f"{name:12}{value}")
    for one in found.findings:
        say(f"{'Finding':12}{one.label}: {one.probability:.1%}, {'positive' if one.positive else 'negative'}")
        if one.peak:
            say(
                f"{'':12}most on slice {one.peak.slice}, column {one.peak.column}, row {one.peak.row}{_in_mm(one.peak)}"
            )
    if found.out_of_distribution:
        unlike = "unlike" if found.out_of_distribution.flagged else "like"
        say(f"{'Images':12}{unlike} those the model learnt from ({found.out_of_distribution.score:.2f}; unlike from 1)")
    for warning in found.warnings:
        say(f"{'Warning':12}{warning.detail or warning.code}")
    say(found.disclaimer or DISCLAIMER)


def _in_mm(peak: Peak) -> str:
    return f" ({', '.join(f'{value:.1f}' for value in peak.position_mm)} mm, LPS)" if peak.position_mm else ""


def _row(analysis: Analysis) -> tuple[str, ...]:
    asked = analysis.created_at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if analysis.created_at else ""
    model = f"{analysis.model.name} {analysis.model.version or ''}".strip()
    found = ", ".join(f"{f.label} {f.probability:.0%}{' positive' if f.positive else ''}" for f in analysis.findings)
    outcome = found or (analysis.error.detail or analysis.error.code if analysis.error else "")
    return tuple(map(printable, (asked, str(analysis.id), analysis.status, model, outcome)))
