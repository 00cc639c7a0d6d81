"""`codetect export`: studies' images as zips, results as documents, or analyses for spreadsheets and scripts."""

import csv
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Annotated
from uuid import UUID

import typer

from codetect.cli.feedback import export_labels
from codetect.cli.filters import (
    FindingOption,
    FolderOption,
    FromOption,
    StatusOption,
    StudyOption,
    TagOption,
    ToOption,
    UploadOption,
    filters,
)
from codetect.cli.images import export_studies
from codetect.cli.papers import export_papers
from codetect.cli.root import DISCLAIMER, FacilityOption, client, complain, fail, run
from codetect.cli.whole import whole
from codetect.models import Analysis

exports = typer.Typer()
COLUMNS = [
    "analysis_id",
    "study_id",
    "study_version",
    "upload_id",
    "status",
    "error",
    "model",
    "model_version",
    "created_at",
    "finished_at",
    "total_ms",
    "slices_total",
    "slices_analysed",
    "superseded",
    "tags",
    "folder",
    "warnings",
    "label",
    "probability",
    "threshold",
    "positive",
]


class Format(StrEnum):
    """How analyses are exported: all that match as a table, or single ones as documents."""

    CSV = "csv"
    JSONL = "jsonl"
    PDF = "pdf"
    SR = "sr"
    SC = "sc"
    PM = "pm"
    FHIR = "fhir"
    JSON = "json"


TABLES = {Format.CSV, Format.JSONL}


@exports.command()
def export(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY... | ANALYSIS... | WORDS | labels]", help="Ids; words to look for; or `labels`, of readers."
        ),
    ] = None,
    facility: FacilityOption = None,
    status: StatusOption = None,
    finding: FindingOption = None,
    tag: TagOption = None,
    folder: FolderOption = None,
    study: StudyOption = None,
    upload: UploadOption = None,
    since: FromOption = None,
    until: ToOption = None,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="Of all that match: one row a finding, or one JSON object a line. Of analyses named by their ids: a "
            "report (pdf; sr: DICOM; fhir; json), pictures (sc) or heatmaps (pm) as DICOM.",
        ),
    ] = Format.CSV,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file, or for what has ids a folder; default: stdout, or here."),
    ] = None,
    original: Annotated[
        bool, typer.Option("--original", help="Studies as they came; needs the right `identity`.")
    ] = False,
) -> None:
    """Write studies as DICOM zips, analyses as documents, a table of all that match, or readers' labels."""
    if what == ["labels"]:
        times = (moment and moment.astimezone() for moment in (since, until))
        export_labels(facility, output, finding, *times)
        return
    studies = _ids(what or [])
    if form not in TABLES:
        if not studies:
            raise typer.BadParameter("it is for analyses: name them by their ids.", param_hint=f"--format {form.value}")
        if original:
            raise typer.BadParameter("results are always pseudonymous.", param_hint="--original")
        run(export_papers(facility, studies, form.value, output))
        return
    if studies:
        run(export_studies(facility, studies, output, original=original))
        return
    if original:
        raise typer.BadParameter("it is for studies: name them by their ids.", param_hint="--original")
    if output and output.is_dir():
        raise typer.BadParameter(f"{output} is a folder.", param_hint="--output")
    q = " ".join(what) if what else None
    chosen = filters(q, status, finding, tag, folder, study, upload, since, until, "created_at")

    async def write(file: IO[str]) -> int:
        async with client(facility) as door, aclosing(door.analyses(**chosen)) as found:
            return await (_write_csv if form is Format.CSV else _write_lines)(found, file)

    if output is None:
        run(write(sys.stdout))
        return
    try:
        with whole(output) as draft:
            file = TextIOWrapper(draft, encoding="utf-8", newline="")
            count = run(write(file))
            file.flush()
    except OSError as error:
        fail(f"{output} can't be written: {error.strerror or error}.")
    complain(f"{count:,} analyses in {output}. {DISCLAIMER}")


def _ids(words: list[str]) -> list[UUID]:
    """Return the studies or analyses that are named, if nothing but these is."""
    try:
        return [UUID(word) for word in words]
    except ValueError:
        return []


async def _write_lines(found: AsyncIterator[Analysis], file: IO[str]) -> int:
    count = 0
    async for analysis in found:
        file.write(analysis.model_dump_json() + "\n")
        count += 1
    return count


async def _write_csv(found: AsyncIterator[Analysis], file: IO[str]) -> int:
    """A row a finding, so that a new label needs no new column; one row for an analysis without findings."""
    rows = csv.DictWriter(file, COLUMNS)
    rows.writeheader()
    count = 0
    async for analysis in found:
        facts = {
            "analysis_id": analysis.id,
            "study_id": analysis.study_id,
            "study_version": analysis.study_version,
            "upload_id": analysis.upload_id,
            "status": analysis.status,
            "error": analysis.error.code if analysis.error else None,
            "model": analysis.model.name,
            "model_version": analysis.model.version,
            "created_at": analysis.created_at and analysis.created_at.isoformat(),
            "finished_at": analysis.finished_at and analysis.finished_at.isoformat(),
            "total_ms": analysis.timings.total_ms,
            "slices_total": analysis.slices_total,
            "slices_analysed": analysis.slices_analysed,
            "superseded": analysis.superseded,
            "tags": _harmless(" ".join(analysis.tags)),
            "folder": _harmless(analysis.folder or ""),
            "warnings": " ".join(warning.code for warning in analysis.warnings),
        }
        for finding in analysis.findings or (None,):
            rows.writerow(facts | (finding.model_dump(include=set(COLUMNS)) if finding else {}))
        count += 1
    return count


def _harmless(text: str) -> str:
    """Text that a spreadsheet doesn't take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
