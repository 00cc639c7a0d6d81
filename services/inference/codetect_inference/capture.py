"""Pictures of a result for viewers that know nothing of it: the slices that argue most, with what argues, drawn in."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from highdicom.sc import SCImage
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont
from pydicom.dataset import Dataset

from codetect_inference.drawing import on_slice
from codetect_inference.result import MANUFACTURER, Result

SERIES_NUMBER = 90002
MOST = 4
NOTICE = "CoDetect - not for clinical use"
LEVEL_HU, WIDTH_HU = -600, 1500
TEXT_SHARE = 28  # lines of text a picture's height would hold


def pictures(result: Result) -> Iterator[Dataset]:
    """One Secondary Capture image for each of the first top slices."""
    row_of = {n: row for row, n in enumerate(result.maps.slices.tolist())}
    for number, n in enumerate(result.explanation.top_slices[:MOST], 1):
        yield _image(result, number, n, _draw(result, n, row_of[n]))


def towards(direction: Sequence[float]) -> str:
    """Which way in the patient a direction (LPS) mostly leads, as PatientOrientation has it (PS3.3 C.7.6.1.1.1)."""
    axis = int(np.abs(direction).argmax())
    return ("LPH" if direction[axis] > 0 else "RAF")[axis]


def _draw(result: Result, n: int, row: int) -> NDArray[np.uint8]:
    """A slice through the lung window with the map of its likeliest label; no text that tells of a patient."""
    chances = result.explanation.probabilities[row]
    column = int(chances.argmax())
    label = result.bundle.labels[column]
    hu = result.hu[n]
    picture = on_slice(hu, LEVEL_HU, WIDTH_HU, result.maps, row, column, label.temperature)
    draw, size = ImageDraw.Draw(picture), max(10, picture.height // TEXT_SHARE)
    font, edge = _font(size), size // 2
    said = f"{label.title}: {chances[column]:.2f} on slice {n + 1} of {len(result.manifest.instances)}"
    draw.text((edge, edge), said, "white", font, stroke_width=1, stroke_fill="black")
    draw.text((edge, picture.height - edge), NOTICE, "white", font, anchor="ld", stroke_width=1, stroke_fill="black")
    return np.asarray(picture)


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _image(result: Result, number: int, n: int, pixels: NDArray[np.uint8]) -> Dataset:
    manifest, source = result.manifest, result.manifest.instances[n]
    ds = SCImage(
        pixel_array=pixels,
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=(towards(manifest.orientation[:3]), towards(manifest.orientation[3:])),
        study_instance_uid=manifest.study_instance_uid,
        study_date=manifest.study_date,
        patient_id=manifest.patient_id,
        series_instance_uid=result.uid("sc/series"),
        series_number=SERIES_NUMBER,
        series_description="CoDetect pictures - not for clinical use",
        sop_instance_uid=result.uid(f"sc/{number}"),
        instance_number=number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=result.bundle.name,
        software_versions=result.bundle.version,
        content_date=result.date,
        content_time="000000",
        specific_character_set="ISO_IR 192",
    )
    ds.BodyPartExamined = "CHEST"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = source.sop_class_uid, source.sop_instance_uid
    ds.SourceImageSequence = [reference]
    ds.DerivationDescription = f"Slice {n + 1} in a lung window with a class activation map laid over. {NOTICE}."
    # What is drawn in names nobody: NO is about text that identifies the patient (PS3.3 C.7.6.1).
    ds.BurnedInAnnotation = "NO"
    return ds
