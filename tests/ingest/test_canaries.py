"""Names planted in files are looked for wherever a file leaves a trace: rows, events, objects, logs."""

import pytest
from codetect_shared.tokens import Role
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from sqlalchemy import text

from tests.ingest.conftest import Clinic, Hands
from tests.ingest.samples import written
from tests.ingest.test_importer import slices
from tests.ingest.test_kept import wants
from tests.ingest.test_stow import multipart, store

CANARY = "KANARI"
PLANTED = (
    "PatientName", "PatientID", "OtherPatientIDs", "PatientAddress", "PatientComments", "AccessionNumber", "StudyID",
    "StudyDescription", "SeriesDescription", "ProtocolName", "ReferringPhysicianName", "PerformingPhysicianName",
    "OperatorsName", "InstitutionName", "InstitutionAddress", "StationName", "ImageComments", "RequestingPhysician",
    "DeviceSerialNumber", "ConvolutionKernel", "Manufacturer", "ManufacturerModelName", "FilterType", "ScanOptions",
)  # fmt: skip


def planted(ds: Dataset) -> Dataset:
    """The same file with a name wherever people write one, also where it doesn't belong."""
    for keyword in PLANTED:
        setattr(ds, keyword, f"{CANARY}^X" if keyword.endswith(("Name", "Physician")) else f"{CANARY} X"[:16])
    block = ds.private_block(0x0009, CANARY, create=True)
    block.add_new(1, "LO", CANARY)
    nested = Dataset()
    nested.PatientName = f"{CANARY}^NESTED"
    ds.ReferencedStudySequence = [nested]
    return ds


async def everything_at_rest(clinic: Clinic) -> list[bytes]:
    """Every row of the service's database, as text, and every object of the facility."""
    async with clinic.ingest.db.system() as session:
        tables = list(await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))
        assert {"studies", "series", "instances", "uploads", "upload_files", "outbox", "audit"} <= {*tables}
        rows = [
            str(row).encode()
            for table in tables
            for row in await session.scalars(text(f"SELECT t::text FROM {table} t"))  # noqa: S608 - names of tables
        ]
    found = list(rows)
    for bucket in ("raw", "studies", "results"):
        found += [await clinic.ingest.storage.get(bucket, key) for key in await clinic.keys(bucket)]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("profile", ["seal", "forget"])
async def test_no_name_is_left_in_rows_events_objects_or_logs(
    clinic: Clinic, hands: Hands, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, profile: str
) -> None:
    await wants(clinic, profile=profile)
    uploaded, stored = [planted(ds) for ds in slices(3)], [planted(ds) for ds in slices(2)]
    (other,) = (planted(ds) for ds in slices(1, Modality="MR", SOPClassUID=MRImageStorage))
    other.file_meta.MediaStorageSOPClassUID = MRImageStorage
    bad = written(uploaded[0])[:-50]
    assert CANARY.encode() in bad

    await clinic.submit([*(written(ds) for ds in uploaded), bad, written(other)])
    await hands.run()
    answer = await store(clinic, multipart([*(written(ds) for ds in stored), bad]))
    assert answer.status_code == 202
    ((study_id,),) = await clinic.sql(
        "SELECT id FROM studies WHERE facility_id = :f AND available_at IS NOT NULL", f=clinic.facility_id
    )
    await hands.assemble(study_id)
    doctor = clinic.tokens.headers(clinic.facility_id, Role.MEMBER, scopes=frozenset({"identity"}))
    searched = await clinic.http.get(f"/dicomweb/studies?PatientName={CANARY}*", headers=doctor)
    assert len(searched.json()) == (3 if profile == "seal" else 0)
    identity = await clinic.http.get(f"/api/v1/studies/{study_id}/identity", headers=doctor)
    assert (CANARY in identity.text) == (profile == "seal")

    names = [CANARY.encode(), CANARY.encode().hex().encode(), uploaded[0].StudyInstanceUID.encode()]
    traces = await everything_at_rest(clinic)
    assert not [name for name in names for trace in traces if name in trace]
    logged = "".join(capfd.readouterr()) + caplog.text
    assert "/dicomweb/studies" in logged
    assert not [name for name in names if name.decode() in logged]
