"""Why a file isn't taken: every code there is, with the sentence a clinician reads. `docs/refusals.md` mirrors it."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codetect_ingest.dicom.other import Other


class Refusal(StrEnum):
    """A stable code and its sentence; neither ever holds anything out of the file."""

    sentence: str

    def __new__(cls, code: str, sentence: str = "") -> "Refusal":
        """Keep the sentence beside the code."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.sentence = sentence
        return member

    GONE = "gone", "The file isn't in the store any more as it was sent. Send it again."
    EMPTY = "empty", "The file is empty."
    NOT_DICOM = "not_dicom", "This isn't a DICOM file."
    TRUNCATED = "truncated", "The file ends too early: part of it was lost on the way. Export it again."
    MALFORMED = "malformed", "The file breaks DICOM's rules so that it can't be read safely. Export it again."
    UNREADABLE = "unreadable", "Reading this file failed: it may be damaged. Export it again."
    TIMEOUT = "timeout", "Reading this file took too long, so it was stopped. It may be damaged."
    MEMORY = "memory", "Reading this file needs more memory than an image of its kind may take. It may be damaged."
    TOO_LARGE = "too_large", "The image is larger than the largest that is taken."
    SIZE_MISMATCH = "size_mismatch", "The image's size and the amount of its data don't agree. Export it again."
    NO_PIXEL_DATA = "no_pixel_data", "The file holds no image."
    UNSUPPORTED_TRANSFER_SYNTAX = (
        "unsupported_transfer_syntax",
        "The image is stored in a compressed form that can't be read here. Export it uncompressed or as JPEG 2000.",
    )
    UNDECODABLE = "undecodable", "The image's compressed data is damaged and can't be decoded. Export it again."
    NOT_CT = "not_ct", "This isn't a CT image."
    STRUCTURED_REPORT = "structured_report", "This is a report, of doses or findings for instance, not an image."
    RADIOTHERAPY = "radiotherapy", "This belongs to radiotherapy (structures, a plan or a dose); it isn't a CT image."
    ANNOTATION = "annotation", "This is a marking of other images, or a way to show them; it isn't a CT image."
    DOCUMENT = "document", "This is a document inside a DICOM file, not an image."
    DICOMDIR = (
        "dicomdir",
        "This is the table of contents of a DICOM medium; it holds no image. Send the folder with it.",
    )
    NOT_HU = (
        "not_hu",
        "The image's values aren't Hounsfield units: it is a map, of perfusion or a material for instance.",
    )
    ENHANCED = "enhanced", "This CT's images, several in one file, can't be told apart. Export it as single images."
    SECONDARY_CAPTURE = "secondary_capture", "This is a captured screen, which may show names; it isn't taken."
    LOCALIZER = "localizer", "This is a localizer (scout view), not a slice."
    BURNED_IN = "burned_in", "The image may have a name or other text drawn into it, so it is held back."
    BAD_UID = "bad_uid", "The file's study, series or image identifier is missing or not valid."
    NO_GEOMETRY = "no_geometry", "The file doesn't say where in the body the slice lies, or how large its pixels are."
    ODD_SLICE = "odd_slice", "The slice differs in size or direction from the rest of its series."
    DUPLICATE = "duplicate", "The same image was sent twice; one copy was kept."
    MIXED_PATIENTS = "mixed_patients", "This study's files name different patients, so none of them is taken."
    OTHER_STUDY = "other_study", "The image belongs to another study than the one it was sent to."

    @property
    def keepable(self) -> bool:
        """Whether it is a sound DICOM file that only isn't analysed: it may be kept, sealed, beside its study."""
        return self in KEEPABLE


KEEPABLE = {
    Refusal.NOT_CT,
    Refusal.STRUCTURED_REPORT,
    Refusal.RADIOTHERAPY,
    Refusal.ANNOTATION,
    Refusal.DOCUMENT,
    Refusal.NOT_HU,
    Refusal.SECONDARY_CAPTURE,
    Refusal.LOCALIZER,
    Refusal.BURNED_IN,
}


class Refused(Exception):
    """The file is refused; `note` is a fact about its kind, never a value that could name a person."""

    def __init__(self, code: Refusal, note: str = "") -> None:
        super().__init__(code.value)
        self.code = code
        self.note = note
        self.other: Other | None = None  # what a sound file says that only isn't analysed
        self.named: tuple[str, str] | None = None  # SOP class and instance as its sender calls them

    @property
    def keepable(self) -> bool:
        """Whether the file may be kept although it isn't analysed."""
        return self.code.keepable

    @property
    def detail(self) -> str:
        """Give the sentence, with the note where there is one."""
        return f"{self.code.sentence} ({self.note})" if self.note else self.code.sentence
