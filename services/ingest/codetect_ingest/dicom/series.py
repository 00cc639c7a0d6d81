"""Slices to studies and series: whose they are, which belong together, in which order (PS3.3 C.7.6.2)."""

import itertools
import math
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from codetect_ingest.dicom.instance import STRAIGHT, Instance, Vector

LEANING = 0.8
SAME_PLACE_MM = 1e-3


class Plane(StrEnum):
    """How slices lie in the body; a gantry tilted by up to 36 degrees still makes axial ones."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"
    OBLIQUE = "oblique"


@dataclass(frozen=True)
class Arrangement:
    """A series' slices in order, by their place in what was given; `odd` ones don't fit the others."""

    order: list[int]
    odd: list[int]
    plane: Plane
    slice_spacing_mm: float | None


def duplicates(found: Mapping[int, Instance]) -> set[int]:
    """Return the numbers of files whose instance an earlier file has already brought."""
    first: dict[str, int] = {}
    return {number for number in sorted(found) if first.setdefault(found[number].sop_instance_uid, number) != number}


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
    normal = _normal(slices[fitting[0]])
    depth = {
        index: math.fsum(n * p for n, p in zip(normal, slices[index].position_mm, strict=True)) for index in fitting
    }
    order = sorted(fitting, key=lambda index: (depth[index], slices[index].instance_number or 0, index))
    return Arrangement(
        order=order,
        odd=[index for group in groups if group is not fitting for index in group],
        plane=_plane(normal),
        slice_spacing_mm=_spacing([depth[index] for index in order]),
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


def _spacing(depths: Sequence[float]) -> float | None:
    """Return the usual distance between neighbours; slices at one place (another phase) don't count."""
    steps = [after - before for before, after in itertools.pairwise(depths) if after - before > SAME_PLACE_MM]
    return round(median(steps), 4) if steps else None
