"""Orthanc from Debian's packages, the door for C-STORE, and the forwarder that hands on what it receives."""

import json
import shutil
import sys
from pathlib import Path

from codetect_local import packages, ports
from codetect_local.account import as_user, give, give_file
from codetect_local.programs import Program
from codetect_local.settings import ROOT, Settings

SERVER, STORESCU = "/usr/sbin/Orthanc", "/usr/bin/storescu"
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
SHIPPED = ROOT / "deploy/orthanc"
USER, AET = "codetect", "CODETECT"


def install() -> None:
    """Debian's packages when they are missing."""
    needed = {SERVER: "orthanc", PLUGIN: "orthanc-dicomweb", STORESCU: "dcmtk"}
    packages.install("Orthanc", needed, "leave out PACS=1.")


def server(settings: Settings, secrets: dict[str, str]) -> Program:
    """Orthanc in the foreground. It answers loopback and modalities; Debian 12's listens everywhere (docs/pacs.md)."""
    home = give(settings.state / "orthanc", settings.run_as)
    config = give_file(home / "orthanc.json", (SHIPPED / "orthanc.json").read_text(), settings.run_as)
    port = settings.port("orthanc")
    environment = {
        "HOME": str(home),
        "PACS_STATE": str(give(home / "data", settings.run_as)),
        "PACS_TEMPORARY": str(give(home / "tmp", settings.run_as)),
        "PACS_PLUGIN": PLUGIN,
        "PACS_AET": AET,
        "PACS_DICOM_PORT": str(settings.port("orthanc_dicom")),
        "PACS_MODALITIES": settings.pacs_modalities,
        "PACS_HTTP_PORT": str(port),
        "PACS_HTTP_ADDRESSES": '["127.0.0.1"]',
        "PACS_PASSWORD": secrets["orthanc"],
        "MALLOC_ARENA_MAX": "5",
    }

    async def ready() -> None:
        await ports.says(settings.port("orthanc_dicom"))
        await ports.says(port)

    return Program(
        "orthanc",
        [*as_user(settings.run_as, settings.state), SERVER, str(config)],
        ready,
        environment,
        address=f"127.0.0.1:{port}",
        stop_wait_s=30,
    )


def forwarder(settings: Settings, secrets: dict[str, str]) -> Program:
    """What hands on to CoDetect; it waits by itself, for Orthanc, for a facility, for CoDetect."""
    home = give(settings.state / "orthanc", settings.run_as)
    script = give_file(home / "forward.py", (SHIPPED / "forward.py").read_text(), settings.run_as)
    environment = {
        "PACS_ORTHANC_URL": url(settings),
        "PACS_PASSWORD": secrets["orthanc"],
        "PACS_FACILITY_FILE": str(facility_file(settings)),
        "PACS_CURSOR_FILE": str(home / "cursor"),
        "PACS_DELETE": str(settings.pacs_delete).lower(),
        "PYTHONUNBUFFERED": "1",
    }

    async def ready() -> None:
        """Nothing to wait for."""

    command = [*as_user(settings.run_as, settings.state), sys.executable, str(script)]
    return Program("forwarder", command, ready, environment, service=True)


def url(settings: Settings) -> str:
    """Where Orthanc's REST API is; its DICOMweb lies below /dicom-web."""
    return f"http://127.0.0.1:{settings.port('orthanc')}"


def facility_file(settings: Settings) -> Path:
    """Who gets what Orthanc receives: written by `name_facility`, read before each sending."""
    return settings.state / "orthanc" / "facility.json"


def name_facility(settings: Settings, host: str, client: dict[str, str]) -> None:
    """From now on what Orthanc receives goes to this facility, under the name of this API client."""
    told = {"url": f"http://127.0.0.1:{settings.port('gateway')}/dicomweb", "host": host, **client}
    fresh = give_file(facility_file(settings).with_suffix(".new"), json.dumps(told, indent=1), settings.run_as)
    shutil.move(fresh, facility_file(settings))
