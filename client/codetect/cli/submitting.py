"""`codetect submit`: progress on a terminal, the outcome as text or JSON, reasons on stderr."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from codetect.cli.root import DISCLAIMER, Exit, FacilityOption, JsonOption, client, complain, run, say
from codetect.errors import NotFinished, NothingToSubmit, Unreachable
from codetect.files import Rejected
from codetect.follow import Report
from codetect.models import Priority
from codetect.submission import Progress, Submission, SubmittedAnalysis

submitting = typer.Typer()
PathsArgument = Annotated[
    list[Path], typer.Argument(exists=True, metavar="PATH...", help="DICOM files, folders, zips.")
]
LABELS = {"upload": "Upload", "import": "Import", "analysis": "Analysis"}
UNITS = {"upload": "", "import": " files", "analysis": " slices"}
PATIENCE_S = 60
AGAIN = "The same command again goes on where this one stopped."


@submitting.command()
def submit(
    paths: PathsArgument,
    facility: FacilityOption = None,
    reference: Annotated[
        str | None, typer.Option(help="Your own note to find it again; none of a patient's names, dates or numbers.")
    ] = None,
    priority: Annotated[Priority, typer.Option(help="Urgent studies are analysed first.")] = "routine",
    model: Annotated[list[str] | None, typer.Option(help="A model by name; may be repeated.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the results.")] = True,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait at most.")] = 3600,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Files sent at a time.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Submit CT studies and wait for what the models find.

    The same command again continues an interrupted one. Exit code 0: every study was analysed; 1: something was
    refused or failed, with the reasons on stderr; 2: wrong usage.
    """

    async def work(report: Report) -> Submission:
        async with client(facility, patience_s=PATIENCE_S) as door:
            return await door.submit(
                paths,
                reference=reference,
                priority=priority,
                models=model or [],
                wait=wait,
                parallel=parallel,
                timeout_s=timeout,
                on_progress=report,
            )

    async def guarded() -> tuple[Submission, str]:
        with _bars() as report:
            try:
                return await work(report), ""
            except NotFinished as error:
                return error.submission, str(error)
            except NothingToSubmit as error:
                _explain(error.rejected)
                raise
            except Unreachable as error:
                raise Unreachable(f"{error} {AGAIN}") from error

    submission, late = run(guarded(), f"Interrupted. {AGAIN}")
    if as_json:
        print(json.dumps(submission.model_dump(mode="json"), indent=2), flush=True)
    else:
        _tell(submission, wait)
    _explain(submission.rejected)
    _explain_analyses(submission)
    if submission.error:
        complain(f"The upload came to nothing: {submission.error.detail} [{submission.error.code}]")
    if late:
        complain(f"{late} {AGAIN}")
    if not (submission.complete if wait else not submission.rejected):
        raise typer.Exit(Exit.FAILED)


@contextmanager
def _bars() -> Iterator[Report]:
    """Progress bars on a terminal; silence in a pipe."""
    if not sys.stderr.isatty():
        yield lambda progress: None
        return
    columns = [
        TextColumn("{task.description:8}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeElapsedColumn(),
    ]
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def report(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(LABELS[progress.stage], total=None, amount="")
            total = progress.total or None
            bars.update(tasks[progress.stage], completed=progress.done, total=total, amount=_amount(progress))

        yield report


def _amount(progress: Progress) -> str:
    if not progress.total:
        return "waiting"
    if progress.stage == "upload":
        return f"{decimal(progress.done)} of {decimal(progress.total)}"
    return f"{progress.done:,} of {progress.total:,}{UNITS[progress.stage]}"


def _tell(submission: Submission, waited: bool) -> None:
    if not waited:
        say(f"Upload {submission.upload_id} is complete; see its results with")
        say(f"  codetect analyses --upload {submission.upload_id}")
        return
    for study in submission.studies:
        say(f"Study {study.study_instance_uid or study.study_id}")
        for analysis in study.analyses:
            _tell_analysis(analysis)
    if submission.left_out:
        say(f"Left out, since by name they are no images: {', '.join(submission.left_out)}")
    say(DISCLAIMER)


def _tell_analysis(analysis: SubmittedAnalysis) -> None:
    took = f" in {analysis.timings.total_ms / 1000:.1f} s" if analysis.timings.total_ms is not None else ""
    read = f", {analysis.slices_analysed} of {analysis.slices_total} slices read" if analysis.slices_analysed else ""
    say(f"  {analysis.model} {analysis.model_version or ''}: {analysis.status}{took}{read}")
    for finding in analysis.findings:
        say(f"    {finding.label}: {finding.probability:.1%}, {'positive' if finding.positive else 'negative'}")
    for warning in analysis.warnings:
        say(f"    Warning: {warning.detail or warning.code}")
    say(f"    codetect analysis {analysis.analysis_id}")


def _explain(rejected: Sequence[Rejected]) -> None:
    for one in rejected:
        complain(f"{one.file}: {one.detail} [{one.code}]")


def _explain_analyses(submission: Submission) -> None:
    for study in submission.studies:
        name = study.study_instance_uid or study.study_id
        for analysis in study.analyses:
            if analysis.error or analysis.status in ("failed", "cancelled"):
                reason = (
                    f"{analysis.error.detail} [{analysis.error.code}]" if analysis.error else "No reason was given."
                )
                complain(f"Study {name}, model {analysis.model}: {analysis.status}. {reason}")
