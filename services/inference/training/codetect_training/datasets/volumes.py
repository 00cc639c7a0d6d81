"""Sources in HU: DICOM series and NIfTI volumes, cropped and thinned to lung slices as the service does it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pydicom
from codetect_inference.preprocess import HU, plan_series, window
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_rescale

from codetect_training.datasets.alike import LOOK
from codetect_training.datasets.sources import Described, Listing, Shares, Slice, Unit, Whole, listed, tables
from codetect_training.datasets.strict import DataPath
from codetect_training.datasets.tables import LabelTable

HEADER = (
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "ImageType", "SamplesPerPixel"),
    *("NumberOfFrames", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"),
)
AIR_HU = -1024
AXIAL = 0.9  # least z of a slice's normal, about 25 degrees of tilt
COMPARED = (-600.0, 1500.0)  # level and width through which HU slices are compared with images


class Volumes(Described):
    """What DICOM and NIfTI have in common.

    `slices`: those that show lung, or every one; `margin`: as in a bundle; `clip_hu`: the widest window that training
    may draw; the service's own window by default, so that shrinking weighs bone and metal as the service does.
    """

    folder: DataPath
    labels: LabelTable | None = None
    split: Annotated[Whole | Shares, Field(discriminator="by")]
    slices: Literal["lung", "every"] = "lung"
    margin: float = Field(default=0.02, ge=0, le=0.5)
    clip_hu: tuple[int, int] = (-1350, 150)
    hu: Literal[True] = Field(default=True, exclude=True)

    @property
    def shares(self) -> Shares | None:
        """How splits are to be made."""
        return self.split if isinstance(self.split, Shares) else None

    @property
    def words(self) -> set[str]:
        """The labels it uses."""
        return set(self.labels.values.values()) if self.labels else set()

    def said(self, root: Path) -> list[Path]:
        """The tables of labels and patients."""
        return tables(self, root) + ([root / self.labels.table] if self.labels else [])

    def add(self, listing: Listing, root: Path, key: str, files: list[Path], names: dict[str, str]) -> None:
        """Take one volume into the listing, with what the tables say of it."""
        label = self.labels.find(root, names) if self.labels else None
        if self.labels and label is None:
            listing.skipped["not in the label table"] += 1
            return
        split = self.split.split if isinstance(self.split, Whole) else None
        listing.units.append(Unit(key, tuple(files), label, split, self.patients.find(root, names)))

    def cut(self, names: list[str], hu: list[HU], side: int) -> Iterator[Slice]:
        """The chosen slices, clipped, cropped to the body and squeezed to squares, in HU."""
        plan = plan_series(len(hu), hu.__getitem__, self.margin)
        box = plan.box
        for index in plan.slices if self.slices == "lung" else range(len(hu)):
            one = hu[index][box.top : box.bottom, box.left : box.right]
            square = np.rint(shrink(np.clip(one, *self.clip_hu).astype(np.float32), side)).astype(np.int16)
            yield Slice(names[index], square, shrink(window(one, *COMPARED), LOOK))


class DicomSeries(Volumes):
    """Axial CT series below a folder, one unit per SeriesInstanceUID."""

    kind: Literal["dicom"]

    def files(self, root: Path) -> list[Path]:
        """Every .dcm file and the tables."""
        listed(root / self.folder)
        return sorted((root / self.folder).rglob("*.dcm")) + self.said(root)

    def units(self, root: Path) -> Listing:
        """Series in the order of their first files, slices from feet to head."""
        listing = Listing()
        series: dict[str, list[tuple[float, Path]]] = defaultdict(list)
        names: dict[str, dict[str, str]] = {}
        for path in sorted((root / self.folder).rglob("*.dcm")):
            head = opened(path, stop_before_pixels=True, specific_tags=list(HEADER))
            if reason := unsuitable(head):
                listing.skipped[reason] += 1
                continue
            uid = str(head.SeriesInstanceUID)
            series[uid].append((height(head), path))
            folder = path.parent.relative_to(root / self.folder).as_posix()
            names.setdefault(uid, {"folder": folder} | {word: str(head.get(word, "")) for word in HEADER[:3]})
        for uid, found in series.items():
            self.add(listing, root, f"{self.folder}/{uid}", [path for _, path in sorted(found)], names[uid])
        return listing

    def read(self, unit: Unit, side: int) -> Iterator[Slice]:
        """Decode a series."""
        yield from self.cut([path.name for path in unit.files], [read_dicom(path) for path in unit.files], side)


class NiftiVolumes(Volumes):
    """CT volumes in HU as NIfTI (.nii, .nii.gz), one unit per file; needs nibabel (scripts/train installs it)."""

    kind: Literal["nifti"]

    def files(self, root: Path) -> list[Path]:
        """Every volume and the tables."""
        return self.volumes(root) + self.said(root)

    def volumes(self, root: Path) -> list[Path]:
        """The volumes by path."""
        listed(root / self.folder)
        found = (root / self.folder).rglob("*.nii*")
        return sorted(path for path in found if path.name.endswith((".nii", ".nii.gz")))

    def units(self, root: Path) -> Listing:
        """One unit per volume."""
        listing = Listing()
        for path in self.volumes(root):
            folder = path.parent.relative_to(root / self.folder).as_posix()
            self.add(listing, root, path.relative_to(root).as_posix(), [path], {"file": path.name, "folder": folder})
        return listing

    def read(self, unit: Unit, side: int) -> Iterator[Slice]:
        """Decode a volume."""
        hu = list(read_nifti(unit.files[0]))
        yield from self.cut([str(index) for index in range(len(hu))], hu, side)


def unsuitable(head: pydicom.Dataset) -> str | None:
    """Why an instance isn't an axial CT slice, or None."""
    if head.get("Modality") != "CT" or head.get("SamplesPerPixel", 1) != 1:
        return "not CT"
    if int(head.get("NumberOfFrames") or 1) > 1:
        return "several frames in one instance"
    if "LOCALIZER" in (head.get("ImageType") or ()) or not head.get("ImageOrientationPatient"):
        return "a localizer, or without a place"
    return None if abs(normal(head)[2]) >= AXIAL else "not axial"


def normal(head: pydicom.Dataset) -> NDArray[np.float64]:
    """The direction across a slice (PS3.3 C.7.6.2.1.1)."""
    rows, columns = np.array(head.ImageOrientationPatient, np.float64).reshape(2, 3)
    return np.asarray(np.cross(rows, columns))


def height(head: pydicom.Dataset) -> float:
    """A slice's place along the body in mm, ascending towards the head."""
    across = normal(head)
    return float(np.dot(across, np.array(head.ImagePositionPatient, np.float64)) * np.sign(across[2]))


def series_in_hu(source: object, root: Path) -> list[HU]:
    """The slices of a source that is one DICOM series, feet to head."""
    assert isinstance(source, DicomSeries)
    (unit,) = source.units(root).units
    return [read_dicom(path) for path in unit.files]


def read_dicom(path: Path) -> HU:
    """One CT slice in HU; padding is air, as in the service's volumes."""
    dataset = opened(path)
    try:
        return to_hu(dataset)
    except Exception as error:
        raise SystemExit(f"{path} can't be decoded ({error}): take it out of the folder") from error


def to_hu(dataset: pydicom.Dataset) -> HU:
    """A CT slice's pixels in HU; raises whatever pydicom's decoders raise."""
    stored = dataset.pixel_array
    hu = np.clip(np.rint(apply_rescale(stored, dataset)), -32768, 32767).astype(np.int16)
    if isinstance(first := dataset.get("PixelPaddingValue"), int):
        last = dataset.get("PixelPaddingRangeLimit", first)
        hu[(stored >= min(first, last)) & (stored <= max(first, last))] = AIR_HU
    return np.asarray(hu)


def opened(path: Path, **how: Any) -> pydicom.Dataset:
    """Read a DICOM file."""
    try:
        return pydicom.dcmread(path, **how)
    except InvalidDicomError:
        raise SystemExit(f"{path} isn't a DICOM file: take it out of the folder") from None


def read_nifti(path: Path) -> NDArray[np.int16]:
    """A volume in HU, (slices, rows, columns), feet to head, rows and columns as in DICOM's axial slices."""
    try:
        import nibabel
    except ModuleNotFoundError:
        raise SystemExit("NIfTI volumes need nibabel: use scripts/train, or pip install nibabel") from None
    image: Any = nibabel.funcs.as_closest_canonical(nibabel.loadsave.load(path))  # type: ignore[no-untyped-call]
    if len(image.shape) != 3:
        raise SystemExit(f"{path} has {len(image.shape)} dimensions: give one CT volume per file")
    values = np.asarray(image.dataobj, np.float32)[::-1, ::-1]  # canonical axes point right, to the front, up
    return np.clip(np.rint(values), -32768, 32767).astype(np.int16).transpose(2, 1, 0)


def shrink(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Squeeze to a square as the service does."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR), np.float32)
