"""Studies as zips on this machine; what isn't whole never has its final name."""

import zipfile
from pathlib import Path
from uuid import UUID

from codetect.cli.root import DISCLAIMER, client, complain
from codetect.cli.whole import whole
from codetect.client import Client
from codetect.errors import CodetectError


async def export_studies(facility: str | None, ids: list[UUID], output: Path | None, *, original: bool) -> None:
    """Write each study as a zip: into a folder, or a single one to a file."""
    folder = output or Path()
    into_folder = folder.is_dir() or len(ids) > 1
    if into_folder:
        folder.mkdir(parents=True, exist_ok=True)
    async with client(facility) as door:
        for study_id in ids:
            target = folder / f"{study_id}.zip" if into_folder else folder
            files = await _write(door, study_id, target, original=original)
            complain(f"{files:,} files in {target}. {DISCLAIMER}")


async def _write(door: Client, study_id: UUID, target: Path, *, original: bool) -> int:
    try:
        with whole(target) as file:
            await door.export(study_id, file, original=original)
            file.flush()
            with zipfile.ZipFile(file.name) as archive:
                count = len(archive.namelist())
    except zipfile.BadZipFile:
        raise CodetectError(f"The export of {study_id} was cut short. Try again.") from None
    except OSError as error:
        raise CodetectError(f"{target} can't be written: {error.strerror or error}.") from None
    return count
