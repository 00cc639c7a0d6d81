"""What `make demo PACS=1` shows: a study by C-STORE to Orthanc, from there to CoDetect, its result back in Orthanc."""

import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from codetect_local import orthanc, secrets
from codetect_local.coming_in import answer
from codetect_local.demo import Demo
from codetect_local.settings import Settings, Trouble

DESTINATION = "Orthanc"
SCOPES = ("read", "write", "identity")
PATIENCE_S = 600


async def forward_to(demo: Demo, slug: str) -> None:
    """From now on what Orthanc receives goes to this facility, through an API client of its own."""
    if "pacs_client" not in demo.known:
        scopes = [part for scope in SCOPES for part in ("--scope", scope)]
        made = await demo.auth("create-api-client", "--facility", slug, "--name", "pacs", *scopes)
        demo.known["pacs_client"] = {key: made[key] for key in ("client_id", "client_secret")}
        demo.keep()
    orthanc.name_facility(demo.settings, demo.hosts[slug], demo.known["pacs_client"])


def bring_back(demo: Demo) -> None:
    """From now on the facility's results go to Orthanc."""
    if "destination" in demo.known:
        return
    destination = {
        "name": DESTINATION,
        "url": f"{orthanc.url(demo.settings)}/dicom-web",
        "username": orthanc.USER,
        "password": secrets.load(demo.settings.state)["orthanc"],
        "view": "original",
        "enabled": True,
    }
    bearer = {"Authorization": f"Bearer {demo.log_in('admin')}"}
    with demo.door("admin") as door:
        reply = door.post("/api/v1/ingest/destinations", headers=bearer, json=destination)
        if reply.status_code != 409:  # its name is taken: by an earlier demo
            answer(reply)
    demo.known["destination"] = DESTINATION
    demo.keep()


def send(settings: Settings, folder: Path) -> None:
    """As a modality would, in the files' own transfer syntax."""
    where = ["-aec", orthanc.AET, "127.0.0.1", str(settings.port("orthanc_dicom"))]
    call = [orthanc.STORESCU, "-xv", *where, "+sd", str(folder), "+sp", "*.dcm"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"storescu could not send {folder}: {done.stdout}{done.stderr}")


def results(settings: Settings) -> list[dict[str, Any]]:
    """The series in Orthanc that CoDetect made."""
    known = secrets.load(settings.state)["orthanc"]
    asked = {"Level": "Series", "Query": {"Manufacturer": "CoDetect"}, "Expand": True}
    url = f"{orthanc.url(settings)}/tools/find"
    reply = httpx.post(url, json=asked, auth=(orthanc.USER, known), timeout=30, trust_env=False)
    return list(reply.raise_for_status().json())


def wait_for_results(settings: Settings) -> list[dict[str, Any]]:
    """Once the study has been quiet, analysed and its result delivered."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := results(settings)):
        if time.monotonic() > deadline:
            raise Trouble(f"No result came back to Orthanc; see {settings.state}/log/forwarder.log and importer.log.")
        time.sleep(1)
    return found


def show(settings: Settings, folder: Path) -> None:
    """Send, wait, say what is where."""
    port = settings.port("orthanc_dicom")
    print(f"Sending {folder.name} with storescu to {orthanc.AET}@127.0.0.1:{port} (Orthanc) ...", flush=True)
    send(settings, folder)
    print("Orthanc has it and forwards it; once it has been quiet for half a minute it is analysed ...", flush=True)
    for series in wait_for_results(settings):
        tags, count = series["MainDicomTags"], len(series["Instances"])
        print(f"Back in Orthanc: {tags.get('Modality')} {tags.get('SeriesDescription', '')}, {count} instance(s).")
    password = secrets.load(settings.state)["orthanc"]
    print(f"Orthanc: {orthanc.url(settings)}  {orthanc.USER}  {password}  (docs/pacs.md)")
