"""Slices to studies and series: whose they are, which belong together, in which order (PS3.3 C.7.6.2)."""

import itertools
import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median

from codetect_ingest.dicom.instance import STRAIGHT, Instance, Vector

LEANING = 0.8
SAME_PLACE_MM = 1e-3
UNEVEN = 0.1  # of the usual step
TILTED_DEGREES = 0.5


class Plane(StrEnum):
    """How slices lie in the body; a gantry tilted by up to 36 degrees still makes axial ones."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"
    OBLIQUE = "oblique"


class Irregularity(StrEnum):
    """What a reader of the volume should know; the number beside it is in the unit named here."""

    MISSING_SLICES = "missing_slices"  # how many
    UNEVEN_SPACING = "uneven_spacing"  # the step that differs most from the usual one, mm
    GANTRY_TILT = "gantry_tilt"  # degrees by which the stack leans away from its slices' normal
    OVERLAPPING_PHASES = "overlapping_phases"  # slices at one place, at most


@dataclass(frozen=True)
class Arrangement:
    """A series' slices in order, by their place in what was given; `odd` ones don't fit the others."""

    order: list[int]
    odd: list[int]
    plane: Plane
    slice_spacing_mm: float | None
    warnings: dict[Irregularity, float] = field(default_factory=dict)


def duplicates(found: Mapping[int, Sequence[Instance]]) -> set[int]:
    """Return the numbers of files that hold an instance which one that stays has brought: more slices go first."""
    brought: set[str] = set()
    again: set[int] = set()
    for number in sorted(found, key=lambda number: (-len(found[number]), number)):
        uids = {one.sop_instance_uid for one in found[number]}
        if brought.isdisjoint(uids):
            brought |= uids
        else:
            again.add(number)
    return again


def mixed_studies(found: Iterable[Instance]) -> set[str]:
    """Return the studies whose files name more than one patient."""
    patients: defaultdict[str, set[str]] = defaultdict(set)
    for instance in found:
        patients[instance.study_instance_uid].add(instance.patient_id)
    return {study for study, named in patients.items() if len(named) > 1}


def arrange(slices: Sequence[Instance], known: Container[int] = ()) -> Arrangement:
    """Order one series along its normal: feet to head, front to back, right to left.

    What doesn't fit the most is odd; but what came later never makes odd what is `known` (indices).
    """
    groups: list[list[int]] = []
    for index, this in enumerate(slices):
        for group in groups:
            if _alike(slices[group[0]], this):
                group.append(index)
                break
        else:
            groups.append([index])
    fitting = max(groups, key=lambda group: (sum(index in known for index in group), len(group)))
    first = slices[fitting[0]]
    normal = _normal(first)
    depth = {index: _dot(normal, slices[index].position_mm) for index in fitting}
    order = sorted(fitting, key=lambda index: (depth[index], slices[index].instance_number or 0, index))
    depths = [depth[index] for index in order]
    return Arrangement(
        order=order,
        odd=[index for group in groups if group is not fitting for index in group],
        plane=_plane(normal),
        slice_spacing_mm=_spacing(depths),
        warnings=_gaps(depths) | _lean(depths, [slices[index] for index in order]) | _phases(depths),
    )


def _alike(one: Instance, other: Instance) -> bool:
    if (one.rows, one.columns) != (other.rows, other.columns):
        return False
    turned = max(abs(a - b) for a, b in zip(one.orientation, other.orientation, strict=True))
    scaled = max(abs(a / b - 1) for a, b in zip(one.pixel_spacing_mm, other.pixel_spacing_mm, strict=True))
    return turned < STRAIGHT and scaled < STRAIGHT


def _normal(this: Instance) -> Vector:
    """Return the direction across the slices, turned so that its largest part points to head, back or left."""
    (a, b, c), (d, e, f) = this.orientation[:3], this.orientation[3:]
    normal = (b * f - c * e, c * d - a * f, a * e - b * d)
    turn = math.copysign(1, max(normal, key=abs))
    return (normal[0] * turn, normal[1] * turn, normal[2] * turn)


def _plane(normal: Vector) -> Plane:
    leaning = dict(zip((Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL), normal, strict=True))
    plane = max(leaning, key=lambda p: leaning[p])
    return plane if leaning[plane] > LEANING else Plane.OBLIQUE


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _steps(depths: Sequence[float]) -> list[float]:
    """Return the distances between neighbours; slices at one place (another phase) don't count."""
    return [after - before for before, after in itertools.pairwise(depths) if after - before > SAME_PLACE_MM]


def _spacing(depths: Sequence[float]) -> float | None:
    steps = _steps(depths)
    return round(median(steps), 4) if steps else None


def _gaps(depths: Sequence[float]) -> dict[Irregularity, float]:
    """Tell missing slices, where a step is a multiple of the usual one, from steps that are merely odd."""
    steps = _steps(depths)
    if len(steps) < 2:
        return {}
    usual = median(steps)
    missing = 0
    odd: list[float] = []
    for step in steps:
        times = round(step / usual)
        if times >= 1 and abs(step - times * usual) <= UNEVEN * usual:
            missing += times - 1
        else:
            odd.append(step)
    found: dict[Irregularity, float] = {Irregularity.MISSING_SLICES: missing} if missing else {}
    if odd:
        furthest: float = max(odd, key=lambda step: abs(step - usual))
        found[Irregularity.UNEVEN_SPACING] = round(furthest, 4)
    return found


def _lean(depths: Sequence[float], slices: Sequence[Instance]) -> dict[Irregularity, float]:
    """Notice a tilted gantry: slices that lie behind one another along the table, not along their normal."""
    row, column = slices[0].orientation[:3], slices[0].orientation[3:]
    places = [
        (depth, _dot(row, s.position_mm), _dot(column, s.position_mm)) for depth, s in zip(depths, slices, strict=True)
    ]
    drifts = [
        ((after[1] - before[1]) / step, (after[2] - before[2]) / step)
        for before, after in itertools.pairwise(places)
        if (step := after[0] - before[0]) > SAME_PLACE_MM
    ]
    if not drifts:
        return {}
    tilt = math.degrees(math.atan(math.hypot(*(median(drift) for drift in zip(*drifts, strict=True)))))
    return {Irregularity.GANTRY_TILT: round(tilt, 2)} if tilt > TILTED_DEGREES else {}


def _phases(depths: Sequence[float]) -> dict[Irregularity, float]:
    """Count the most slices that lie at one place."""
    most = here = 1
    for before, after in itertools.pairwise(depths):
        here = here + 1 if after - before <= SAME_PLACE_MM else 1
        most = max(most, here)
    return {Irregularity.OVERLAPPING_PHASES: most} if most > 1 else {}
