import asyncio
import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import pytest
from codetect_ingest.app import api
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.dicomweb import decoding
from codetect_ingest.dicomweb.blocks import Blocks
from codetect_ingest.dicomweb.elements import encode, header_start, to_json
from codetect_ingest.dicomweb.giving import divided
from codetect_ingest.dicomweb.splicing import Splicer
from codetect_ingest.settings import Settings
from codetect_shared.problems import ServiceUnavailable
from codetect_shared.storage import StorageUnavailable
from codetect_shared.testing import running
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame

from tests.ingest.conftest import Hands
from tests.ingest.dicomweb import Web, bring, listening, parsed, parts, values
from tests.ingest.samples import SAMPLE, big, ct, written
from tests.ingest.test_importer import slices

STUDY, SERIES, SOP = "0020000D", "0020000E", "00080018"
SYNTAXES = {
    "RLELossless": ("1.2.840.10008.1.2.5", "image/dicom-rle"),
    "JPEGProcess14SV1": ("1.2.840.10008.1.2.4.70", "image/jpeg"),
    "JPEGLSLossless": ("1.2.840.10008.1.2.4.80", "image/jls"),
    "JPEG2000LosslessOnly": ("1.2.840.10008.1.2.4.90", "image/jp2"),
}
DICOM = 'multipart/related; type="application/dicom"'
EXPLICIT = f"application/dicom; transfer-syntax={uid.ExplicitVRLittleEndian}"


async def only(web: Web, path: str = "/instances") -> tuple[str, str, str]:
    """The UIDs of the one instance there is, or of the first."""
    found = await web.found(path)
    return tuple(values(found[:1], tag)[0] for tag in (STUDY, SERIES, SOP))  # type: ignore[return-value]


def at(study: str, series: str = "", instance: str = "") -> str:
    return (
        f"/studies/{study}" + (f"/series/{series}" if series else "") + (f"/instances/{instance}" if instance else "")
    )


def compressed(syntax: str) -> bytes:
    (path,) = big("dicom/transfer-syntaxes").glob(f"CTImage.dcm_{syntax}TransferSyntax_*.dcm")
    return path.read_bytes()


async def test_a_study_a_series_and_an_instance_come_as_they_are_kept(web: Web, hands: Hands) -> None:
    series = slices(3)
    await bring(web, hands, series)
    study, series_uid, first = await only(web)
    for retrieve in (
        lambda client: client.retrieve_study(study),
        lambda client: client.retrieve_series(study, series_uid),
        lambda client: list(client.iter_series(study, series_uid)),
    ):
        found = await web.call(retrieve)
        assert [ds.InstanceNumber for ds in found] == [1, 2, 3]
        assert [ds.PixelData for ds in found] == [ds.PixelData for ds in series]
        assert {(ds.StudyInstanceUID, ds.SeriesInstanceUID) for ds in found} == {(study, series_uid)}
        assert {(str(ds.PatientName), ds.PatientIdentityRemoved) for ds in found} == {("", "YES")}
    one = await web.call(lambda client: client.retrieve_instance(study, series_uid, first))
    assert (one.SOPInstanceUID, one.PixelData) == (first, series[0].PixelData)
    single = await web.get(at(study, series_uid, first), "application/dicom")
    assert single.headers["content-type"] == EXPLICIT
    assert parsed(single.content) == one
    whole = await web.get(at(study), DICOM)
    assert int(whole.headers["content-length"]) == len(whole.content)
    assert [kind for kind, _ in parts(whole)] == [
        f"application/dicom; transfer-syntax={uid.ExplicitVRLittleEndian}"
    ] * 3


async def test_instances_of_several_uploads_and_packs_come_together(web: Web, hands: Hands) -> None:
    series = slices(5)
    await bring(web, hands, [series[0], series[4]])
    await bring(web, hands, series[1:4])
    study, series_uid, _ = await only(web)
    found = await web.call(lambda client: client.retrieve_series(study, series_uid))
    assert sorted(ds.InstanceNumber for ds in found) == [1, 2, 3, 4, 5]
    told = await web.call(lambda client: client.retrieve_series_metadata(study, series_uid))
    assert values(told, "00200013") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", SYNTAXES)
async def test_compressed_images_come_as_they_are_stored_or_decoded(web: Web, hands: Hands, name: str) -> None:
    syntax, image_type = SYNTAXES[name]
    original = parsed(compressed(name))
    await bring(web, hands, [compressed(name)])
    here = at(*await only(web))
    plain = compressed("LittleEndianExplicit")

    ((kind, stored),) = parts(await web.get(here))
    assert (kind, parsed(stored).file_meta.TransferSyntaxUID) == (
        f"application/dicom; transfer-syntax={syntax}",
        syntax,
    )
    ((_, again),) = parts(await web.get(here, f"{DICOM}; transfer-syntax={syntax}"))
    assert again == stored
    for accept in (f"{DICOM}; transfer-syntax={uid.ExplicitVRLittleEndian}", EXPLICIT):
        answer = await web.get(here, accept)
        decoded = parsed(parts(answer)[0][1] if "multipart" in accept else answer.content)
        assert decoded.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
        assert np.array_equal(decoded.pixel_array, parsed(plain).pixel_array)
        assert decoded.SOPInstanceUID == parsed(stored).SOPInstanceUID

    ((kind, frame),) = parts(await web.get(f"{here}/frames/1"))
    assert kind == f"{image_type}; transfer-syntax={syntax}"
    assert frame == get_frame(parsed(stored).PixelData, 0, number_of_frames=1)
    assert (await web.get(f"{here}/frames/1", image_type)).content == frame
    ((kind, native),) = parts(await web.get(f"{here}/frames/1", 'multipart/related; type="application/octet-stream"'))
    assert native == parsed(plain).PixelData
    refused = await web.get(f"{here}/frames/1", 'multipart/related; type="image/jphc"')
    assert refused.status_code == 406
    assert refused.json()["available"][0] == f'multipart/related; type="{image_type}"'
    assert (await web.get(here, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.81")).status_code == 406
    with Image.open(BytesIO((await web.get(f"{here}/rendered", "image/png")).content)) as shown:
        assert shown.size == (original.Columns, original.Rows)


def test_frames_of_a_parametric_map_are_its_floats() -> None:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    ds.Rows, ds.Columns, ds.NumberOfFrames = 2, 3, 2
    values = np.arange(12, dtype="<f4")
    ds.FloatPixelData = values.tobytes()
    assert decoding.frames(ds, (2,), native=True) == [values[6:].tobytes()]
    with pytest.raises(Refused):
        decoding.frames(ds, (3,), native=True)


async def test_frames_and_bulkdata_are_the_image_and_nothing_else(web: Web, hands: Hands) -> None:
    (ds,) = slices(1)
    await bring(web, hands, [ds])
    study, series, instance = await only(web)
    frames = await web.call(lambda client: client.retrieve_instance_frames(study, series, instance, [1]))
    assert frames == [ds.PixelData]
    assert (
        await web.get(f"{at(study, series, instance)}/frames/1", "application/octet-stream")
    ).content == ds.PixelData
    (told,) = await web.call(lambda client: [client.retrieve_instance_metadata(study, series, instance)])
    url = told["7FE00010"]["BulkDataURI"]
    assert await web.call(lambda client: list(client.retrieve_bulkdata(url))) == [ds.PixelData]
    assert (await web.get(url.replace("7FE00010", "00100010"))).status_code == 404
    for wrong, status in (("2", 404), ("1,2", 404), ("0", 400), ("x", 400), ("1,", 400), ("-1", 400)):
        assert (await web.get(f"{at(study, series, instance)}/frames/{wrong}")).status_code == status, wrong


async def test_metadata_is_what_the_files_say_but_for_the_image(web: Web, hands: Hands) -> None:
    await bring(web, hands, (path.read_bytes() for path in sorted(SAMPLE.glob("*.dcm"))[:4]))
    study, series, _ = await only(web)
    files = await web.call(lambda client: client.retrieve_series(study, series))
    told = await web.call(lambda client: client.retrieve_series_metadata(study, series))
    assert len(told) == 4
    for ds, one in zip(files, told, strict=True):
        syntax = one.pop("00083002")
        assert syntax == {"vr": "UI", "Value": [ds.file_meta.TransferSyntaxUID]}
        bulk = one.pop("7FE00010")
        assert bulk["BulkDataURI"].endswith(f"/instances/{ds.SOPInstanceUID}/bulkdata/7FE00010")
        del ds.PixelData
        assert one == json.loads(json.dumps(ds.to_json_dict()))
    whole_study = await web.call(lambda client: client.retrieve_study_metadata(study))
    assert values(whole_study, SOP) == values(told, SOP)
    documents = parts(await web.get(f"{at(study, series)}/metadata", 'multipart/related; type="application/dicom+xml"'))
    assert len(documents) == 4
    assert all(kind == "application/dicom+xml" and b'keyword="PixelSpacing"' in body for kind, body in documents)


def test_elements_are_read_as_pydicom_reads_them() -> None:
    ds = ct(SeriesDescription="a\\b", WindowCenter=[40, -600], ImageComments="x\\y ")
    ds.AnatomicRegionSequence = [Dataset(), Dataset()]
    ds.AnatomicRegionSequence[0].CodeValue = "T-28000"
    ds.ReferencedImageSequence = []
    ds.RedPaletteColorLookupTableDescriptor = [256, 0, 16]
    ds.FrameIncrementPointer = 0x00181063
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.DataSetTrailingPadding = b"\0\1"
    data = written(ds)
    found = to_json(data, header_start(data))
    expected = json.loads(json.dumps(parsed(data).to_json_dict()))
    assert expected["00081140"].pop("Value") == [], "an empty value isn't there (PS3.18 F.2.5)"
    assert found == expected


def test_files_of_one_length_and_another_shape_get_their_identity_back_too() -> None:
    splicer = Splicer(frozenset({0x00120062}))
    put = encode({"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}})
    for series, instance in (("1.2.3.4", "1.2.3.456"), ("1.2.3.45678", "1.2.3"), ("1.2.3.4", "1.2.3.999")) * 2:
        ds = ct(SeriesInstanceUID=series, SOPInstanceUID=instance, PatientIdentityRemoved="YES")
        data = written(ds)
        start, end = header_start(data), data.index(b"\xe0\x7f\x10\x00")
        found = parsed(splicer.splice(data[:end], end - start, put) + data[end:])
        del ds.PatientIdentityRemoved
        ds.PatientName = "Doe^Jane"
        assert found == parsed(written(ds))


def test_an_identity_is_put_back_without_touching_the_rest() -> None:
    ds = ct(SOPInstanceUID="1.2.3.45", PatientIdentityRemoved="YES")
    data = written(ds)
    start = header_start(data)
    length = data.index(b"\xe0\x7f\x10\x00") - start
    original = ct(SOPInstanceUID="1.2.99", PatientName="Müller^Jörg", AccessionNumber="A1", ImageComments="odd")
    identity = original.to_json_dict()
    put = encode({tag: identity[tag] for tag in ("00080018", "00100010", "00080050", "00204000")})
    put |= encode({"00080005": {"vr": "CS", "Value": ["ISO_IR 192"]}})
    for kept in ([data], [memoryview(data)[:9], memoryview(data)[9 : start + length + 5], data[start + length + 5 :]]):
        front, image = divided(kept, start + length)
        assert front + b"".join(image) == data
    found = parsed(b"".join((Splicer(frozenset({0x00120062})).splice(front, length, put), *image)))
    assert (found.SOPInstanceUID, found.file_meta.MediaStorageSOPInstanceUID) == ("1.2.99", "1.2.99")
    assert (str(found.PatientName), found.AccessionNumber, found.ImageComments) == ("Müller^Jörg", "A1", "odd")
    assert "PatientIdentityRemoved" not in found
    assert found.PixelData == ds.PixelData
    again = parsed(written(found))
    assert found.file_meta.FileMetaInformationGroupLength == again.file_meta.FileMetaInformationGroupLength


@dataclass
class Store:
    """An object store of one object that counts what is read of it, and can be away."""

    data: bytes
    away: bool = False
    reads: list[tuple[int, int]] = field(default_factory=list)

    async def get(self, bucket: str, key: str, *, part: tuple[int, int]) -> bytes:
        await asyncio.sleep(0)
        if self.away:
            raise StorageUnavailable("away")
        self.reads.append(part)
        return self.data[part[0] : sum(part)]


async def test_blocks_are_read_once_for_all_who_ask_and_the_oldest_go() -> None:
    store = Store(bytes(range(95)))
    blocks = Blocks(store, 30, block_bytes=10)  # type: ignore[arg-type]
    found = await asyncio.gather(*(blocks.read("studies", "k", 5, 25) for _ in range(3)))
    assert set(found) == {store.data[5:25]}
    assert store.reads == [(0, 10), (10, 10), (20, 10)]
    assert await blocks.read("studies", "k", 90, 95) == store.data[90:]
    assert await blocks.read("studies", "k", 20, 21) == store.data[20:21]
    assert await blocks.read("studies", "k", 0, 1) == store.data[:1]
    assert store.reads[3:] == [(90, 10), (0, 10)]
    with pytest.raises(ServiceUnavailable):
        await blocks.read("studies", "k", 90, 96)


async def test_a_block_that_failed_is_tried_anew_and_who_leaves_takes_it_from_nobody() -> None:
    store = Store(b"abc", away=True)
    blocks = Blocks(store, 1)  # type: ignore[arg-type]
    with pytest.raises(ServiceUnavailable):
        await blocks.read("studies", "k", 0, 3)
    store.away = False
    leaving = asyncio.create_task(blocks.read("studies", "k", 0, 3))
    staying = asyncio.create_task(blocks.read("studies", "k", 0, 3))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == b"abc"
    assert store.reads == [(0, 4 * 2**20)]


async def picture(web: Web, path: str, accept: str = "image/png", **query: str) -> np.ndarray:
    answer = await web.get(path, accept, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == accept
    with Image.open(BytesIO(answer.content)) as image:
        return np.asarray(image).astype(int)


async def test_an_image_is_shown_through_a_window(web: Web, hands: Hands) -> None:
    (ds,) = slices(1)
    hu = ds.pixel_array.astype(int) - 1024
    await bring(web, hands, [ds])
    here = f"{at(*await only(web))}/rendered"
    lung = np.clip(np.rint(((hu - (-600 - 0.5)) / 1499 + 0.5) * 255), 0, 255)
    assert np.abs(await picture(web, here) - lung).max() <= 1
    exact = np.clip(((hu + 900) / 100 + 0.5) * 255, 0, 255)
    assert np.abs(await picture(web, here, window="-900,100,linear-exact") - exact).max() <= 1
    sigmoid = 255 / (1 + np.exp(-4 * (hu + 900) / 100))
    assert np.abs(await picture(web, here, window="-900,100,SIGMOID") - sigmoid).max() <= 1
    assert (await picture(web, here, viewport="8,8")).shape == (8, 8)
    assert np.abs(await picture(web, here, viewport="4,4,2,2,4,4") - lung[2:6, 2:6]).max() <= 1
    assert np.abs(await picture(web, here, viewport="4,4,2,2,-4,4") - lung[2:6, 5:1:-1]).max() <= 1
    coarse, fine = [await web.get(here, "image/jpeg", params={"quality": q}) for q in ("1", "100")]
    assert len(coarse.content) < len(fine.content)
    for wrong in (
        "window=a,b",
        "window=1,0,linear",
        "window=1,2,cubic",
        "viewport=0,0",
        "viewport=9999,1",
        "quality=0",
    ):
        assert (await web.get(f"{here}?{wrong}")).status_code == 400, wrong
    for wrong in (
        "viewport=4,4,0,0,99,99",
        "viewport=1",
        "window=nan,1,linear",
        "quality=1.5",
        "viewport=4,4,-1,0,2,2",
    ):
        assert (await web.get(f"{here}?{wrong}")).status_code == 400, wrong
    assert (await web.get(here, "image/gif")).status_code == 406


async def test_the_files_own_window_comes_first_and_white_may_be_low(web: Web, hands: Hands) -> None:
    first, second = slices(2, WindowCenter=-900, WindowWidth=100)
    second.PhotometricInterpretation = "MONOCHROME1"
    await bring(web, hands, [first, second])
    study, series, _ = await only(web)
    uids = values(await web.found(at(study, series) + "/instances"), SOP)
    hu = first.pixel_array.astype(int) - 1024
    own = np.clip(np.rint(((hu + 900.5) / 99 + 0.5) * 255), 0, 255)
    assert np.abs(await picture(web, f"{at(study, series, uids[0])}/rendered") - own).max() <= 1
    assert np.abs(await picture(web, f"{at(study, series, uids[1])}/rendered") - (255 - own)).max() <= 1


async def test_a_series_is_shown_whole_or_by_its_middle(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(3))
    study, series, _ = await only(web)
    for here in (at(study), at(study, series)):
        several = parts(await web.get(f"{here}/rendered", 'multipart/related; type="image/png"'))
        assert [kind for kind, _ in several] == ["image/png"] * 3
        assert (await picture(web, f"{here}/rendered", "image/jpeg")).shape == (16, 16)
        assert (await picture(web, f"{here}/thumbnail", "image/jpeg")).shape == (128, 128)
    uids = values(await web.found("/instances"), SOP)
    for here in (at(study, series, uids[0]), f"{at(study, series, uids[0])}/frames/1"):
        assert (await picture(web, f"{here}/thumbnail", "image/jpeg", viewport="32,16")).shape == (16, 16)
        assert (await picture(web, f"{here}/rendered", "image/jpeg")).shape == (16, 16)
    assert (await web.get(f"{at(study, series, uids[0])}/frames/2/rendered")).status_code == 404
    assert (await web.call(lambda client: client.retrieve_instance_rendered(study, series, uids[0])))[:2] == b"\xff\xd8"


async def test_what_is_not_there_is_not_found_and_what_is_no_uid_is_refused(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(1))
    study, series, instance = await only(web)
    below = ("", "/metadata", "/rendered", "/thumbnail")
    for path in (at("1.2.3"), at(study, "1.2.3"), at(study, series, "1.2.3"), at(series, study, instance)):
        assert {(await web.get(path + end)).status_code for end in below} == {404}
        assert {(await web.elsewhere().get(at(study, series, instance) + end)).status_code for end in below} == {404}
    for path in (at("x"), at(study, "1..2"), at(study, series, "1." * 33 + "1"), at("1.2%00"), at("1.2.3%27--")):
        assert {(await web.get(path + end)).status_code for end in below} == {400}, path
    assert (await web.get(at(study) + "/frames/1")).status_code == 404
    for accept in ("text/html", "application/zip", "image/png", "application/dicom;q=0"):
        assert (await web.get(at(study, series, instance), accept)).status_code == 406
    await bring(web, hands, slices(2))
    two = next(one for one in await web.found("/studies") if one["00201208"]["Value"] == [2])
    assert (await web.get(at(two[STUDY]["Value"][0]), "application/dicom")).status_code == 406


async def test_while_the_store_is_away_that_is_said_and_searches_go_on(
    web: Web, hands: Hands, settings: Settings
) -> None:
    await bring(web, hands, slices(1))
    here = at(*await only(web))
    cut_off = settings.model_copy(update={"storage_url": "http://127.0.0.1:9"})
    app = api(cut_off)
    async with running(app, web.clinic.tokens), listening(app) as url:
        away = Web(web.clinic, url)
        for path in (here, f"{here}/metadata", f"{here}/frames/1", f"{here}/rendered", f"{here}/thumbnail"):
            answer = await away.get(path)
            assert answer.status_code == 503, path
            assert answer.headers["retry-after"]
        assert len(await away.found("/studies")) == 1


async def test_who_goes_in_the_middle_leaves_nothing_running(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(12, Rows=512, Columns=512, PixelData=bytes(2 * 512 * 512)))
    study, *_ = await only(web)
    before = asyncio.all_tasks()
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(3):
            async with client.stream("GET", f"{web.url}/dicomweb{at(study)}", headers=web.headers) as answer:
                assert answer.status_code == 200
                await anext(answer.aiter_raw())
    for _ in range(100):
        left = {task for task in asyncio.all_tasks() - before if "Storage.get" in repr(task.get_coro())}
        if not left:
            break
        await asyncio.sleep(0.05)
    assert not left
    assert len(parts(await web.get(at(study)))) == 12


async def test_an_object_that_is_gone_ends_in_not_found(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(1))
    here = at(*await only(web))
    await web.clinic.ingest.storage.remove("studies", await web.clinic.keys("studies"))
    for end in ("", "/metadata", "/frames/1", "/rendered"):
        assert (await web.get(here + end)).status_code == 404


async def test_what_the_standard_client_asks_for_by_media_type_is_given(web: Web, hands: Hands) -> None:
    await bring(web, hands, slices(1))
    study, series, instance = await only(web)

    def retrieve(client: DICOMwebClient) -> Any:
        wanted = (("application/dicom", "*"), ("application/dicom", str(uid.ExplicitVRLittleEndian)))
        found = client.retrieve_instance(study, series, instance, media_types=wanted[1:])
        frames = client.retrieve_instance_frames(
            study, series, instance, [1], media_types=("application/octet-stream",)
        )
        rendered = client.retrieve_series_rendered(study, series, media_types=("image/png",))
        return found, frames, rendered

    found, frames, rendered = await web.call(retrieve)
    assert frames == [found.PixelData]
    assert rendered[:4] == b"\x89PNG"
