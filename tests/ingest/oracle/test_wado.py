"""WADO-RS: files, frames, metadata, pictures, and what is answered where there are none."""

import io
import string
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pydicom
import pytest
from httpx import Response
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset

from tests.ingest.dicomweb import parsed
from tests.ingest.oracle.both import SOP, Both
from tests.ingest.oracle.differences import DIFFERENCES
from tests.ingest.oracle.studies import ROOT, sent

E = f"{ROOT}.{ord('E')}"
STUDY, SERIES = f"/studies/{E}", f"/studies/{E}/series/{E}.1"
INSTANCE = f"{SERIES}/instances/{E}.1.1"
DICOM = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'
XML = 'multipart/related; type="application/dicom+xml"'
STORED = f"{DICOM}; transfer-syntax=*"
NATIVE = f"{DICOM}; transfer-syntax={uid.ExplicitVRLittleEndian}"
JPEG_2000 = 4  # where it is among the transfer syntaxes
COMPARED = [letter for letter in sent() if letter != "F"]
REMOVED = {"00104000", "00101001", "00090010", "00091001"}  # PatientComments, OtherPatientNames, the private block
PIXELS = "7FE00010"


def at(letter: str, number: int = 0) -> str:
    ds = sent()[letter].files[number]
    return f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}"


def short(text: str) -> str:
    return text.replace(ROOT, "ROOT")


def parts(answer: Response) -> list[tuple[str, bytes]]:
    """The parts of a multipart answer, content type and bytes; RFC 2387 is kept to the letter."""
    kind = answer.headers["content-type"]
    assert answer.status_code == 200, answer.text
    assert kind.startswith("multipart/related;"), kind
    boundary = kind.partition("boundary=")[2].strip('"').encode()
    assert 0 < len(boundary) <= 70
    before, *found, end = answer.content.split(b"--" + boundary)
    assert before.strip() == b""
    assert end.strip() == b"--"
    told = []
    for part in found:
        assert part.startswith(b"\r\n")
        assert part.endswith(b"\r\n")
        head, _, body = part[2:-2].partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        told.append((headers["Content-Type"], body))
    return told


def files(answer: Response) -> dict[str, Dataset]:
    return {ds.SOPInstanceUID: ds for ds in (parsed(body) for _, body in parts(answer))}


def shape(answer: Response) -> str:
    """Status and kind of an answer in a few words: what of, how many, in which transfer syntaxes."""
    kind = answer.headers.get("content-type", "")
    if answer.status_code != 200:
        return str(answer.status_code)
    if not kind.startswith("multipart/"):
        return kind.partition(";")[0]
    found = parts(answer)
    kinds = {one.partition(";")[0] for one, _ in found}
    syntaxes = {syntax for one, body in found if (syntax := _syntax(one, body))}
    return " ".join([f"{len(found)} x", *sorted(kinds), *sorted(syntaxes)])


def _syntax(kind: str, body: bytes) -> str:
    if kind.startswith("application/dicom") and body[128:132] == b"DICM":
        return str(parsed(body).file_meta.TransferSyntaxUID)
    return kind.partition("transfer-syntax=")[2]


@pytest.mark.parametrize("letter", COMPARED)
async def test_a_studys_files_say_the_same_and_show_the_same(both: Both, letter: str) -> None:
    study = f"/studies/{sent()[letter].study_uid}"
    answers = await both.get(study, STORED)
    ours, theirs = files(answers.ours), files(answers.theirs)
    assert ours.keys() == theirs.keys() == {ds.SOPInstanceUID for ds in sent()[letter].files}
    found = set()
    for name in ours:
        found |= compared(ours[name].to_json_dict(), theirs[name].to_json_dict())
        assert ours[name].file_meta.TransferSyntaxUID == theirs[name].file_meta.TransferSyntaxUID or (
            theirs[name].file_meta.TransferSyntaxUID in (uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian)
        ), "docs/dicom-conformance.md 4.1: native files are kept as Explicit VR Little Endian"
        if "PixelData" in theirs[name]:
            assert np.array_equal(ours[name].pixel_array, theirs[name].pixel_array)
    assert found == named(letter)
    for level in (f"{study}/series/{sent()[letter].files[0].SeriesInstanceUID}", at(letter)):
        below = await both.get(level, STORED)
        assert files(below.ours).keys() == files(below.theirs).keys()


def named(letter: str) -> set[str]:
    """How a study's data sets differ: not at all where files are kept whole."""
    if letter == "X":
        return set()
    return {"completed", *(["UTF-8"] if letter != "U" else []), *(["removed"] if letter == "E" else [])}


def compared(ours: dict[str, Any], theirs: dict[str, Any]) -> set[str]:
    """The names of what differs between two data sets in DICOM JSON; anything without a name fails."""
    found = set()
    for tag in (ours.keys() | theirs.keys()) - {PIXELS}:
        mine, other = ours.get(tag), theirs.get(tag)
        if tag == "00080005" and mine != other:
            assert mine["Value"] == ["ISO_IR 192"]
            found.add("UTF-8")
        elif mine is None:
            assert tag in REMOVED, (tag, other)
            found.add("removed")
        elif other is None:
            assert "Value" not in mine or (tag, mine["Value"]) == ("00281054", ["HU"]), (tag, mine)
            found.add("completed")
        else:
            assert mine == other, tag
    return found


async def test_an_enhanced_ct_comes_as_the_images_that_it_holds(both: Both) -> None:
    assert "Enhanced CT" in DIFFERENCES
    (whole,) = sent()["F"].files
    answers = await both.get(f"/studies/{whole.StudyInstanceUID}", STORED)
    (theirs,) = files(answers.theirs).values()
    ours = sorted(files(answers.ours).values(), key=lambda ds: ds.InstanceNumber)
    assert [ds.InstanceNumber for ds in ours] == [1, 2, 3]
    assert {(ds.StudyInstanceUID, ds.PatientID, str(ds.PatientName)) for ds in ours} == {
        (theirs.StudyInstanceUID, theirs.PatientID, str(theirs.PatientName))
    }
    for ds, frame in zip(ours, theirs.pixel_array, strict=True):
        assert np.array_equal(ds.pixel_array, frame)
    missing = await both.get(at("F"))
    assert missing.statuses == (404, 200)


@pytest.mark.parametrize("number", range(len(sent()["T"].files)))
async def test_each_transfer_syntax_is_decoded_alike(both: Both, number: int) -> None:
    one = await both.get(at("T", number), NATIVE)
    frames = await both.get(f"{at('T', number)}/frames/1", OCTETS)
    sent_values = sent()["T"].files[number].pixel_array
    ((_, ours),) = parts(one.ours)
    ((_, frame),) = parts(frames.ours)
    assert parsed(ours).file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    assert np.array_equal(parsed(ours).pixel_array, sent_values)
    assert np.array_equal(np.frombuffer(frame, "<i2").reshape(64, 64), sent_values)
    if number == JPEG_2000:
        assert "JPEG 2000" in DIFFERENCES
        assert (one.theirs.status_code, frames.theirs.status_code) == (500, 500)
        return
    ((_, theirs),) = parts(one.theirs)
    ((_, other),) = parts(frames.theirs)
    assert parsed(theirs).PixelData == parsed(ours).PixelData
    assert other == frame


@pytest.mark.parametrize(
    ("number", "kind"), [(2, "image/dicom-rle"), (3, "image/jls"), (JPEG_2000, "image/jp2")], ids=["RLE", "JLS", "J2K"]
)
async def test_stored_frames_are_the_same_streams(both: Both, number: int, kind: str) -> None:
    answers = await both.get(f"{at('T', number)}/frames/1", f'multipart/related; type="{kind}"')
    assert shape(answers.ours) == shape(answers.theirs)
    ((_, ours),), ((_, theirs),) = parts(answers.ours), parts(answers.theirs)
    if number == JPEG_2000:
        assert "codestreams" in DIFFERENCES
        assert len(ours) < len(theirs)
        assert np.array_equal(np.asarray(_opened(ours)), np.asarray(_opened(theirs)))
    else:
        assert ours.rstrip(b"\0") == theirs.rstrip(b"\0")


def _opened(stream: bytes) -> Image.Image:
    return Image.open(io.BytesIO(stream))


@pytest.mark.parametrize("frames", ["1", "2", "1,2", "2,1", "1,1"])
async def test_frames_come_as_they_are_listed(both: Both, frames: str) -> None:
    answers = await both.get(f"{at('X', 2)}/frames/{frames}")
    ours, theirs = parts(answers.ours), parts(answers.theirs)
    assert [body for _, body in ours] == [body for _, body in theirs]
    assert [kind for kind, _ in ours] == [kind for kind, _ in theirs]
    assert len(ours) == len(frames.split(","))


EXPLICIT = "application/dicom 1.2.840.10008.1.2.1"
SIX, ONE = f"6 x {EXPLICIT}", f"1 x {EXPLICIT}"
JLS, RLE = at("T", 3), at("T", 2)
JLS_FRAME, OCTET_FRAME = "1 x image/jls 1.2.840.10008.1.2.4.80", f"1 x application/octet-stream {EXPLICIT[18:]}"
NEGOTIATED: list[tuple[str, str | None, str, str, str]] = [
    # address, Accept, the difference if there is one, what ours gives, what Orthanc gives
    *((STUDY, accept, "", SIX, SIX) for accept in (None, "*/*", "multipart/related", DICOM, STORED, NATIVE)),
    *((STUDY, accept, "", SIX, SIX) for accept in (DICOM.replace('"', ""), "multipart/related; transfer-syntax=*")),
    (STUDY, "text/html, */*;q=0.8", "several media types", SIX, "400"),
    *((STUDY, accept, "406", "406", "400") for accept in ("application/nope", "nope", "multipart/nope")),
    (STUDY, "multipart/related; type=application/nope", "406", "406", "400"),
    (STUDY, f"{DICOM}; transfer-syntax=nope", "406", "406", "400"),
    (STUDY, "application/dicom", "406", "406", "400"),
    (INSTANCE, "application/dicom", "one by itself", "application/dicom", "400"),
    (INSTANCE, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2", "other syntaxes", "406", f"1 x {EXPLICIT[:-2]}"),
    (INSTANCE, f"{DICOM}; transfer-syntax={uid.JPEGLosslessSV1}", "other syntaxes", "406", f"{ONE[:-1]}4.70"),
    (JLS, None, "as stored", f"{ONE[:-1]}4.80", ONE),
    (JLS, STORED, "", f"{ONE[:-1]}4.80", f"{ONE[:-1]}4.80"),
    (JLS, NATIVE, "", ONE, ONE),
    (f"{JLS}/frames/1", None, "as stored", JLS_FRAME, OCTET_FRAME),
    (f"{JLS}/frames/1", "application/octet-stream", "one by itself", "application/octet-stream", "400"),
    (f"{JLS}/frames/1", 'multipart/related; type="image/jp2"', "406", "406", "500"),
    (f"{RLE}/frames/1", 'multipart/related; type="image/jls"', "other syntaxes", "406", JLS_FRAME),
    (at("T", JPEG_2000), None, "JPEG 2000", f"{ONE[:-1]}4.90", "500"),
    (f"{at('T', JPEG_2000)}/rendered", None, "JPEG 2000", "image/jpeg", "400"),
    *(
        (f"{STUDY}/metadata", accept, "", "application/dicom+json", "application/dicom+json")
        for accept in (
            None, "application/json", "application/dicom+json", "application/json, application/dicom+json",
            "toto, application/dicom+json", "application/json, tata", "application/dicom+xml, application/json",
            "image/webp, */*;q=0.8, text/html, application/xhtml+xml, application/xml;q=0.9",
            "text/html, image/gif, image/jpeg, */*; q=.2, */*; q=.2",
        )
    ),
    *(
        (f"{STUDY}/metadata", accept, "", "6 x application/dicom+xml", "6 x application/dicom+xml")
        for accept in (XML, XML.replace('"', ""))
    ),
    *((f"{STUDY}/metadata", accept, "406", "406", "400") for accept in ("toto", "application/nope", "toto, tata")),
    (f"{STUDY}/metadata", 'multipart/related; type="application/nope"', "406", "406", "400"),
    (f"{STUDY}/metadata", "multipart/related", "multipart/related", "6 x application/dicom+xml", "400"),
    (f"{STUDY}/metadata", f"{XML}; transfer-syntax=nope", "multipart/related", "6 x application/dicom+xml", "400"),
    *(
        (f"{below}/rendered", accept, "", kind, kind)
        for below in (STUDY, SERIES, INSTANCE, f"{INSTANCE}/frames/1", at("X", 2))
        for accept, kind in ((None, "image/jpeg"), ("image/jpeg", "image/jpeg"), ("image/png", "image/png"))
    ),
    (f"{INSTANCE}/rendered", "image/gif", "406", "406", "400"),
    (f"{at('X', 1)}/rendered", None, "406", "406", "400"),
    *((f"{below}/thumbnail", None, "thumbnails", "image/jpeg", "404") for below in (STUDY, SERIES, INSTANCE)),
    (f"{INSTANCE}/bulkdata/{PIXELS}", None, "bulkdata", OCTET_FRAME, "404"),
    *(
        (f"{INSTANCE}/bulk/{tag}", None, "bulkdata", "404", "1 x application/octet-stream")
        for tag in (PIXELS, "00100010")
    ),
    *((f"{INSTANCE}/frames/{frames}", None, "no such frame", "404", "400") for frames in ("2", "1,2")),
    *((f"{INSTANCE}/frames/{frames}", None, "", "400", "400") for frames in ("0", "x", "-1", "1.5")),
    (f"{at('X', 2)}/frames/3", None, "no such frame", "404", "400"),
    *(
        (path, None, "no UID", "400", "404")
        for path in ("/studies/nope", "/studies/nope/metadata", f"{STUDY}/series/x")
    ),
    *(
        (path, None, "", "404", "404")
        for path in (
            "/nope", "/studies/1.2.3", "/studies/1.2.3/metadata", "/studies/1.2.3/rendered", f"{STUDY}/nope",
            f"{STUDY}/series/1.2.3", f"{STUDY}/series/1.2.3/metadata", f"{SERIES}/instances/1.2.3",
            f"{SERIES}/instances/1.2.3/metadata", f"{SERIES}/instances/1.2.3/frames/1", f"{INSTANCE}/frames/1/nope",
            f"{STUDY}/series/{E}.2/instances/{E}.1.1", f"/studies/1.2.3/series/{E}.1/instances/{E}.1.1/metadata",
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "accept", "name", "ours", "theirs"), NEGOTIATED, ids=lambda one: short(str(one)).replace("/", "|")
)
async def test_what_is_accepted_is_given(
    both: Both, path: str, accept: str | None, name: str, ours: str, theirs: str
) -> None:
    assert name in DIFFERENCES if name else ours == theirs
    answers = await both.get(path, accept)
    assert (shape(answers.ours), shape(answers.theirs)) == (ours, theirs)


@pytest.mark.parametrize("letter", COMPARED)
async def test_metadata_is_the_same(both: Both, letter: str) -> None:
    answers = await both.get(f"/studies/{sent()[letter].study_uid}/metadata")
    ours, theirs = ({one[SOP]["Value"][0]: one for one in answer.json()} for answer in (answers.ours, answers.theirs))
    assert ours.keys() == theirs.keys()
    found = set()
    for name, one in ours.items():
        syntax = one.pop("00083002")["Value"]
        assert "00083002" not in theirs[name], "AvailableTransferSyntaxUID"
        if PIXELS in one and PIXELS not in theirs[name]:
            assert uid.UID(syntax[0]).is_encapsulated
            found.add("compressed metadata")
        await links(both, one, theirs[name])
        found |= compared(one, theirs[name])
    assert found == named(letter) | ({"compressed metadata"} if letter == "T" else set())


async def links(both: Both, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Where the data of what is long lies: the same data in both places. They are taken off."""
    for tag, attribute in list(ours.items()):
        if "BulkDataURI" not in attribute:
            continue
        del ours[tag]
        other = theirs.pop(tag, None)
        path = attribute["BulkDataURI"].partition("/dicomweb")[2]
        mine = await both.get(path, OCTETS)
        assert len(parts(mine.ours)) == 1
        if other:
            assert attribute["vr"] == other["vr"]
            there = await both.get(other["BulkDataURI"].partition("/dicom-web")[2])
            assert [body for _, body in parts(mine.ours)] == [body for _, body in parts(there.theirs)]


@pytest.mark.parametrize("letter", ["E", "Y", "O", "X"])
async def test_xml_says_what_json_says_in_both(both: Both, letter: str) -> None:
    answers = await both.get(f"/studies/{sent()[letter].study_uid}/metadata", XML)
    told = []
    for answer in (answers.ours, answers.theirs):
        found = {}
        for _, document in parts(answer):
            attributes = read(ElementTree.fromstring(document))
            found[attributes[SOP][1][0]] = attributes
        told.append(found)
    ours, theirs = told
    assert ours.keys() == theirs.keys()
    for name, attributes in theirs.items():
        for tag, attribute in attributes.items():
            if tag not in REMOVED and tag not in ("00080005", PIXELS):
                assert ours[name][tag] == attribute, tag


def read(node: ElementTree.Element) -> dict[str, Any]:
    """Attributes of the Native DICOM Model, VR and values by tag; numbers as precise as Orthanc writes them."""
    found = {}
    for attribute in node:
        values: list[Any] = []
        for value in attribute:
            kind = value.tag.rpartition("}")[2]
            if kind == "Item":
                values.append(read(value))
            elif kind == "PersonName":
                values += [
                    (*(part.tag.rpartition("}")[2] for part in (writing, leaf)), leaf.text)
                    for writing in value
                    for leaf in writing
                    if leaf.text
                ]
            elif kind == "Value":
                text = value.text or ""
                number = attribute.get("vr") in ("DS", "IS", "US", "FD", "FL") and text.strip(string.whitespace)
                values.append(float(np.float32(text)) if number else text)
        found[str(attribute.get("tag"))] = (attribute.get("vr"), [value for value in values if value != ""])
    return found


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("window=40,400,linear", ""), ("window=-600,1500,linear", ""), ("window=40,400,sigmoid", ""),
        ("window=-900,200,linear", ""), ("window=-900,200,linear-exact", "linear-exact"),
    ],
)  # fmt: skip
async def test_windows_show_the_same_greys(both: Both, query: str, name: str) -> None:
    answers = await both.get(f"{INSTANCE}/rendered", "image/png", query)
    ours, theirs = (np.asarray(_opened(answer.content)).astype(int) for answer in (answers.ours, answers.theirs))
    assert ours.shape == theirs.shape
    apart = int(np.abs(ours - theirs).max())
    if name:
        assert name in DIFFERENCES
        assert apart > 100
    else:
        assert apart <= 1, "rounding"


async def test_colours_are_the_same(both: Both) -> None:
    for frame in (1, 2):
        answers = await both.get(f"{at('X', 2)}/frames/{frame}/rendered", "image/png")
        ours, theirs = (np.asarray(_opened(answer.content)) for answer in (answers.ours, answers.theirs))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("query", "statuses", "name"),
    [
        ("window=40,400,nope", (400, 400), ""), ("window=40", (400, 400), ""), ("window=x,y,linear", (400, 400), ""),
        ("window=40,0,linear", (400, 200), "nonsense"), ("viewport=8,8", (200, 200), ""),
        ("viewport=8,8,0,0,16,16", (200, 200), ""), ("viewport=8", (400, 400), ""), ("quality=0", (400, 400), ""),
        ("quality=50", (200, 200), ""), ("quality=101", (400, 400), ""),
        ("viewport=8,8,0,0,32,32", (400, 200), "nonsense"),
    ],
)  # fmt: skip
async def test_parameters_of_pictures_are_understood_alike(
    both: Both, query: str, statuses: tuple[int, int], name: str
) -> None:
    answers = await both.get(f"{INSTANCE}/rendered", query=query)
    assert answers.statuses == statuses
    assert (statuses[0] != statuses[1]) == bool(name)
    if answers.statuses == (200, 200):
        assert _opened(answers.ours.content).size == _opened(answers.theirs.content).size


async def test_pictures_are_as_large_as_they_fit_into_the_viewport(both: Both) -> None:
    assert "viewport" in DIFFERENCES
    for viewport, ours, theirs in (
        ("8,4", (4, 4), (8, 4)),
        ("32,8", (8, 8), (32, 8)),
        ("128,128", (128,) * 2, (128,) * 2),
    ):
        answers = await both.get(f"{INSTANCE}/rendered", query=f"viewport={viewport}")
        assert (_opened(answers.ours.content).size, _opened(answers.theirs.content).size) == (ours, theirs)


async def test_results_can_be_read_by_pydicom_alike(both: Both) -> None:
    """What one file of each gives, byte by byte: only a file that is kept whole is the very same."""
    for number in range(3):
        answers = await both.get(at("X", number), STORED)
        ((_, ours),), ((_, theirs),) = parts(answers.ours), parts(answers.theirs)
        assert ours == theirs
        assert pydicom.dcmread(io.BytesIO(ours)).SOPInstanceUID == sent()["X"].files[number].SOPInstanceUID
