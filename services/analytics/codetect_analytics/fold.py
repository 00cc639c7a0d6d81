"""From events to changes of figures: pure, and blind to the order of events but for an analysis' newest state."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from codetect_shared.bus import Envelope
from codetect_shared.events import (
    AnalysisCancelled,
    AnalysisCompleted,
    AnalysisFailed,
    AnalysisOrganised,
    AnalysisProgressed,
    AnalysisQueued,
    AnalysisStarted,
    Event,
    FeedbackGiven,
    StudyErased,
    StudyReceived,
    UploadCompleted,
    UploadExpired,
    UploadImported,
    UploadOpened,
    UploadRefused,
)
from sqlalchemy import Table

from codetect_analytics import models, sketch

AnalysisChanged = AnalysisQueued | AnalysisStarted | AnalysisCompleted | AnalysisFailed | AnalysisCancelled
STATES: dict[type[Event], str] = {
    AnalysisQueued: "queued",
    AnalysisStarted: "running",
    AnalysisCompleted: "completed",
    AnalysisFailed: "failed",
    AnalysisCancelled: "cancelled",
    UploadOpened: "open",
    UploadCompleted: "importing",
    UploadImported: "done",
    UploadRefused: "refused",
    UploadExpired: "expired",
}
OPINIONS = {True: "agrees", False: "disagrees", None: "unsure"}
NO_FIGURES = frozenset({AnalysisProgressed.type, AnalysisOrganised.type})
"""Told for eyes only, some often: neither kept nor counted."""
BINS = 20
QUARTER_S = 900


@dataclass(frozen=True)
class Latest:
    """The newest that is known of an analysis."""

    facility_id: UUID
    sequence: int
    model: str
    model_version: str
    state: str


class Tally:
    """Changes to add to the counters, and analyses' new states. Keys are rows' primary keys, in column order."""

    def __init__(self, latest: dict[UUID, Latest]) -> None:
        self.counters: dict[Table, dict[tuple[Any, ...], list[int]]] = defaultdict(dict)
        self.latest = latest
        self.moved: set[UUID] = set()

    def add(self, table: Table, key: tuple[Any, ...], *amounts: int) -> None:
        """Add `amounts` to the sums of the row with this key."""
        sums = self.counters[table].setdefault(key, [0] * len(amounts))
        for place, amount in enumerate(amounts):
            sums[place] += amount

    def fold(self, told: Envelope, event: Event) -> None:
        """Count one event."""
        here = (told.facility_id, quarter(told.time))
        match event:
            case AnalysisQueued() | AnalysisStarted() | AnalysisCompleted() | AnalysisFailed() | AnalysisCancelled():
                self._analysis(here, event)
                self._move(told, event)
            case UploadCompleted():
                self.add(models.uploads, (*here, "importing", ""), 1, event.bytes)
            case UploadImported() | UploadRefused():
                self._imported(here, event)
            case UploadOpened() | UploadExpired():
                self.add(models.uploads, (*here, STATES[type(event)], ""), 1, 0)
            case StudyReceived():
                self.add(models.studies, (*here, "new" if event.version == 1 else "updated"), 1)
            case FeedbackGiven():
                key = (*here, event.model, event.model_version, event.label, OPINIONS[event.agrees])
                self.add(models.feedback, key, 1)
            case StudyErased():
                self.add(models.studies, (*here, "erased"), 1)

    def _analysis(self, here: tuple[UUID, datetime], event: AnalysisChanged) -> None:
        which = (*here, event.model, event.model_version)
        self.add(models.analyses, (*which, STATES[type(event)]), 1)
        if isinstance(event, AnalysisCompleted):
            for stage in ("queued", "inference", "total"):
                self.add(models.durations, (*which, stage, sketch.bucket(getattr(event, f"{stage}_ms"))), 1)
            if cost := event.cost:
                amounts = (cost.cpu_ms, cost.gpu_ms, cost.bytes_read, cost.bytes_written)
                self.add(models.costs, which, 1, event.slices_analysed, *amounts)
            for found in event.findings:
                outcome = "positive" if found.positive else "negative"
                key = (*which, found.label, outcome, bin_of(found.probability))
                self.add(models.findings, key, 1, round(found.probability * 1_000_000))
            if event.unlikeness is not None:
                self.add(models.likeness, (*which, "unlike" if event.unlikeness >= 1 else "like"), 1)

    def _move(self, told: Envelope, event: AnalysisChanged) -> None:
        """The newest event decides the state, whatever the order of arrival."""
        known = self.latest.get(event.analysis_id)
        if known and known.sequence >= told.sequence:
            return
        now = Latest(told.facility_id, told.sequence, event.model, event.model_version, STATES[type(event)])
        for row, amount in ((known, -1), (now, 1)):
            if row:
                self.add(models.states, (row.facility_id, row.model, row.model_version, row.state), amount)
        self.latest[event.analysis_id] = now
        self.moved.add(event.analysis_id)

    def _imported(self, here: tuple[UUID, datetime], event: UploadImported | UploadRefused) -> None:
        code = event.code if isinstance(event, UploadRefused) else ""
        self.add(models.uploads, (*here, STATES[type(event)], code), 1, 0)
        outcomes = dict(event.refused)
        if isinstance(event, UploadImported):
            outcomes["accepted"] = event.accepted
        for outcome, n in outcomes.items():
            if n:
                self.add(models.files, (*here, outcome), n)


def analyses_in(events: Iterable[Event | None]) -> set[UUID]:
    """The analyses whose newest state must be known to fold these events."""
    return {event.analysis_id for event in events if isinstance(event, AnalysisChanged)}


def quarter(time: datetime) -> datetime:
    """The quarter of an hour that a moment lies in: every time zone's days begin at one."""
    seconds = int(time.timestamp())
    return datetime.fromtimestamp(seconds - seconds % QUARTER_S, UTC)


def bin_of(probability: float) -> int:
    """Which twentieth a probability lies in."""
    return min(max(int(probability * BINS), 0), BINS - 1)
