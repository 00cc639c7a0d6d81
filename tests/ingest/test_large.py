"""Files that are too large to be held: through an upload, and through STOW-RS."""

import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codetect_ingest.assembly import sort_out
from codetect_ingest.children import Children, Source, size_of
from codetect_ingest.dicom.reading import LARGE
from codetect_ingest.dicom.refusals import Refused
from codetect_ingest.packs import Found
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.uid import MRImageStorage

from tests.ingest.conftest import Clinic, Hands, new_uids
from tests.ingest.samples import ct, enhanced, images, streams, written
from tests.ingest.test_importer import received, scratch, slices, volume
from tests.ingest.test_kept import wants
from tests.ingest.test_stow import multipart, store

# fmt: off
OWN = (
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID", "InstanceNumber", "ImagePositionPatient",
)
# fmt: on


def noise(frames: int, size: int) -> np.ndarray:
    """Frames that no compression makes small."""
    return np.random.default_rng(7).integers(-1000, 3000, (frames, size, size), "<i2")


def compressed(frames: int, promised: int, size: int = 512) -> bytes:
    """An Enhanced CT of JPEG-LS frames, that says it has more or fewer."""
    ds = enhanced(promised, 16, Rows=size, Columns=size, **new_uids())
    ds.PixelData = encapsulate(streams(noise(4, size), uid.JPEGLSLossless) * (frames // 4))
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = uid.JPEGLSLossless
    return written(ds)


async def test_an_enhanced_ct_of_600_frames_is_imported_whole(clinic: Clinic, hands: Hands, tmp_path: Path) -> None:
    upload = await clinic.submit([written(enhanced(600, 512, **new_uids()))])
    await hands.run()
    shown = await clinic.show(upload)
    assert [(file["state"], file["code"]) for file in shown["files"]] == [("accepted", None)]
    ((event,), (study,)) = await received(clinic), shown["studies"]
    assert (study["instances"], event["series"][0]["slices"]) == (600, 600)
    hu = await volume(clinic, event["series"][0]["volume_key"], tmp_path)
    assert np.array_equal(hu, images(600, 512) - 1024)


@pytest.mark.parametrize("promised", [76, 84])
async def test_nothing_stays_of_a_file_that_lies_about_its_frames(
    clinic: Clinic, hands: Hands, promised: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie = compressed(80, promised)
    assert len(lie) > LARGE
    left: list[str] = []

    def look(found: Mapping[int, list[Found]]) -> dict[int, Refused]:
        left.extend(scratch())
        return sort_out(found)

    monkeypatch.setattr("codetect_ingest.importer.sort_out", look)
    upload = await clinic.submit([lie, written(ct(**new_uids()))])
    await hands.run()
    shown = await clinic.show(upload)
    assert [(file["state"], file["code"]) for file in shown["files"]] == [
        ("refused", "size_mismatch"),
        ("accepted", None),
    ]
    assert sorted(left) == ["000002-0000.chunk", "000002-0000.dcm"]


@pytest.mark.parametrize("known", [False, True])
async def test_putting_a_series_together_takes_as_much_memory_however_long_it_is(
    clinic: Clinic, hands: Hands, known: bool
) -> None:
    """Slices that wait, or those of the version before; twice as many are 40 MB more."""
    image = noise(1, 512).tobytes()
    peaks = []
    for count in (80, 160):
        series = slices(count + 1)
        files = [written(ct(512, PixelData=image, **{k: one[k].value for k in OWN})) for one in series]
        await store(clinic, multipart(files[:-1]))
        ((study_id,),) = await clinic.sql(
            "SELECT id FROM studies WHERE facility_id = :f ORDER BY created_at DESC LIMIT 1", f=clinic.facility_id
        )
        if known:
            await hands.assemble(study_id)
            await store(clinic, multipart(files[-1:]))
        tracemalloc.start()
        try:
            await hands.assemble(study_id)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        events = await received(clinic)
        assert events[-1]["series"][0]["slices"] == count + known
    assert peaks[1] < peaks[0] + 30 * len(image)


async def test_a_large_part_of_a_request_is_stored(clinic: Clinic, hands: Hands) -> None:
    data = compressed(80, 80)
    answer = await store(clinic, multipart([data, written(ct(**new_uids()))]))
    assert answer.status_code == 200, answer.text
    found = await clinic.sql("SELECT count(*) FROM instances WHERE facility_id = :f", f=clinic.facility_id)
    assert found[0][0] == 81
    assert not scratch()


async def test_a_large_file_has_no_name_while_it_is_read(
    clinic: Clinic, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, read, prepare = list[str](), list[int](), Children.prepare

    def look(children: Children, source: Source, key: bytes, take: Any) -> Any:
        named.extend(scratch())
        read.append(size_of(source))
        return prepare(children, source, key, take)

    monkeypatch.setattr(Children, "prepare", look)
    data = compressed(80, 80)
    await clinic.submit([data])
    await hands.run()
    assert (await store(clinic, multipart([data]))).status_code == 200
    assert (read, named) == ([len(data)] * 2, [])


async def test_a_part_that_is_too_large_is_refused_and_takes_no_room(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinic.ingest.settings, "max_file_bytes", LARGE + 2**20)
    answer = await store(clinic, multipart([bytes(LARGE + 2**21), written(ct(**new_uids()))]))
    assert answer.status_code == 202
    sizes = await clinic.sql(
        "SELECT size FROM upload_files WHERE facility_id = :f ORDER BY number", f=clinic.facility_id
    )
    assert sizes[0][0] == 0


@pytest.mark.parametrize(("mib", "state"), [(40, "kept"), (65, "refused")])
async def test_a_large_file_that_is_not_analysed_is_kept_if_it_can_be_sealed(
    clinic: Clinic, hands: Hands, mib: int, state: str
) -> None:
    await wants(clinic)
    mr = written(ct(SOPClassUID=MRImageStorage, Modality="MR", PixelData=bytes(mib * 2**20), **new_uids()))
    upload = await clinic.submit([mr])
    await hands.run()
    assert [(file["state"], file["code"]) for file in (await clinic.show(upload))["files"]] == [(state, "not_ct")]
    lengths = await clinic.sql("SELECT length FROM instances WHERE facility_id = :f", f=clinic.facility_id)
    assert [row.length > len(mr) for row in lengths] == [True] * (state == "kept")
