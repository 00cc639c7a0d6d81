"""QIDO-RS at a hundred thousand studies: how long a search takes, in either view.

    python -m tests.load.bench_qido [studies]

fills a database of its own, searches through the API on a socket, and prints JSON lines (name, value, unit, target).
"""

import asyncio
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from codetect_ingest.app import api
from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.keys import FacilityKey, facility_key
from codetect_ingest.models import now
from codetect_ingest.settings import Settings
from codetect_ingest.terms import terms_of
from codetect_shared.db import uuid7
from codetect_shared.testing import Tokens, running
from codetect_shared.tokens import Role, Scope

from tests.infrastructure import infrastructure
from tests.ingest.dicomweb import listening

STUDIES, INSTANCES, REPEATS, LIMIT, TARGET_MS = 100_000, 3, 30, "25", 50
CHUNK = 5000
SYLLABLES = ("ba", "ker", "lo", "min", "sen", "tor", "va", "wald", "ru", "hof", "dan", "mei", "stein", "ka", "li", "ro")
CT = "1.2.840.10008.5.1.4.1.1.2"
TABLES = {
    "studies": (
        "id", "facility_id", "study_instance_uid", "patient_id", "study_date", "version", "created_at", "updated_at",
        "instances", "sealed_identity",
    ),
    "series": (
        "id", "facility_id", "study_id", "series_instance_uid", "kind", "modality", "attributes", "sealed_identity",
    ),
    "instances": (
        "series_id", "sop_instance_uid", "facility_id", "study_id", "upload_id", "sop_class_uid",
        "transfer_syntax_uid", "instance_number", "index", "bucket", "key", "offset", "length", "header_offset",
        "header_length", "source", "facts",
    ),
    "study_terms": ("facility_id", "term", "study_id"),
}  # fmt: skip
Rows = dict[str, list[tuple[Any, ...]]]


class Archive:
    """Made-up studies of made-up people, the same at every run."""

    def __init__(self, facility_id: UUID, key: FacilityKey) -> None:
        self.facility_id, self.key = facility_id, key
        self.pseudonyms = Pseudonyms(key.pseudonyms)
        self.random = random.Random(1)  # noqa: S311
        self.families = [self._word(3) for _ in range(3000)]
        self.given = [self._word(2) for _ in range(300)]
        self.identities: list[dict[str, Any]] = []
        self.patients: list[tuple[str, str]] = []

    def _word(self, syllables: int) -> str:
        return "".join(self.random.choices(SYLLABLES, k=syllables)).capitalize()

    def _identity(self, number: int) -> dict[str, Any]:
        choice = self.random.choice
        day = date(2016, 1, 1) + timedelta(days=self.random.randrange(3650))
        values = {
            "0020000D": ("UI", f"1.2.276.0.{number}.1"),
            "00100010": ("PN", {"Alphabetic": f"{choice(self.families)}^{choice(self.given)}"}),
            "00100020": ("LO", f"MRN{number // 2:07}"),
            "00100030": ("DA", f"{1930 + number % 70}0{1 + number % 9}15"),
            "00100040": ("CS", choice("MF")),
            "00080050": ("SH", f"ACC{number:08}"),
            "00200010": ("SH", str(number)),
            "00080020": ("DA", f"{day:%Y%m%d}"),
            "00080030": ("TM", f"{self.random.randrange(24):02}3000"),
            "00081030": ("LO", "Thorax nativ"),
            "00080090": ("PN", {"Alphabetic": f"{choice(self.families[:200])}^{choice(self.given)}"}),
        }
        return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in values.items()}

    def chunks(self, count: int) -> Iterator[Rows]:
        for start in range(0, count, CHUNK):
            rows: Rows = {table: [] for table in TABLES}
            for number in range(start, min(start + CHUNK, count)):
                self._add(rows, number)
            yield rows

    def _add(self, rows: Rows, number: int) -> None:
        identity, study_id, series_id, moment = self._identity(number), uuid7(), uuid7(), now()
        uid, patient = identity["0020000D"]["Value"][0], identity["00100020"]["Value"][0]
        hidden, shifted = self.pseudonyms.patient(f"id\0{patient}\0"), identity["00080020"]["Value"][0]
        self.patients.append((hidden, shifted))
        self.identities.append(identity)
        facility, study_uid = self.facility_id, self.pseudonyms.uid(uid)
        sealed = self.key.seal_identity(identity, study_id)
        study = (study_id, facility, study_uid, hidden, shifted, 1, moment, moment, INSTANCES, sealed)
        rows["studies"].append(study)
        series_uid = f"{uid}.2"
        sealed = self.key.seal_identity({"0020000E": {"vr": "UI", "Value": [series_uid]}}, series_id)
        modality = "CT" if number % 50 else "MR"
        attributes = json.dumps({"00180050": {"vr": "DS", "Value": [1.0]}})
        series = (series_id, facility, study_id, self.pseudonyms.uid(series_uid), "image", modality, attributes, sealed)
        rows["series"].append(series)
        for index in range(INSTANCES):
            place = (f"{facility}/{study_id}/{series_id}", index * 500_000, 500_000, 1_500_000 + index * 1000, 1000)
            names = (series_id, f"{series_uid}.{index}", facility, study_id, study_id, CT, "1.2.840.10008.1.2.1")
            rows["instances"].append((*names, index + 1, index, "studies", *place, 1, json.dumps({"rows": 512})))
        rows["study_terms"] += [(facility, self.key.term(term), study_id) for term in terms_of(identity)]


async def fill(owner_url: str, archive: Archive, count: int) -> None:
    """Copy the archive into the database."""
    connection = await asyncpg.connect(owner_url)
    for rows in archive.chunks(count):
        for table, columns in TABLES.items():
            await connection.copy_records_to_table(table, records=rows[table], columns=columns)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


def questions(archive: Archive) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Searches as people make them, by kind; each asked for somebody else."""
    pick = random.Random(2)  # noqa: S311
    asked: dict[str, list[tuple[str, dict[str, str]]]] = {}

    def ask(kind: str, path: str, **query: str) -> None:
        asked.setdefault(kind, []).append((path, {"limit": LIMIT, **query}))

    for _ in range(REPEATS):
        one = pick.choice(archive.identities)
        family, _, given = one["00100010"]["Value"][0]["Alphabetic"].partition("^")
        day, accession = one["00080020"]["Value"][0], one["00080050"]["Value"][0]
        uid, patient = one["0020000D"]["Value"][0], one["00100020"]["Value"][0]
        ask("newest", "/studies")
        ask("offset", "/studies", offset=str(pick.randrange(1000)))
        ask("patient", "/studies", PatientID=patient)
        ask("accession", "/studies", AccessionNumber=accession)
        ask("uid", "/studies", StudyInstanceUID=uid)
        ask("name", "/studies", PatientName=f"{family}^{given}")
        ask("name prefix", "/studies", PatientName=f"{family[:4]}*")
        ask("name and date", "/studies", PatientName=f"{family[:3]}*", StudyDate=f"{day[:4]}0101-{day[:4]}1231")
        ask("fuzzy", "/studies", PatientName=f"{given} {family[:3]}", fuzzymatching="true")
        ask("day", "/studies", StudyDate=day)
        ask("month", "/studies", StudyDate=f"{day[:6]}01-{day[:6]}31")
        ask("years", "/studies", StudyDate="20180615-20230315")
        ask("since", "/studies", StudyDate="20200101-", ModalitiesInStudy="CT")
        ask("modality", "/studies", ModalitiesInStudy="MR")
        ask("series", f"/studies/{uid}/series")
        ask("instances", f"/studies/{uid}/instances")
        ask("all series", "/series", PatientID=patient)
    return asked


def pseudonymous(archive: Archive, path: str, query: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The same question of somebody who knows pseudonyms alone."""
    if "PatientID" in query:
        query = query | {"PatientID": archive.pseudonyms.patient(f"id\0{query['PatientID']}\0")}
    if "StudyInstanceUID" in query:
        query = query | {"StudyInstanceUID": archive.pseudonyms.uid(query["StudyInstanceUID"])}
    parts = path.split("/")
    if len(parts) > 2:
        parts[2] = archive.pseudonyms.uid(parts[2])
    return "/".join(parts), query


async def measure(url: str, headers: dict[str, str], asked: Sequence[tuple[str, dict[str, str]]]) -> list[float]:
    """Milliseconds of each search, one after the other."""
    taken = []
    async with httpx.AsyncClient(base_url=f"{url}/dicomweb", headers=headers, trust_env=False, timeout=60) as client:
        for path, query in asked:
            began = time.perf_counter()
            answer = await client.get(path, params=query)
            taken.append((time.perf_counter() - began) * 1000)
            assert answer.status_code == 200, answer.text
    return taken


def quantile(taken: list[float], q: float) -> float:
    """The q-quantile, to a tenth of a millisecond."""
    return round(sorted(taken)[min(len(taken) - 1, int(q * len(taken)))], 1)


async def bench(count: int) -> None:
    """Fill, search, print."""
    with tempfile.TemporaryDirectory(prefix="codetect-qido-") as folder:
        Path(folder).chmod(0o755)
        async with infrastructure(Path(folder)) as infra:
            os.environ.update(infra.environment)
            await infra.migrate("ingest")
            settings, facility_id, tokens = Settings(), uuid7(), Tokens()
            app = api(settings)
            async with running(app, tokens), listening(app) as url:
                async with app.state.db.facility(facility_id) as session:
                    archive = Archive(facility_id, await facility_key(session, facility_id, settings.master_key))
                superuser = infra.environment["CODETECT_POSTGRES_ADMIN_URL"].rpartition("/")[0]
                database = infra.environment["CODETECT_INGEST_DATABASE_OWNER_URL"].rpartition("/")[2]
                began = time.monotonic()
                await fill(f"{superuser}/{database}", archive, count)
                print(json.dumps({"name": "filled", "value": round(time.monotonic() - began), "unit": "s"}), flush=True)
                await report(url, tokens, archive, count)


async def report(url: str, tokens: Tokens, archive: Archive, count: int) -> None:
    """Print each kind's figures in either view, and all together."""
    for view, scopes in (("original", {Scope.READ, Scope.IDENTITY}), ("pseudonymous", {Scope.READ})):
        headers = tokens.headers(archive.facility_id, Role.API_CLIENT, scopes=frozenset(scopes))
        everything: list[float] = []
        for kind, asked in questions(archive).items():
            mine = asked if view == "original" else [pseudonymous(archive, *one) for one in asked]
            taken = await measure(url, headers, mine)
            everything += taken
            row = {"name": f"qido {view}: {kind}", "value": quantile(taken, 0.95), "unit": "ms p95"}
            print(json.dumps(row | {"median": round(statistics.median(taken), 1)}), flush=True)
        row = {"name": f"qido_p95_{view}", "value": quantile(everything, 0.95), "unit": f"ms at {count} studies"}
        print(json.dumps(row | {"median": quantile(everything, 0.5), "target": TARGET_MS}), flush=True)


if __name__ == "__main__":
    asyncio.run(bench(int(sys.argv[1]) if len(sys.argv) > 1 else STUDIES))
