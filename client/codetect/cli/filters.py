"""The options that choose among analyses, which several commands share."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from codetect.models import AnalysisStatus

DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
QueryArgument = Annotated[str | None, typer.Argument(metavar="[WORDS]", help="Words to look for.")]
StatusOption = Annotated[AnalysisStatus | None, typer.Option(help="Only analyses in this state.")]
FindingOption = Annotated[str | None, typer.Option(help="Only where this label was found.")]
TagOption = Annotated[str | None, typer.Option(help="Only with this tag.")]
FolderOption = Annotated[str | None, typer.Option(help="Only in this folder.")]
FeedbackOption = Annotated[
    Literal["none", "undecided", "agreed", "waiting", "adjudicated"] | None,
    typer.Option(help="Only where readers' feedback on a finding stands so."),
]
StudyOption = Annotated[UUID | None, typer.Option(help="Only of this study.")]
UploadOption = Annotated[UUID | None, typer.Option(help="Only of this upload.")]
FromOption = Annotated[datetime | None, typer.Option("--from", formats=DATES, help="Asked for then or later.")]
ToOption = Annotated[datetime | None, typer.Option("--to", formats=DATES, help="Asked for before.")]
SortOption = Annotated[str | None, typer.Option(help="created_at or finished_at; with - in front the newest first.")]


def filters(
    q: str | None,
    status: AnalysisStatus | None,
    finding: str | None,
    tag: str | None,
    folder: str | None,
    study: UUID | None,
    upload: UUID | None,
    since: datetime | None,
    until: datetime | None,
    sort: str | None,
) -> dict[str, Any]:
    """The client's names for the options; a time without a zone is this machine's."""
    return {
        "q": q,
        "status": status,
        "finding": finding,
        "tag": tag,
        "folder": folder,
        "study_id": study,
        "upload_id": upload,
        "since": since and since.astimezone(),
        "until": until and until.astimezone(),
        "sort": sort,
    }
