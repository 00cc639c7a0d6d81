"""Results as files on this machine: PDF, DICOM, FHIR, JSON; what isn't whole never has its final name."""

from pathlib import Path
from typing import IO
from uuid import UUID

from codetect.cli.root import DISCLAIMER, client, complain
from codetect.cli.whole import whole
from codetect.client import Client
from codetect.errors import CodetectError

REPORTS = {"pdf": ("report.pdf", "pdf"), "sr": ("report.dcm", "sr.dcm"), "fhir": ("report.fhir.json", "fhir.json")}
SEVERAL = {"sc", "pm"}  # kinds of which an analysis has one or more


async def export_papers(facility: str | None, ids: list[UUID], form: str, output: Path | None) -> None:
    """Write each analysis's document: into a folder, or a single one to a file."""
    folder = output or Path()
    into_folder = folder.is_dir() or len(ids) > 1 or form in SEVERAL
    try:
        if into_folder:
            folder.mkdir(parents=True, exist_ok=True)
        async with client(facility) as door:
            for analysis_id in ids:
                for name, ending in await _names(door, analysis_id, form):
                    target = folder / f"{analysis_id}.{ending}" if into_folder else folder
                    with whole(target) as file:
                        await _fetch(door, analysis_id, name, file)
                    complain(f"{target}. {DISCLAIMER}")
    except OSError as error:
        raise CodetectError(f"{error.filename or folder} can't be written: {error.strerror or error}.") from None


async def _names(door: Client, analysis_id: UUID, form: str) -> list[tuple[str, str]]:
    """What to ask for, and how each file's name ends."""
    if form == "json":
        return [("", "json")]
    if form in REPORTS:
        return [REPORTS[form]]
    documents = (await door.analysis(analysis_id)).documents
    found = [n for n, one in enumerate(documents) if one.kind == form]
    if not found:
        raise CodetectError(f"{analysis_id} has no documents of this kind ({form}).")
    return [(f"documents/{n}", f"{form}-{number}.dcm") for number, n in enumerate(found, 1)]


async def _fetch(door: Client, analysis_id: UUID, name: str, file: IO[bytes]) -> None:
    if name:
        await door.paper(analysis_id, name, file)
    else:
        file.write((await door.analysis(analysis_id)).model_dump_json(indent=2).encode() + b"\n")
