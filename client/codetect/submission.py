"""What became of a submission, in the caller's own terms: file names and StudyInstanceUIDs as they were given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pydantic import Field

from codetect.files import UNREADABLE, Rejected, Source
from codetect.identity import study_instance_uid
from codetect.models import Analysis, AnalysisStatus, Model, Reason, Timings, Upload


@dataclass(frozen=True)
class Progress:
    """How far a submission is: bytes of its upload, files of its import, slices of its analyses."""

    stage: Literal["upload", "import", "analysis"]
    done: int
    total: int


class SubmittedFinding(Model):
    """One label's outcome."""

    label: str
    probability: float
    positive: bool


class SubmittedAnalysis(Model):
    """One model's result for a study."""

    analysis_id: UUID
    status: AnalysisStatus
    model: str
    model_version: str | None
    findings: list[SubmittedFinding]
    warnings: list[Reason]
    slices_total: int | None
    slices_analysed: int | None
    timings: Timings
    error: Reason | None = Field(None, exclude=True)


class SubmittedStudy(Model):
    """A study that was taken; its StudyInstanceUID is the one in the caller's files."""

    study_id: UUID
    study_instance_uid: str | None
    analyses: list[SubmittedAnalysis]


class Submission(Model):
    """The outcome; as JSON it is what `codetect submit --json` prints.

    `left_out` are no images by their names; `error` is why the upload came to nothing, if not for its files.
    """

    upload_id: UUID
    studies: list[SubmittedStudy]
    rejected: list[Rejected]
    left_out: list[str] = Field([], exclude=True)
    error: Reason | None = Field(None, exclude=True)

    @property
    def complete(self) -> bool:
        """Whether nothing was refused and each study has been analysed."""
        return (
            not self.rejected
            and bool(self.studies)
            and all(s.analyses and all(a.status == "completed" for a in s.analyses) for s in self.studies)
        )


def outcome(
    upload: Upload,
    analyses: Sequence[Analysis],
    sources: Mapping[int, Source],
    rejected: Sequence[Rejected],
    left_out: Sequence[str],
) -> Submission:
    """Put the server's numbers and pseudonyms back into the caller's terms. `sources` are the files by number."""
    known = {file.number for file in upload.files}
    unsent = [
        Rejected(file=source.name, code="not_sent", detail="The file was not sent, since it couldn't be read.")
        for number, source in sources.items()
        if known and number not in known and source.name not in {r.file for r in rejected}
    ]
    refused = [
        Rejected(file=sources[file.number].name, code=file.code or "refused", detail=file.detail or "It was refused.")
        for file in upload.files
        if file.state == "refused" and file.number in sources
    ]
    studies = [
        SubmittedStudy(
            study_id=study.study_id,
            study_instance_uid=_original_uid(upload, study.study_id, sources),
            analyses=[_submitted(analysis) for analysis in analyses if analysis.study_id == study.study_id],
        )
        for study in upload.studies
    ]
    return Submission(
        upload_id=upload.id,
        studies=studies,
        rejected=[*rejected, *unsent, *refused],
        left_out=list(left_out),
        error=None if refused else upload.error,
    )


def _original_uid(upload: Upload, study_id: UUID, sources: Mapping[int, Source]) -> str | None:
    for file in upload.files:
        if file.study_id == study_id and file.state == "accepted" and file.number in sources:
            try:
                with sources[file.number].open() as content:
                    uid = study_instance_uid(content)
            except UNREADABLE:
                continue
            if uid:
                return uid
    return None


def _submitted(analysis: Analysis) -> SubmittedAnalysis:
    return SubmittedAnalysis(
        analysis_id=analysis.id,
        status=analysis.status,
        model=analysis.model.name,
        model_version=analysis.model.version,
        findings=[SubmittedFinding.model_validate(finding, from_attributes=True) for finding in analysis.findings],
        warnings=analysis.warnings,
        slices_total=analysis.slices_total,
        slices_analysed=analysis.slices_analysed,
        timings=analysis.timings,
        error=analysis.error,
    )
