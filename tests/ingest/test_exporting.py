import asyncio
import csv
import io
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pydicom
import pytest
from codetect_ingest import exporting, querying, tables
from codetect_ingest.dicomweb.problems import NothingThere
from codetect_ingest.exporting import View
from codetect_ingest.retention import retain
from codetect_ingest.zipping import Zip
from codetect_shared.problems import ServiceUnavailable
from codetect_shared.tokens import Principal, Role
from pydicom.dataset import Dataset

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.lives import actions, asking, change_settings, keep_study, problem
from tests.ingest.samples import SAMPLE, ct, written
from tests.ingest.test_importer import Away, bodies, slices
from tests.ingest.test_kept import scout_of


def doctor(clinic: Clinic) -> dict[str, str]:
    return asking(clinic, Role.MEMBER, "identity")


def files(answer: httpx.Response) -> dict[str, Dataset]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()}


async def table(clinic: Clinic, headers: dict[str, str] | None = None, **query: Any) -> list[dict[str, str]]:
    answer = await clinic.ask("GET", "/studies/export", params=query, headers=headers or {})
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_a_study_comes_back_as_a_zip_of_clean_files(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(path.read_bytes() for path in sorted(SAMPLE.glob("*.dcm")))
    await hands.run()
    study_id = (await clinic.show(upload))["studies"][0]["study_id"]
    answer = await clinic.ask("GET", f"/studies/{study_id}/export")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{study_id}.zip"'
    found = files(answer)
    assert sorted(found) == [f"{study_id}/001/{n:05}.dcm" for n in range(1, 46)]
    heights = [found[name].ImagePositionPatient[2] for name in sorted(found)]
    assert heights == sorted(heights)
    assert {ds.StudyInstanceUID[:5] for ds in found.values()} == {"2.25."}
    source = pydicom.dcmread(SAMPLE / "0001.dcm")
    same = [ds for ds in found.values() if ds.ImagePositionPatient[2] == source.ImagePositionPatient[2]]
    assert np.array_equal(
        np.where(source.pixel_array == -2000, 0, source.pixel_array),
        np.where(same[0].pixel_array == -2000, 0, same[0].pixel_array),
    )
    assert await actions(clinic) == [("study.export", study_id)]


async def test_the_original_view_is_what_was_sent(clinic: Clinic, hands: Hands) -> None:
    sent = slices(3, PatientName="CANARY^Name", PatientID="CANARYID", AccessionNumber="CANARYACC", StudyDate="20200301")
    upload = await clinic.submit(bodies(sent))
    await hands.run()
    study_id = (await clinic.show(upload))["studies"][0]["study_id"]
    clean = await clinic.ask("GET", f"/studies/{study_id}/export")
    assert b"CANARY" not in clean.content
    answer = await clinic.ask("GET", f"/studies/{study_id}/export?view=original", headers=doctor(clinic))
    found = {ds.SOPInstanceUID: ds for ds in files(answer).values()}
    assert found.keys() == {ds.SOPInstanceUID for ds in sent}
    for ds in sent:
        back = found[ds.SOPInstanceUID]
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID",
                        "AccessionNumber", "StudyDate", "PatientBirthDate"):  # fmt: skip
            assert back[keyword].value == ds[keyword].value, keyword
        assert back.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert "PatientIdentityRemoved" not in back
        assert np.array_equal(back.pixel_array, ds.pixel_array)
    assert [action for action, _ in await actions(clinic)] == ["study.export", "study.export"]
    views = await clinic.sql(
        "SELECT detail FROM audit WHERE facility_id = :f AND action = 'study.export' ORDER BY sequence",
        f=clinic.facility_id,
    )
    assert [row.detail for row in views] == [{"view": "deidentified"}, {"view": "original"}]


async def test_the_original_view_needs_the_right_and_an_identity(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    path = f"/studies/{study_id}/export?view=original"
    assert problem(await clinic.ask("GET", path)) == (403, "forbidden")
    await change_settings(clinic, profile="forget")
    assert problem(await clinic.ask("GET", path, headers=doctor(clinic))) == (410, "identity-forgotten")
    other = clinic.elsewhere()
    assert problem(await other.ask("GET", f"/studies/{study_id}/export")) == (404, "study-not-found")
    assert (await clinic.ask("GET", f"/studies/{study_id}/export?view=all")).status_code == 422
    assert [action for action, _ in await actions(clinic)] == ["settings.change"]


async def test_a_file_that_was_kept_sealed_comes_back_in_the_original_view_alone_until_it_is_forgotten(
    clinic: Clinic, hands: Hands
) -> None:
    await change_settings(clinic, others="keep")
    series = slices(3, PatientName="CANARY^Name")
    scout = scout_of(series)
    upload = await clinic.submit(bodies(series, [scout]))
    await hands.run()
    study_id = (await clinic.show(upload))["studies"][0]["study_id"]
    path = f"/studies/{study_id}/export"
    assert len(files(await clinic.ask("GET", path))) == 3
    found = files(await clinic.ask("GET", f"{path}?view=original", headers=doctor(clinic)))
    back = {ds.SOPInstanceUID: ds for ds in found.values()}
    assert back.keys() == {ds.SOPInstanceUID for ds in [*series, scout]}
    assert back[scout.SOPInstanceUID] == scout
    await change_settings(clinic, profile="forget")
    hold = f"/studies/{study_id}/legal-hold"
    await clinic.ask("PUT", hold, headers=asking(clinic))
    await clinic.ask("POST", "/ingest/forget", headers=asking(clinic))
    await retain(clinic.ingest)
    assert any(key.endswith(".sealed") for key in await clinic.keys("studies")), "the study is held"
    assert (await clinic.ask("GET", "/ingest/settings")).json()["forgetting"] is True
    await clinic.ask("DELETE", hold, headers=asking(clinic))
    assert any(key.endswith(".sealed") for key in await clinic.keys("studies"))
    await retain(clinic.ingest)
    assert not any(key.endswith(".sealed") for key in await clinic.keys("studies"))
    assert (await clinic.ask("GET", f"/studies/{study_id}")).json()["instances"] == 3
    assert len(files(await clinic.ask("GET", path))) == 3


async def test_a_result_is_exported_beside_its_images(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    result = ct()
    result.SeriesInstanceUID, result.SOPInstanceUID = "2.25.11", "2.25.12"
    body = written(result)
    key = f"{clinic.facility_id}/{study_id}/result.dcm"
    await clinic.ingest.storage.put("results", key, body)
    await clinic.sql(
        "INSERT INTO series (id, facility_id, study_id, series_instance_uid, kind, modality, attributes)"
        " SELECT gen_random_uuid(), facility_id, id, '2.25.11', 'result', 'SR', '{}' FROM studies WHERE id = :s",
        s=study_id,
    )
    await clinic.sql(
        "INSERT INTO instances (series_id, sop_instance_uid, facility_id, study_id, upload_id, sop_class_uid,"
        ' transfer_syntax_uid, bucket, key, "offset", length, header_offset, header_length, source, facts)'
        " SELECT id, '2.25.12', facility_id, study_id, gen_random_uuid(), '1.2', '1.2', 'results', :key, 0, :n, 0,"
        " 0, 0, '{}' FROM series WHERE study_id = :s AND kind = 'result'",
        s=study_id,
        key=key,
        n=len(body),
    )
    found = files(await clinic.ask("GET", f"/studies/{study_id}/export"))
    assert len(found) == 3
    assert "2.25.12" in {ds.SOPInstanceUID for ds in found.values()}


async def test_while_the_store_is_away_an_export_says_so(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands)
    ingest = clinic.ingest
    away = replace(ingest, storage=Away(ingest.storage, "get"))
    who = Principal("somebody", clinic.facility_id, "demo", Role.MEMBER)
    with pytest.raises(ServiceUnavailable):
        await exporting.export(away, who, study_id, View.DEIDENTIFIED)


async def test_a_study_erased_under_an_export_cuts_it_short(clinic: Clinic, hands: Hands) -> None:
    upload = await clinic.submit(bodies(large_slices(60)))
    await hands.run()
    study_id = (await clinic.show(upload))["studies"][0]["study_id"]
    who = Principal("somebody", clinic.facility_id, "demo", Role.MEMBER)
    pieces = await exporting.export(clinic.ingest, who, study_id, View.DEIDENTIFIED)
    assert (await anext(pieces)).startswith(b"PK")
    await clinic.ask("DELETE", f"/studies/{study_id}")
    with pytest.raises(NothingThere):
        async for _ in pieces:
            pass


def large_slices(count: int) -> list[Dataset]:
    """Slices of half a megabyte."""
    big = slices(count)
    for ds in big:
        ds.Rows = ds.Columns = 512
        ds.PixelData = np.random.default_rng(1).integers(0, 4000, 512 * 512, "<i2").tobytes()
    return big


async def test_an_export_is_held_a_piece_at_a_time_and_leaves_what_viewers_look_at(
    clinic: Clinic, hands: Hands
) -> None:
    """60 slices of half a megabyte: the zip has 30 MB, a few blocks (4 MiB) and their copies are in memory."""
    upload = await clinic.submit(bodies(large_slices(60)))
    await hands.run()
    study_id = (await clinic.show(upload))["studies"][0]["study_id"]
    who = Principal("somebody", clinic.facility_id, "demo", Role.MEMBER)
    looked_at = dict(clinic.ingest.blocks._kept)
    tracemalloc.start()
    try:
        size = 0
        async for piece in await exporting.export(clinic.ingest, who, study_id, View.DEIDENTIFIED):
            size += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 30_000_000
    assert peak < 25_000_000
    assert dict(clinic.ingest.blocks._kept) == looked_at


@pytest.mark.parametrize("count", [3, 70_000])
def test_a_zip_is_read_by_others_from_a_stream_too(tmp_path: Path, count: int) -> None:
    path = tmp_path / "x.zip"
    with path.open("wb") as file, Zip() as archive:
        for number in range(count):
            file.write(archive.add(f"{number:06}.dcm", b"%d" % number))
        file.write(archive.end())
    with zipfile.ZipFile(path) as found:
        assert found.testzip() is None
        assert found.read(f"{count - 1:06}.dcm") == b"%d" % (count - 1)
    # Local headers carry sizes and checksums, so that a reader needs no directory.
    head = path.read_bytes()[:30]
    assert (head[6] & 8, int.from_bytes(head[18:22], "little")) == (0, 1)
    listed = subprocess.run([sys.executable, "-m", "zipfile", "-l", path], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == count + 1


async def test_studies_as_csv_one_row_a_series(clinic: Clinic, hands: Hands) -> None:
    study_id, _ = await keep_study(clinic, hands, count=3, ConvolutionKernel="=cmd()")
    other, _ = await keep_study(clinic, hands)
    rows = await table(clinic)
    assert [row["study_id"] for row in rows] == [other, study_id]
    shown = (await clinic.ask("GET", f"/studies/{study_id}")).json()
    assert rows[1]["patient_id"] == shown["patient_id"]
    assert (rows[1]["slices"], rows[1]["plane"], rows[1]["kind"], rows[1]["legal_hold"]) == (
        "3",
        "axial",
        "image",
        "false",
    )
    assert rows[1]["convolution_kernel"] in ("'=cmd()", "")
    assert not any(name.startswith("original") for name in rows[0])
    assert "CANARY" not in str(rows)
    assert await actions(clinic) == []
    assert await table(clinic.elsewhere()) == []


async def test_a_table_holds_what_was_asked_for(clinic: Clinic, hands: Hands) -> None:
    old, _ = await keep_study(clinic, hands)
    young, _ = await keep_study(clinic, hands)
    await clinic.sql("UPDATE studies SET created_at = created_at - interval '2 days' WHERE id = :s", s=old)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    assert [row["study_id"] for row in await table(clinic, **{"from": yesterday})] == [young]
    assert [row["study_id"] for row in await table(clinic, to=yesterday)] == [old]
    patient = (await clinic.ask("GET", f"/studies/{old}")).json()["patient_id"]
    assert [row["study_id"] for row in await table(clinic, patient_id=patient)] == [old]
    for bad in ({"from": "soon"}, {"from": "2026-01-01T00:00:00"}, {"format": "xls"}):
        assert (await clinic.ask("GET", "/studies/export", params=bad)).status_code == 422


async def test_a_table_with_identities_needs_the_right_and_is_audited_study_by_study(
    clinic: Clinic, hands: Hands
) -> None:
    study_id, _ = await keep_study(clinic, hands, PatientID="=HYPERLINK(1)")
    assert (await clinic.ask("GET", "/studies/export?identities=true")).status_code == 403
    (row,) = await table(clinic, doctor(clinic), identities=True)
    assert (row["original_patient_name"], row["original_patient_id"]) == ("CANARY^Name", "'=HYPERLINK(1)")
    assert await actions(clinic) == [("identity.read", study_id)]
    await change_settings(clinic, profile="forget")
    (row,) = await table(clinic, doctor(clinic), identities=True)
    assert row["original_patient_name"] == ""


async def test_parquet_is_read_by_another_library_with_its_types(clinic: Clinic, hands: Hands, tmp_path: Path) -> None:
    study_id, _ = await keep_study(clinic, hands, count=3)
    await change_settings(clinic, retention_days=10)
    answer = await clinic.ask("GET", "/studies/export?format=parquet&identities=true", headers=doctor(clinic))
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    path = tmp_path / "studies.parquet"
    path.write_bytes(answer.content)
    read = duckdb.sql(f"SELECT * FROM '{path}'")
    types = {str(name): str(kind) for name, kind in zip(read.columns, read.types, strict=True)}
    assert (types["created_at"], types["slices"], types["legal_hold"]) == (
        "TIMESTAMP WITH TIME ZONE",
        "BIGINT",
        "BOOLEAN",
    )
    assert types["slice_thickness_mm"] == "DOUBLE"
    picked = "study_id, slices, legal_hold, slice_thickness_mm, original_patient_name, expires_at - created_at"
    assert duckdb.sql(f"SELECT {picked} FROM '{path}'").fetchall() == [
        (study_id, 3, False, 1.0, "CANARY^Name", timedelta(days=10))
    ]


async def numbered(count: int) -> AsyncIterator[list[list[Any]]]:
    for start in range(0, count, 500):
        yield [[f"s{n}", n, n / 2, None, datetime.now(UTC)] for n in range(start, start + 500)]


COLUMNS: dict[str, type] = {"name": str, "n": int, "half": float, "none": bool, "at": datetime}


async def test_parquet_flows_while_rows_come(tmp_path: Path) -> None:
    path, pieces = tmp_path / "x.parquet", 0
    with path.open("wb") as file:
        async for piece in tables.parquet_of(COLUMNS, numbered(100_000)):
            pieces += file.write(piece) > 0
    assert pieces >= 5
    assert duckdb.sql(f"SELECT count(*), sum(n), count(none) FROM '{path}'").fetchall() == [(100_000, 4_999_950_000, 0)]


async def test_a_client_that_goes_ends_the_writing() -> None:
    asked = 0

    async def watched() -> AsyncIterator[list[list[Any]]]:
        nonlocal asked
        async for batch in numbered(10_000_000):
            asked += 1
            yield batch

    flow = tables.parquet_of(COLUMNS, watched())
    await anext(flow)
    await flow.aclose()
    before = asked
    await asyncio.sleep(0.2)
    assert asked == before < 1000


async def test_rows_that_fail_cut_the_table_short() -> None:
    async def failing() -> AsyncIterator[list[list[Any]]]:
        yield [["a", 1, 1.0, True, datetime.now(UTC)]]
        raise ConnectionError("the database is gone")

    for form in (tables.csv_of, tables.parquet_of):
        with pytest.raises(Exception, match="gone"):
            async for _ in form(COLUMNS, failing()):
                pass


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx", "  =1", "＝1"])
async def test_text_never_begins_a_formula(text: str) -> None:
    async def rows() -> AsyncIterator[list[list[Any]]]:
        yield [[text, -5, None, True, None]]

    body = b"".join([piece async for piece in tables.csv_of(COLUMNS, rows())]).decode()
    (row,) = csv.DictReader(io.StringIO(body, newline=""))
    assert row == {"name": f"'{text}", "n": "-5", "half": "", "none": "true", "at": ""}


async def test_every_batch_is_its_own_short_transaction(clinic: Clinic, hands: Hands, monkeypatch: Any) -> None:
    monkeypatch.setattr(querying, "STUDIES_AT_ONCE", 2)
    ids = [(await keep_study(clinic, hands))[0] for _ in range(5)]
    assert [row["study_id"] for row in await table(clinic)] == ids[::-1]
    who = Principal("somebody", clinic.facility_id, "demo", Role.MEMBER)
    rows = querying.batches(clinic.ingest, who, querying.Query())
    await anext(rows)
    idle = await clinic.sql("SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'")
    assert idle == []
