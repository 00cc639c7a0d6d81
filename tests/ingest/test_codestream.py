import numpy as np
import pydicom
import pytest
from codetect_ingest.dicom.codestream import JPEG_2000, Shape, shape, stripped
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import prepare
from codetect_ingest.dicom.pixels import stored_values
from codetect_ingest.dicom.reading import read
from codetect_ingest.dicom.refusals import Refused
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from tests.ingest.samples import KEY, ROOT, big, ct, written

SYNTAXES = "dicom/transfer-syntaxes"
HTJ2K = ROOT / "tests/data/htj2k"
CANARY = b"CANARY^ERIKA"
JPEG_FILES = {
    uid.JPEGBaseline8Bit: "CTImage.dcm_JPEGProcess1TransferSyntax_1.2.840.10008.1.2.4.50.dcm",
    uid.JPEGExtended12Bit: "CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm",
    uid.JPEGLossless: "CTImage.dcm_JPEGProcess14TransferSyntax_1.2.840.10008.1.2.4.57.dcm",
    uid.JPEGLosslessSV1: "CTImage.dcm_JPEGProcess14SV1TransferSyntax_1.2.840.10008.1.2.4.70.dcm",
    uid.JPEGLSLossless: "CTImage.dcm_JPEGLSLosslessTransferSyntax_1.2.840.10008.1.2.4.80.dcm",
    uid.JPEGLSNearLossless: "CTImage.dcm_JPEGLSLossyTransferSyntax_1.2.840.10008.1.2.4.81.dcm",
}
JPEG_2000_FILES = {
    uid.JPEG2000Lossless: "CTImage.dcm_JPEG2000LosslessOnlyTransferSyntax_1.2.840.10008.1.2.4.90.dcm",
    uid.JPEG2000: "CTImage.dcm_JPEG2000TransferSyntax_1.2.840.10008.1.2.4.91.dcm",
}
HTJ2K_STREAMS = {
    uid.HTJ2KLossless: "lossless.j2c",
    uid.HTJ2KLosslessRPCL: "lossless-rpcl.j2c",
    uid.HTJ2K: "lossy.j2c",
}
RLE_FILE = "CTImage.dcm_RLELosslessTransferSyntax_1.2.840.10008.1.2.5.dcm"


def sample(syntax: uid.UID) -> Dataset:
    """A sound file in the transfer syntax."""
    if syntax in HTJ2K_STREAMS:
        return with_stream(ct(64), (HTJ2K / HTJ2K_STREAMS[syntax]).read_bytes(), syntax)
    files = JPEG_FILES | JPEG_2000_FILES | {uid.RLELossless: RLE_FILE}
    return pydicom.dcmread(big(f"{SYNTAXES}/{files[syntax]}"))


def with_stream(ds: Dataset, stream: bytes, syntax: uid.UID) -> Dataset:
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def stream_of(ds: Dataset) -> bytes:
    return next(generate_frames(ds.PixelData, number_of_frames=1))


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def jpeg_hiding_places(stream: bytes) -> dict[str, bytes]:
    scan = stream.index(b"\xff\xda")
    inside = stream[:scan] + b"\xff\xff" + segment(0xFE, CANARY) + stream[scan:]
    end = stream.rindex(b"\xff\xd9")
    return {
        "application data": stream[:2] + segment(0xE1, b"Exif\0\0" + CANARY) + stream[2:],
        "a thumbnail": stream[:2] + segment(0xE0, b"\xff\xd8" + CANARY + b"\xff\xd9") + stream[2:],
        "a comment": stream[:2] + segment(0xFE, CANARY) + stream[2:],
        "a comment before the scan": inside,
        "a comment behind the scan": stream[:end] + segment(0xFE, CANARY) + stream[end:],
        "between segments": stream[:scan] + CANARY + stream[scan:],
        "an extension": stream[:2] + segment(0xF0, CANARY) + stream[2:],
        "a palette": stream[:scan] + segment(0xF8, b"\x02\x01\x0c" + CANARY) + stream[scan:],
        "behind the end": stream + CANARY,
        "an image behind the end": stream + b"\xff\xd8" + segment(0xFE, CANARY) + stream[2:],
    }


def jpeg_2000_hiding_places(stream: bytes) -> dict[str, bytes]:
    comment = segment(0x64, b"\0\1" + CANARY)
    part = stream.index(b"\xff\x90\x00\x0a")
    data = stream.index(b"\xff\x93", part)
    size = int.from_bytes(stream[part + 6 : part + 10], "big")
    grown = stream[part : part + 6] + (size + len(comment)).to_bytes(4, "big") + stream[part + 10 : data]
    to_the_end = stream[part : part + 6] + bytes(4) + stream[part + 10 :]
    header = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", b"")
    large = (1).to_bytes(4, "big") + b"jp2c" + (len(stream) + 16).to_bytes(8, "big") + stream
    return {
        "a comment": stream[:part] + comment + stream[part:],
        "a comment of a tile-part": stream[:part] + grown + comment + stream[data:],
        "a comment and a tile-part without a length": stream[:part] + comment + to_the_end,
        "packet lengths": stream[:part] + segment(0x57, b"\0" + CANARY) + stream[part:],
        "behind the end": stream + CANARY,
        "boxes": header + box(b"xml ", CANARY) + box(b"jp2c", stream) + box(b"uuid", bytes(16) + CANARY),
        "boxes around a large one": header + box(b"xml ", CANARY) + large + box(b"xml ", CANARY),
    }


def rle_hiding_places(stream: bytes) -> dict[str, bytes]:
    count = int.from_bytes(stream[:4], "little")
    offsets = [int.from_bytes(stream[at : at + 4], "little") for at in range(4, 4 + 4 * count, 4)]
    moved = b"".join((o + len(CANARY)).to_bytes(4, "little") for o in offsets)
    behind = stream[: 4 + 4 * count]
    return {
        "the header's unused offsets": behind + CANARY * 4 + stream[4 + 4 * count + 4 * len(CANARY) :],
        "before the first segment": stream[:4] + moved + stream[4 + 4 * count : 64] + CANARY + stream[64:],
        "between segments": stream[:8]
        + (offsets[1] + len(CANARY)).to_bytes(4, "little")
        + stream[12 : offsets[1]]
        + CANARY
        + stream[offsets[1] :],
        "behind the end": stream + CANARY,
    }


def hiding_places(ds: Dataset) -> dict[str, bytes]:
    syntax, stream = ds.file_meta.TransferSyntaxUID, stream_of(ds)
    if syntax == uid.RLELossless:
        return rle_hiding_places(stream)
    return jpeg_2000_hiding_places(stream) if syntax in JPEG_2000 else jpeg_hiding_places(stream)


@pytest.mark.parametrize("syntax", [*JPEG_FILES, *JPEG_2000_FILES, *HTJ2K_STREAMS, uid.RLELossless])
def test_nothing_that_hides_in_a_compressed_image_is_kept_and_the_image_is(syntax: uid.UID) -> None:
    plain = read(written(sample(syntax)))
    image = stored_values(plain)
    for place, stream in hiding_places(sample(syntax)).items():
        data = written(with_stream(sample(syntax), stream, syntax))
        assert CANARY in data, place
        clean = next(prepare(data, Pseudonyms(KEY))).clean
        assert CANARY not in clean, place
        again = pydicom.dcmread(pydicom.filebase.BytesIO(clean))
        assert again.file_meta.TransferSyntaxUID == syntax
        assert np.array_equal(again.pixel_array, image), place


@pytest.mark.parametrize("syntax", [*JPEG_FILES, *JPEG_2000_FILES, *HTJ2K_STREAMS])
def test_a_stripped_stream_has_nothing_left_to_strip(syntax: uid.UID) -> None:
    once = stripped(stream_of(sample(syntax)), syntax)
    assert stripped(once, syntax) == once


@pytest.mark.parametrize("syntax", [*JPEG_FILES, *JPEG_2000_FILES, *HTJ2K_STREAMS])
def test_a_stream_that_was_cut_is_undecodable(syntax: uid.UID) -> None:
    stream = stream_of(sample(syntax)).rstrip(b"\0")
    for length in (*range(0, 200, 7), *range(200, len(stream) - 2, len(stream) // 50)):
        with pytest.raises(Refused) as refused:
            stripped(stream[:length], syntax)
        assert refused.value.code == "undecodable"


def test_a_jpeg_2000_stream_may_lack_its_last_marker_but_nothing_else() -> None:
    stream = (HTJ2K / "lossless.j2c").read_bytes()
    assert stripped(stream[:-2] + b"\0", uid.HTJ2K) == stripped(stream, uid.HTJ2K)


def test_lengths_of_tile_parts_are_listed_where_they_were() -> None:
    stream = stripped((HTJ2K / "lossless-rpcl.j2c").read_bytes(), uid.HTJ2KLosslessRPCL)
    listed = stream.index(b"\xff\x55")
    part = stream.index(b"\xff\x90")
    assert stream[listed + 4 : listed + 6] == b"\0\x60"
    assert int.from_bytes(stream[listed + 8 : listed + 12], "big") == len(stream) - 2 - part
    assert b"\xff\x55" not in stripped((HTJ2K / "lossless.j2c").read_bytes(), uid.HTJ2KLossless)


def test_packets_that_hold_what_packets_never_hold_are_undecodable() -> None:
    stream = (HTJ2K / "lossless.j2c").read_bytes()
    at = len(stream) - 40
    with pytest.raises(Refused):
        stripped(stream[:at] + b"\xff\xd9" + stream[at + 2 :], uid.HTJ2KLossless)


def test_bits_above_the_stored_ones_are_not_kept_either() -> None:
    image = np.full((64, 64), 24, "<u2")
    image[4:9, 4:9] |= 0x8000
    header = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0}
    ds = ct(64, PixelData=image.tobytes(), **header)
    ds.compress(uid.RLELossless, generate_instance_uid=False)
    clean = pydicom.dcmread(pydicom.filebase.BytesIO(next(prepare(written(ds), Pseudonyms(KEY))).clean))
    assert (clean.pixel_array == 24).all()
    ds = ct(64, PixelData=image.tobytes(), **header)
    ds.BitsStored = 16
    ds.compress(uid.JPEG2000Lossless, generate_instance_uid=False)
    ds.BitsStored = 12
    clean = pydicom.dcmread(pydicom.filebase.BytesIO(next(prepare(written(ds), Pseudonyms(KEY))).clean))
    assert clean.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert (clean.pixel_array == 24).all()


@pytest.mark.parametrize("syntax", [*JPEG_FILES, *JPEG_2000_FILES])
def test_streams_tell_their_size_and_lies_about_it_are_refused(syntax: uid.UID) -> None:
    ds = sample(syntax)
    claimed = shape(stream_of(ds))
    assert claimed is not None
    assert claimed[:3] == (512, 512, 1)
    ds.Rows, ds.Columns = 1024, 256
    with pytest.raises(Refused) as refused:
        stored_values(ds)
    assert refused.value.code == "size_mismatch"


def test_a_stream_in_colour_is_no_ct_slice_whatever_its_header_says() -> None:
    colour = pydicom.dcmread(big("dicom/other/HTJ2KLossless_08_RGB.dcm"))
    assert shape(stream_of(colour)) == Shape(480, 640, 3, 8)
    grey = with_stream(ct(), stream_of(colour), uid.HTJ2KLossless)
    grey.Rows, grey.Columns, grey.BitsAllocated, grey.BitsStored, grey.HighBit = 480, 640, 8, 8, 7
    with pytest.raises(Refused) as refused:
        stored_values(read(written(grey)))
    assert refused.value.code == "size_mismatch"


@pytest.mark.parametrize(
    "stream", [b"", b"\xff", b"\xff\xd8", b"\xff" * 40, b"\xff\x4f\xff\x51", b"\xff\xd8\xff\xe0\x00\x00" * 9]
)
def test_a_stream_without_a_size_has_none(stream: bytes) -> None:
    assert shape(stream) in (None, (0, 0, 0, 0))
