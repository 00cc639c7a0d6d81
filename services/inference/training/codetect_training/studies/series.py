"""CT series below a folder, put together as ingest does it; what doesn't belong is counted, with the reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from codetect_inference.preprocess import HU
from pydicom.errors import InvalidDicomError

from codetect_training.datasets.volumes import HEADER, height, normal, to_hu

LEANING = 0.8  # least z of an axial slice's normal, as in ingest: scanners tilt by up to 36 degrees
ALIKE = 1e-3  # of a slice's orientation and spacing, within one series
READ = (*HEADER, "SOPInstanceUID", "PixelSpacing", "ConvolutionKernel", "BodyPartExamined", "SliceThickness")
Shape = tuple[int, int, tuple[float, ...]]


@dataclass(frozen=True)
class FoundSeries:
    """An axial CT series: its names, what the service chooses by, its files from feet to head."""

    names: Mapping[str, str]
    files: tuple[Path, ...]
    convolution_kernel: str | None
    body_part: str | None
    slice_thickness_mm: float | None
    modality: str = "CT"
    plane: str = "axial"

    @property
    def slices(self) -> int:
        """How many there are."""
        return len(self.files)

    @property
    def study(self) -> str:
        """Its StudyInstanceUID."""
        return self.names["StudyInstanceUID"]

    def read(self, left_out: LeftOut) -> list[HU]:
        """Its slices in HU; those that can't be decoded are counted."""
        found: list[HU] = []
        for path in self.files:
            try:
                found.append(to_hu(pydicom.dcmread(path)))
            except Exception:  # whatever pydicom and its decoders raise
                left_out.files["pixels can't be decoded"] += 1
        return found


@dataclass
class LeftOut:
    """What isn't part of the figures: reason -> how many."""

    files: Counter[str] = field(default_factory=Counter)
    series: Counter[str] = field(default_factory=Counter)
    studies: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    slices: Counter[str] = field(default_factory=Counter)

    def told(self) -> dict[str, dict[str, int]]:
        """As JSON, without what is empty."""
        return {name: dict(counts) for name, counts in vars(self).items() if counts}


def find_series(folder: Path, left_out: LeftOut, beside: Path | None = None) -> list[FoundSeries]:
    """Every axial CT series below `folder`, in the order of first files; the table `beside` isn't one of them."""
    if not folder.is_dir():
        raise SystemExit(f"{folder} isn't a folder: give one with DICOM files")
    heads: defaultdict[str, list[tuple[pydicom.Dataset, Path]]] = defaultdict(list)
    seen: set[str] = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if beside and path.samefile(beside):
            continue
        head = read_head(path)
        reason = head if isinstance(head, str) else unsuitable(head)
        if isinstance(head, str) or reason:
            left_out.files[str(reason)] += 1
        elif (uid := str(head.SOPInstanceUID)) in seen:
            left_out.files["a second copy of a slice"] += 1
        else:
            seen.add(uid)
            heads[str(head.SeriesInstanceUID)].append((head, path))
    return [put_together(found, folder, left_out) for found in heads.values()]


def read_head(path: Path) -> pydicom.Dataset | str:
    """A file's header, or why there is none."""
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(READ))
    except InvalidDicomError:
        return "not a DICOM file"
    except Exception:  # a hostile or torn file can make pydicom raise anything
        return "unreadable"


def unsuitable(head: pydicom.Dataset) -> str | None:
    """Why an instance isn't an axial CT slice, or None."""
    try:
        if head.get("Modality") != "CT" or int(head.get("SamplesPerPixel") or 1) != 1:
            return "not CT"
        if int(head.get("NumberOfFrames") or 1) > 1:
            return "several frames in one instance"
        if "LOCALIZER" in (head.get("ImageType") or ()):
            return "a localizer"
        if not all(head.get(word) for word in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")):
            return "without UIDs"
        shape(head), height(head)
        return None if abs(normal(head)[2]) > LEANING else "not axial"
    except (AttributeError, TypeError, ValueError):
        return "without size or place"


def shape(head: pydicom.Dataset) -> Shape:
    """What slices of one series share: rows, columns, then orientation and spacing."""
    turned = tuple(float(value) for value in head.ImageOrientationPatient)
    spacing = tuple(float(value) for value in head.get("PixelSpacing") or ())
    return int(head.Rows), int(head.Columns), (*turned, *spacing)


def alike(one: Shape, other: Shape) -> bool:
    """Whether two slices can lie in one volume."""
    return (
        one[:2] == other[:2] and len(one[2]) == len(other[2]) and np.allclose(one[2], other[2], rtol=ALIKE, atol=ALIKE)
    )


def put_together(found: list[tuple[pydicom.Dataset, Path]], folder: Path, left_out: LeftOut) -> FoundSeries:
    """The slices that are alike, the largest group of them; a series of mixed slices loses the others."""
    groups: list[list[tuple[pydicom.Dataset, Path]]] = []
    for one in found:
        group = next((group for group in groups if alike(shape(group[0][0]), shape(one[0]))), None)
        if group is None:
            groups.append(group := [])
        group.append(one)
    best = max(groups, key=len)
    if odd := len(found) - len(best):
        left_out.files["of another size or direction than most of its series"] += odd
        left_out.series["mixed: read without the slices that don't fit"] += 1
    ordered = sorted(best, key=lambda one: height(one[0]))
    head, path = best[0]
    names = {word: str(head.get(word, "")) for word in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")}
    names["folder"] = path.parent.relative_to(folder).as_posix()
    kernel = head.get("ConvolutionKernel")
    if isinstance(kernel, str) or not kernel:
        kernel = [kernel] if kernel else []
    return FoundSeries(
        names,
        tuple(path for _, path in ordered),
        " ".join(map(str, kernel)) or None,
        str(head.get("BodyPartExamined") or "") or None,
        float(head.get("SliceThickness") or 0) or None,
    )
