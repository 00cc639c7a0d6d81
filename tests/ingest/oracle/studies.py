"""What both servers are given: patients, dates, texts and images of every kind that a hospital sends."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.ingest.samples import SAMPLE, ct, written
from tests.ingest.test_multiframe import enhanced

ROOT = "1.2.826.0.1.3680043.8.498.77"
GREEK, RUSSIAN, JAPANESE, KOREAN, CHINESE = "Διονυσιος", "Люкceмбypг", "Yamada^Tarou", "Hong^Gildong", "Wang^XiaoDong"


@dataclass(frozen=True)
class Sent:
    """A study by one letter, and its files."""

    letter: str
    files: tuple[Dataset, ...]

    @property
    def study_uid(self) -> str:
        return str(self.files[0].StudyInstanceUID)


def series(letter: str, number: int, count: int, /, **changes: object) -> list[Dataset]:
    """CT slices one above the other; what they are called is the same in every run."""
    study = f"{ROOT}.{ord(letter)}"
    return [
        ct(
            **{
                "StudyInstanceUID": study,
                "SeriesInstanceUID": f"{study}.{number}",
                "SOPInstanceUID": f"{study}.{number}.{n}",
                "FrameOfReferenceUID": f"{study}.0",
                "SeriesNumber": number,
                "InstanceNumber": n,
                "ImagePositionPatient": [-100, -100, 2.5 * n],
                "PatientID": f"{letter}-0815",
            }
            | changes
        )
        for n in range(1, count + 1)
    ]


def compressed(ds: Dataset, syntax: uid.UID) -> Dataset:
    ds.compress(syntax, generate_instance_uid=False)
    return ds


def smooth(size: int = 64) -> bytes:
    """A picture that every codec can take."""
    return (np.add.outer(np.arange(size), np.arange(size)) * 8 + 100).astype("<i2").tobytes()


def erika() -> list[Dataset]:
    """Everything said, two series, a date of a leap year."""
    told = {
        "PatientName": "Mustermann^Erika", "PatientBirthDate": "19640812", "PatientSex": "F", "PatientAge": "055Y",
        "AccessionNumber": "ACC-77", "StudyID": "S42", "StudyDate": "20200229", "StudyTime": "101530.5",
        "ReferringPhysicianName": "Haus^Gregory", "StudyDescription": "Thorax low dose",
        "InstitutionName": "Klinik am See", "ContentDate": "20200229", "ContentTime": "101600",
        "SeriesDate": "20200229", "SeriesTime": "101531", "AcquisitionDate": "20200229",
        "AcquisitionTime": "101532.25", "BodyPartExamined": "CHEST", "PatientPosition": "HFS", "KVP": 120,
        "ManufacturerModelName": "Model", "WindowCenter": [-600, 40], "WindowWidth": [1500, 400],
    }  # fmt: skip
    lung = series("E", 1, 4, SeriesDescription="Lunge 1mm", ProtocolName="CAP", **told)
    for ds in lung:
        ds.PatientComments, ds.OtherPatientNames = "Allergic", "Muster^E"
        ds.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "for ACME alone")
    soft = series("E", 2, 2, SeriesDescription="Soft", ConvolutionKernel="SOFT", **told)
    return [*lung, *soft]


def joerg() -> list[Dataset]:
    """Latin-1, a time without seconds, no birth date."""
    told = {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller-Lüdenscheidt^Jörg", "PatientBirthDate": ""}
    told |= {"StudyDate": "20210101", "StudyTime": "0800", "PatientSex": "M", "AccessionNumber": "ACC-78"}
    told |= {"StudyDescription": "Größe", "ReferringPhysicianName": "Haus^Gregory"}
    return series("J", 1, 2, **told)


def nobody() -> list[Dataset]:
    """As little as a CT may say: attributes missing, others empty."""
    (ds,) = series("N", 1, 1, PatientName="", PatientBirthDate=None, StudyDate=None, Manufacturer="")
    del ds.SeriesNumber
    return [ds]


def old() -> list[Dataset]:
    """Dates and times at the edges, numbers and texts with blanks around."""
    told = {"StudyDate": "19001231", "StudyTime": "235959.999999", "PatientBirthDate": "18991231", "StudyID": "007"}
    told |= {
        "PatientName": "Old^Very^^Dr.^PhD",
        "StudyDescription": "a*b?c",
        "AccessionNumber": "A_C%",
        "PatientSex": "O",
    }
    return series("O", 1, 1, **told)


def names() -> list[Dataset]:
    """One patient's name in each of the world's writings; a study each."""
    told = (
        ("G", "ISO_IR 126", GREEK),
        ("R", "ISO_IR 144", RUSSIAN),
        ("Y", ["", "ISO 2022 IR 87"], f"{JAPANESE}=山田^太郎=やまだ^たろう"),
        ("K", ["", "ISO 2022 IR 149"], f"{KOREAN}=洪^吉洞=홍^길동"),
        ("W", "GB18030", f"{CHINESE}=王^小东="),
        ("U", "ISO_IR 192", f"{CHINESE}=王^小東="),
    )
    return [
        ds
        for letter, charset, name in told
        for ds in series(letter, 1, 1, SpecificCharacterSet=charset, PatientName=name, StudyDate="20220101")
    ]


def syntaxes() -> list[Dataset]:
    """The same slice in every transfer syntax that can be written here, and one of the sample's in JPEG 2000."""
    kinds = (uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.RLELossless)
    kinds += (uid.JPEGLSLossless, uid.JPEG2000Lossless)
    found = []
    for n, (ds, syntax) in enumerate(zip(series("T", 1, len(kinds)), kinds, strict=True)):
        ds.PixelData, ds.Rows, ds.Columns = smooth(), 64, 64
        ds.SeriesInstanceUID += f".{n}"
        if syntax.is_compressed and not syntax.is_deflated:
            compressed(ds, syntax)
        else:
            ds.file_meta.TransferSyntaxUID = syntax
        found.append(ds)
    return found


def several() -> list[Dataset]:
    """An Enhanced CT of three frames."""
    (one,) = series("F", 1, 1)
    ds = enhanced(3)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "SeriesNumber"):
        setattr(ds, keyword, one[keyword].value)
    return [ds]


def others() -> list[Dataset]:
    """What isn't analysed, and is kept: an MR, a report, a colour picture of two frames."""
    mr, report, picture = series("X", 1, 3, PatientName="Others^Ann", StudyDate="20230101", AccessionNumber="ACC-79")
    for number, (ds, kind, modality) in enumerate(
        (
            (mr, uid.MRImageStorage, "MR"),
            (report, uid.BasicTextSRStorage, "SR"),
            (picture, uid.MultiFrameTrueColorSecondaryCaptureImageStorage, "OT"),
        ),
        1,
    ):
        ds.SOPClassUID, ds.Modality = kind, modality
        ds.SeriesInstanceUID, ds.SeriesNumber = f"{ds.StudyInstanceUID}.{number}", number
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
                    "SamplesPerPixel", "PhotometricInterpretation"):  # fmt: skip
        delattr(report, keyword)
    mr.EchoTrainLength, mr.EchoTime = 10, 2.5
    mr.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE"]
    nested = Dataset()
    nested.ReferencedSOPClassUID, nested.ReferencedSOPInstanceUID = uid.MRImageStorage, f"{ROOT}.99"
    mr.ReferencedImageSequence = Sequence([nested, nested])
    mr.RequestAttributesSequence = Sequence([])
    block = mr.private_block(0x0009, "ACME", create=True)
    block.add_new(1, "DS", "98.41")
    block.add_new(2, "UN", b"\x00\x01" * 1000)
    picture.SamplesPerPixel, picture.PhotometricInterpretation, picture.PlanarConfiguration = 3, "RGB", 0
    picture.BitsAllocated = picture.BitsStored = 8
    picture.HighBit, picture.PixelRepresentation, picture.NumberOfFrames = 7, 0, 2
    picture.PixelData = (np.arange(16 * 16 * 3 * 2) % 251).astype(np.uint8).tobytes()
    del picture.RescaleSlope, picture.RescaleIntercept
    return [mr, report, picture]


@cache
def sent() -> dict[str, Sent]:
    """All studies, by letter."""
    files = [*erika(), *joerg(), *nobody(), *old(), *names(), *syntaxes(), *several(), *others()]
    letters = {chr(int(ds.StudyInstanceUID.rpartition(".")[2])): [] for ds in files}
    for ds in files:
        letters[chr(int(ds.StudyInstanceUID.rpartition(".")[2]))].append(ds)
    return {letter: Sent(letter, tuple(those)) for letter, those in letters.items()}


def sample() -> bytes:
    """A slice as a scanner made it, in JPEG 2000."""
    return (SAMPLE / "0001.dcm").read_bytes()


def bodies(letter: str) -> list[bytes]:
    return [written(ds) for ds in sent()[letter].files]
