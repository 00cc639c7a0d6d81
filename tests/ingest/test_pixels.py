from io import BytesIO

import numpy as np
import pydicom
import pytest
from codetect_ingest.dicom.pixels import AIR_HU, hounsfield, padding_range, stored_values
from codetect_ingest.dicom.reading import read
from codetect_ingest.dicom.refusals import Refused
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from tests.ingest.samples import big, ct, written

SYNTAXES = "dicom/transfer-syntaxes"


def hu(ds: Dataset) -> np.ndarray:
    again = read(written(ds))
    return hounsfield(stored_values(again), again)


def with_values(*values: int, dtype: str = "<i2", **changes: object) -> Dataset:
    return ct(Rows=1, Columns=len(values), PixelData=np.array(values, dtype).tobytes(), **changes)


def test_hu_is_slope_times_stored_plus_intercept() -> None:
    assert hu(with_values(0, 24, 1024)).tolist() == [[-1024, -1000, 0]]
    assert hu(with_values(0, 10, 20, RescaleSlope="0.5", RescaleIntercept="-10.25")).tolist() == [[-10, -5, 0]]


@pytest.mark.parametrize("intercept", [0, -1024, 32767, -32768, 40000, -65535, 70000, 999999])
@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", "<u2"])
def test_whole_intercepts_are_added_in_as_many_bits_as_it_takes(dtype: str, intercept: int) -> None:
    info = np.iinfo(dtype)
    for values in ([info.min, info.max], [info.max, info.max - 1], [info.min, info.min + 1], [0, 1]):
        bits = {"BitsAllocated": info.bits, "BitsStored": info.bits, "HighBit": info.bits - 1}
        signed = {"PixelRepresentation": int(info.min < 0)}
        ds = with_values(*values, dtype=dtype, RescaleIntercept=intercept, **bits, **signed)
        assert hu(ds).tolist() == [[min(max(v + intercept, -32768), 32767) for v in values]]


def test_a_usual_image_is_taken_as_pydicom_takes_it() -> None:
    for changes in ({}, {"PixelRepresentation": 0}, {"PlanarConfiguration": 0}, {"NumberOfFrames": 1}):
        data = written(with_values(-5, 7, 1000, -32768, 32767, **changes))
        found, theirs = stored_values(read(data)), pydicom.dcmread(BytesIO(data)).pixel_array
        assert (found.dtype, found.tolist()) == (theirs.dtype, theirs.tolist())
    for changes in ({"PhotometricInterpretation": "ODD"}, {"PhotometricInterpretation": ["MONOCHROME2", "ODD"]}):
        with pytest.raises(Refused):
            stored_values(read(written(ct(**changes))))


@pytest.mark.parametrize(
    "changes", [{"RescaleSlope": None, "RescaleIntercept": None}, {"RescaleSlope": "", "RescaleIntercept": ""}]
)
def test_without_a_modality_lut_stored_values_are_hu(changes: dict[str, object]) -> None:
    assert hu(with_values(-1000, 0, 500, **changes)).tolist() == [[-1000, 0, 500]]


def test_values_beyond_int16_are_clipped_not_wrapped() -> None:
    assert hu(with_values(-32768, 32767, RescaleSlope=2, RescaleIntercept=-1024)).tolist() == [[-32768, 32767]]
    unsigned = with_values(0, 65535, dtype="<u2", PixelRepresentation=0, RescaleIntercept=0)
    assert hu(unsigned).tolist() == [[0, 32767]]


def test_padding_becomes_air() -> None:
    assert hu(with_values(-2000, 24, PixelPaddingValue=-2000)).tolist() == [[AIR_HU, -1000]]
    ranged = with_values(-2000, -1999, -1998, 24, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1999)
    assert hu(ranged).tolist() == [[AIR_HU, AIR_HU, -3022, -1000]]


def test_padding_written_without_its_sign_is_understood() -> None:
    ds = with_values(-2000, 24)
    ds.add_new("PixelPaddingValue", "US", 63536)
    assert hu(ds).tolist() == [[AIR_HU, -1000]]


def test_padding_written_with_a_sign_that_pixels_lack_is_understood() -> None:
    ds = with_values(63536, 1024, dtype="<u2", PixelRepresentation=0, RescaleIntercept=-1024)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    assert hu(ds).tolist() == [[AIR_HU, 0]]
    assert padding_range(ds) == (63536, 63536)


@pytest.mark.parametrize(
    "keyword", ["SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation", "BitsStored"]
)
def test_what_goes_without_saying_may_be_left_out(keyword: str) -> None:
    assert hu(with_values(0, 24, 1024, **{keyword: None})).tolist() == [[-1024, -1000, 0]]


def test_padding_may_end_at_zero() -> None:
    ds = with_values(-2000, -1000, 0, 1024)
    ds.add_new("PixelPaddingValue", "SS", -2000)
    ds.add_new("PixelPaddingRangeLimit", "SS", 0)
    assert padding_range(ds) == (-2000, 0)


def test_bits_above_the_stored_ones_are_no_part_of_the_image() -> None:
    overlay = with_values(0x7FFF, -32768 + 24, BitsStored=12, HighBit=11, PixelRepresentation=0, RescaleIntercept=0)
    assert hu(overlay).tolist() == [[0x0FFF, 24]]
    twelve_bits_signed = with_values(0x0FFF, 0x0800, 5, BitsStored=12, HighBit=11, RescaleIntercept=0)
    assert hu(twelve_bits_signed).tolist() == [[-1, -2048, 5]]
    shifted = with_values(16, 32, BitsStored=12, HighBit=15, RescaleIntercept=0)
    assert hu(shifted).tolist() == [[1, 2]]


@pytest.mark.parametrize("changes", [{"RescaleSlope": 0}, {"RescaleSlope": "1e300"}])
def test_a_rescaling_that_makes_no_hu_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        hu(with_values(1, 2, **changes))
    assert refused.value.code == "malformed"


LOSSLESS = [
    "CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm",
    "CTImage.dcm_DeflatedExplicitVRLittleEndianTransferSyntax_1.2.840.10008.1.2.1.99.dcm",
    "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    "CTImage.dcm_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm",
    "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
    "CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm",
    "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm",
    "CTImage.dcm_LittleEndianImplicitTransferSyntax_1.2.840.10008.1.2.dcm",
    "CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm",
]
LOSSY = {
    "CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm": 1,
    "CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm": 1,
    "CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm": 20,
    "CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm": 5,
}


def hu_of_file(name: str) -> np.ndarray:
    ds = read(big(f"{SYNTAXES}/{name}").read_bytes())
    return np.maximum(hounsfield(stored_values(ds), ds), AIR_HU)


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_slice_has_the_same_hu_in_every_lossless_syntax(name: str) -> None:
    assert np.array_equal(hu_of_file(name), hu_of_file("CTImage.dcm"))


@pytest.mark.parametrize(("name", "mean_hu"), LOSSY.items())
def test_a_slice_has_nearly_the_same_hu_in_lossy_syntaxes(name: str, mean_hu: float) -> None:
    difference = np.abs(hu_of_file(name).astype(int) - hu_of_file("CTImage.dcm"))
    assert difference.mean() < mean_hu


def test_a_spoiled_stream_is_undecodable() -> None:
    ds = pydicom.dcmread(big(f"{SYNTAXES}/{LOSSLESS[-1]}"))
    ds.Rows = 256
    with pytest.raises(Refused) as refused:
        stored_values(ds)
    assert refused.value.code == "undecodable"


def test_syntax_of_big_endian_is_known() -> None:
    assert uid.ExplicitVRBigEndian.is_little_endian is False


@pytest.mark.parametrize("name", [n for n in [*LOSSLESS, *LOSSY] if ".4.8" in n])
def test_a_jpeg_ls_image_damaged_in_its_middle_is_never_taken(name: str) -> None:
    """What decoded it before answered with an image three times out of four."""
    whole = pydicom.dcmread(big(f"{SYNTAXES}/{name}"))
    data = bytearray(next(generate_frames(whole.PixelData, number_of_frames=1)))
    noise = np.random.default_rng(3)
    for _ in range(20):
        spoiled = bytearray(data)
        for at in noise.integers(200, len(spoiled) - 200, 8):
            spoiled[at] ^= int(noise.integers(1, 256))
        whole.PixelData = encapsulate([bytes(spoiled)])
        with pytest.raises(Refused) as refused:
            stored_values(whole)
        assert refused.value.code == "undecodable"
