"""Which of a study's series is analysed, and why, in words."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

CHEST = re.compile(r"CHEST|THORAX|LUNG|HEART", re.IGNORECASE)
# Sharp reconstructions, as the manufacturers name them: GE words, Siemens B/Br/Bl/I from 50 on, Canon FC50-FC59 and
# FC80 on, Philips L and Y.
LUNG_KERNEL = re.compile(r"LUNG|BONE|EDGE|\bB[LRV]?[5-9]\d|\bI[5-9]\d|\bFC[58]\d|^Y[A-D]?$|^L$", re.IGNORECASE)
COMPARABLE = 0.5  # of the longest series' slices: fewer are a few high-resolution cuts, not the chest


class Facts(Protocol):
    """What is asked of a series: an event's `SeriesFacts`, or what evaluation reads from DICOM files."""

    @property
    def modality(self) -> str:
        """CT, PT, ..."""

    @property
    def plane(self) -> str:
        """axial, coronal, sagittal or oblique."""

    @property
    def slices(self) -> int:
        """How many there are."""

    @property
    def convolution_kernel(self) -> str | None:
        """The reconstruction's kernel, as its maker names it."""

    @property
    def body_part(self) -> str | None:
        """The part of the body, as the header has it."""

    @property
    def slice_thickness_mm(self) -> float | None:
        """Thickness of one slice."""


Series = TypeVar("Series", bound=Facts)


@dataclass(frozen=True)
class Choice(Generic[Series]):
    """The series to analyse and the reason people read."""

    series: Series
    reason: str


def choose_series(series: Sequence[Series]) -> Choice[Series] | None:
    """Axial CT first, the chest before other or unnamed parts, then long series, among these a lung kernel.

    None when no series is an axial CT.
    """
    usable = [one for one in series if one.modality == "CT" and one.plane == "axial"]
    if not usable:
        return None
    best_part = max(map(_part, usable))
    of_part = [one for one in usable if _part(one) == best_part]
    longest = max(one.slices for one in of_part)
    of_length = [one for one in of_part if one.slices >= COMPARABLE * longest]
    chosen = max(of_length, key=lambda one: (_sharp(one), one.slices, -(one.slice_thickness_mm or 99)))
    return Choice(chosen, _reason(chosen, len(series), len(usable)))


def _part(series: Facts) -> int:
    """2 the chest, 1 unnamed, 0 something else; headers err, so that nothing is ruled out."""
    if not series.body_part:
        return 1
    return 2 if CHEST.search(series.body_part) else 0


def _sharp(series: Facts) -> bool:
    return bool(LUNG_KERNEL.search(series.convolution_kernel or ""))


def _reason(chosen: Facts, count: int, usable: int) -> str:
    if count == 1:
        return "The study's only series."
    if usable == 1:
        return f"The only axial CT of {count} series."
    facts = [f"{chosen.slices} slices"]
    if _part(chosen) == 2:
        facts.insert(0, "chest")
    if _sharp(chosen):
        facts.append("lung kernel")
    return f"The most suitable of {usable} axial series: {', '.join(facts)}."
