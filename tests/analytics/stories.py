"""Events as the other services tell them, and a plain recount of what figures must say about them."""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from codetect_shared import events as told
from codetect_shared.bus import Envelope
from codetect_shared.db import uuid7

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
MODELS = [("covid-ct", "1.0.0"), ("covid-ct", "1.1.0"), ("nodules", "0.3.0")]
LABELS = ["covid-19", "nodule"]


@dataclass
class Story:
    """Makes events in the order in which they happen; the same seed makes the same."""

    facility: UUID = field(default_factory=uuid7)
    seed: int = 1
    now: datetime = START

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.sequences: Counter[str] = Counter()

    def tell(self, event: told.Event, about: UUID, after_s: float = 0) -> Envelope:
        self.now += timedelta(seconds=after_s)
        subject = f"{event.aggregate}/{about}"
        self.sequences[subject] += 1
        data = event.model_dump(mode="json")
        return Envelope(uuid7(), event.type, self.now, self.facility, subject, self.sequences[subject], data)

    def upload(
        self,
        accepted: int = 3,
        refused: dict[str, int] | None = None,
        size: int = 1000,
        upload: UUID | None = None,
        studies: tuple[UUID, ...] = (),
    ) -> list[Envelope]:
        upload, refused = upload or uuid7(), refused or {}
        files = accepted + sum(refused.values())
        opened = self.tell(told.UploadOpened(upload_id=upload, priority="routine"), upload, 5)
        completed = self.tell(told.UploadCompleted(upload_id=upload, files=files, bytes=size), upload, 5)
        if not accepted:
            ended: told.Event = told.UploadRefused(upload_id=upload, code="nothing-usable", refused=refused)
        else:
            ended = told.UploadImported(
                upload_id=upload,
                files=files,
                accepted=accepted,
                refused=refused,
                studies=list(studies) or [uuid7()],
                import_ms=90,
            )
        return [opened, completed, self.tell(ended, upload, 5)]

    def study(self, version: int = 1, study: UUID | None = None, upload: UUID | None = None) -> Envelope:
        study = study or uuid7()
        received = told.StudyReceived(
            study_id=study,
            version=version,
            upload_id=upload or uuid7(),
            study_instance_uid="2.25.1",
            priority="routine",
            models=None,
            series=[],
            upload_ms=1,
            import_ms=1,
            submitted_at=self.now,
        )
        return self.tell(received, study)

    def erased(self, study: UUID) -> Envelope:
        return self.tell(told.StudyErased(study_id=study), study, 5)

    def analysis(
        self,
        end: str = "completed",
        model: tuple[str, str] = MODELS[0],
        probability: float = 0.5,
        ms: tuple[int, int, int] = (10, 100, 200),
        attempts: int = 1,
        progress: int = 2,
        step_s: float = 1,
        study: UUID | None = None,
        upload: UUID | None = None,
        unlikeness: float | None = None,
    ) -> list[Envelope]:
        analysis = uuid7()
        ids = {"analysis_id": analysis, "study_id": study or uuid7(), "upload_id": upload or uuid7()}
        of = {**ids, "model": model[0], "model_version": model[1]}
        story = [self.tell(told.AnalysisQueued(**of, study_version=1, priority="routine"), analysis, step_s)]
        if end == "queued":
            return story
        for attempt in range(1, attempts + 1):
            story.append(self.tell(told.AnalysisStarted(**of, attempt=attempt, queued_ms=ms[0]), analysis, step_s))
            for done in range(progress):
                seen = told.AnalysisProgressed(**ids, slices_done=done, slices_total=progress)
                story.append(self.tell(seen, analysis))
        if end == "completed":
            findings = [
                told.Finding(label=label, probability=p, threshold=0.5, positive=p >= 0.5)
                for label, p in ((LABELS[0], probability), (LABELS[1], round(1 - probability, 6)))
            ]
            completed = told.AnalysisCompleted(
                **of,
                findings=findings,
                unlikeness=unlikeness,
                slices_total=40,
                slices_analysed=30,
                provider="cpu",
                cost=told.Cost(cpu_ms=7 * ms[1], gpu_ms=ms[1], bytes_read=1000 + ms[1], bytes_written=10),
                queued_ms=ms[0],
                inference_ms=ms[1],
                total_ms=ms[2],
            )
            story.append(self.tell(completed, analysis, step_s))
        elif end == "failed":
            story.append(self.tell(told.AnalysisFailed(**of, code="series-unreadable"), analysis, step_s))
        elif end == "cancelled":
            story.append(self.tell(told.AnalysisCancelled(**of), analysis, step_s))
        return story

    def feedback(
        self, agrees: bool | None, model: tuple[str, str] = MODELS[0], label: str = LABELS[0], study: UUID | None = None
    ) -> Envelope:
        said = told.FeedbackGiven(
            feedback_id=uuid7(),
            analysis_id=uuid7(),
            study_id=study or uuid7(),
            model=model[0],
            model_version=model[1],
            label=label,
            says="unsure" if agrees is None else "present" if agrees else "absent",
            model_says="present",
            agrees=agrees,
            state="agreed" if agrees else "waiting",
        )
        return self.tell(said, said.feedback_id, 1)

    def busy(self, analyses: int) -> list[Envelope]:
        """Days of everything, events of different aggregates interleaved, each aggregate's own in order."""
        r, stories = self.random, []
        for _ in range(analyses):
            self.now += timedelta(seconds=r.expovariate(1 / 2000))
            before = self.now
            part = self.upload(r.choice([0, 1, 40]), {"not-dicom": r.randrange(3), "not-ct": r.randrange(2)})
            part.append(self.study(r.choice([1, 1, 2])))
            part += self.analysis(
                r.choice(["completed"] * 6 + ["failed", "cancelled", "running", "queued"]),
                r.choice(MODELS),
                round(r.random(), 6),
                (int(r.expovariate(1 / 500)), int(r.lognormvariate(9, 1)), int(r.lognormvariate(10, 1))),
                r.choice([1, 1, 1, 2]),
                step_s=r.expovariate(1 / 60),
                unlikeness=r.choice([None, 0.4, 1.0]),
            )
            part.append(self.feedback(r.choice([True, True, False, None]), r.choice(MODELS)))
            stories.append(part)
            self.now = before
        mixed = [envelope for part in stories for envelope in part]
        return sorted(mixed, key=lambda envelope: (envelope.time, envelope.sequence))


ENDS = {
    "queued": "queued",
    "started": "running",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}


def recount(envelopes: Iterable[Envelope], facility: UUID) -> dict[str, Any]:
    """A facility's figures counted the slow way: over all different events, with exact values."""
    mine = list({e.id: e for e in envelopes if e.facility_id == facility}.values())
    of = [(e, *e.type.split(".")[1:3]) for e in mine]
    now: dict[str, tuple[int, str]] = {}
    for e, thing, what in of:
        if thing == "analysis" and what in ENDS:
            now[e.subject] = max(now.get(e.subject, (0, "")), (e.sequence, ENDS[what]))
    completed = [e.data for e, thing, what in of if (thing, what) == ("analysis", "completed")]
    files: Counter[str] = Counter()
    for e, thing, what in of:
        if thing == "upload" and what in ("imported", "refused"):
            files.update(e.data["refused"])
            files["accepted"] += e.data.get("accepted", 0)
    found = [(d["model"], d["model_version"], f) for d in completed for f in d["findings"]]
    return {
        "now": Counter(state for _, state in now.values()),
        "analyses": Counter(ENDS[what] for _, thing, what in of if thing == "analysis" and what in ENDS),
        "models": Counter((d["model"], d["model_version"]) for d in completed),
        "findings": Counter((f["label"], m, v, f["positive"]) for m, v, f in found),
        "uploads": Counter(what for _, thing, what in of if thing == "upload"),
        "bytes": sum(e.data["bytes"] for e, thing, what in of if (thing, what) == ("upload", "completed")),
        "files": +files,
        "studies": Counter(
            "erased" if what == "erased" else "new" if e.data["version"] == 1 else "updated"
            for e, thing, what in of
            if thing == "study"
        ),
        "costs": {
            "slices": sum(d["slices_analysed"] for d in completed),
            **{
                name: sum(d["cost"][name] for d in completed)
                for name in ("cpu_ms", "gpu_ms", "bytes_read", "bytes_written")
            },
        },
        "ms": {stage: sorted(d[f"{stage}_ms"] for d in completed) for stage in ("queued", "inference", "total")},
    }
