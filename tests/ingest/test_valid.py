"""Whatever leaves ingest is valid: every kind of file, in every view, by every way out, judged by dciodvfy."""

import io
import subprocess
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from codetect_inference.documents import Document, documents
from codetect_ingest.results import on_analysis_completed
from codetect_shared.bus import Envelope
from codetect_shared.db import uuid7
from codetect_shared.events import AnalysisCompleted
from codetect_shared.tokens import Role, Scope
from pydicom import uid

from tests.inference.conftest import lung
from tests.inference.samples import bundle_files, tiny_model
from tests.inference.test_documents import real
from tests.ingest.conftest import Hands
from tests.ingest.dicomweb import Web, bring, parsed, parts
from tests.ingest.oracle.studies import erika, nobody, old, several, syntaxes
from tests.ingest.samples import ROOT, SAMPLE

DICOM = 'multipart/related; type="application/dicom"'
STUDY = "0020000D"
EXPLAINED = {
    "would be needed to build DICOMDIR": "no media are written; pseudonymous images have no StudyTime, StudyID",
    "</Laterality(0020,0060)>": "type 2C: it isn't known, as the sender didn't say",
    "Unrecognized defined term = <VOLUME>": "ImageType of an Enhanced CT's frame, as it was sent",
    "Unrecognized defined term = <NONE>": "likewise",
    "Unrecognized defined term = <99CODETECT>": "our own coding scheme (docs/dicom-conformance.md 7), which is private",
}  # what dciodvfy warns of, and why that may be
NATIVE = f"{DICOM}; transfer-syntax={uid.ExplicitVRLittleEndian}"


def judged(data: bytes, folder: Path) -> tuple[list[str], set[str]]:
    """What dciodvfy calls errors, and what it warns of."""
    path = folder / "one.dcm"
    path.write_bytes(data)
    run = subprocess.run([ROOT / ".venv/bin/dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    lines = (run.stdout + run.stderr).splitlines()
    return [one for one in lines if one.startswith("Error")], {one for one in lines if one.startswith("Warning")}


def all_valid(files: Iterable[bytes], folder: Path) -> None:
    judgements = [judged(data, folder) for data in files]
    assert judgements
    assert [error for errors, _ in judgements for error in errors] == []
    unexplained = {
        warning for _, warnings in judgements for warning in warnings if not any(one in warning for one in EXPLAINED)
    }
    assert unexplained == set()


KINDS = {
    "sample": lambda: [path.read_bytes() for path in sorted(SAMPLE.glob("*.dcm"))[20:23]],
    "everything said": erika,
    "little said": nobody,
    "edges": old,
    "Enhanced CT": several,
    "transfer syntaxes": syntaxes,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_images_are_valid_in_both_views_stored_decoded_and_exported(
    web: Web, hands: Hands, kind: str, tmp_path: Path
) -> None:
    await bring(web, hands, KINDS[kind]())
    for who in (web, web.seeing_identities()):
        for item in await who.found("/studies"):
            study = f"/studies/{item[STUDY]['Value'][0]}"
            for accept in (DICOM, NATIVE):
                all_valid((body for _, body in parts(await who.get(study, accept))), tmp_path)
    await exports_are_valid(web, tmp_path)


async def exports_are_valid(web: Web, folder: Path) -> None:
    clinic = web.clinic
    headers = clinic.tokens.headers(clinic.facility_id, Role.ADMIN, scopes=frozenset({Scope.IDENTITY}))
    for (study_id,) in await clinic.sql("SELECT id FROM studies WHERE facility_id = :f", f=clinic.facility_id):
        for view in ("deidentified", "original"):
            answer = await clinic.ask("GET", f"/studies/{study_id}/export?view={view}", headers=headers)
            assert answer.status_code == 200, answer.text
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                all_valid(map(archive.read, archive.namelist()), folder)


async def test_results_are_valid_in_both_views_and_exported(web: Web, hands: Hands, tmp_path: Path) -> None:
    """The report and the captures that inference makes of a study, before and after their names are put back."""
    clinic = web.clinic
    await bring(web, hands, [*map(Path.read_bytes, lung(12))])
    ((study_id, study_uid, patient),) = await clinic.sql(
        "SELECT id, study_instance_uid, patient_id FROM studies WHERE facility_id = :f", f=clinic.facility_id
    )
    slices = await clinic.sql("SELECT sop_instance_uid FROM instances WHERE study_id = :s ORDER BY index", s=study_id)
    instances = [{"index": n, "sop_instance_uid": name, "position_mm": (0, 0, n)} for n, (name,) in enumerate(slices)]
    facts = {"study_instance_uid": study_uid, "patient_id": patient, "instances": instances}
    made = list(documents(real(bundle_files(tiny_model()), lung(12), **facts)))
    await tell(web, study_id, made)
    for who, named in ((web, False), (web.seeing_identities(), True)):
        (item,) = await who.found("/studies", ModalitiesInStudy="SR")
        files = [body for _, body in parts(await who.get(f"/studies/{item[STUDY]['Value'][0]}", DICOM))]
        all_valid(files, tmp_path)
        results = [ds for ds in map(parsed, files) if ds.SOPClassUID != uid.CTImageStorage]
        assert sorted(ds.Modality for ds in results) == sorted(one.facts.modality for one in made)
        assert {"PatientIdentityRemoved" in ds for ds in results} == {not named}
    await exports_are_valid(web, tmp_path)


async def tell(web: Web, study_id: UUID, made: list[Document]) -> None:
    """What inference does with an analysis' documents: the store has them, an event names them."""
    clinic = web.clinic
    for one in made:
        await clinic.ingest.storage.put("results", one.facts.key, one.content)
    event = AnalysisCompleted(
        analysis_id=uuid7(), study_id=study_id, upload_id=uuid7(), model="tiny", model_version="1", findings=[],
        slices_total=12, slices_analysed=12, provider="cpu", queued_ms=1, inference_ms=1, total_ms=1,
        documents=[one.facts for one in made],
    )  # fmt: skip
    told = Envelope(uuid7(), event.type, datetime.now(UTC), clinic.facility_id, "", 1, {})
    async with clinic.ingest.db.system() as session:
        await on_analysis_completed(session, event, told, clinic.ingest.settings.master_key)
