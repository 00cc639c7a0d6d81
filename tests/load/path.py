"""`make path`: our own lines that one submit runs, from the API to the result, in every process of the stack.

The stack runs under coverage. Once it is idle and the client has its token, all processes change to a new context,
the sample is submitted, and what ran in that context is counted. Lines that ran before (imports, start, log-in) don't
count. The importer's children are killed, not ended, and leave no record: their part is counted by doing it here.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from codetect_ingest.dicom.deidentify import Pseudonyms
from codetect_ingest.dicom.instance import prepare
from codetect_local.demo import SAMPLE, Demo
from codetect_local.settings import ROOT
from codetect_local.stack import Stack
from coverage import Coverage

from tests.infrastructure import clear, settings_apart

TARGET = 800
SERVICES = ("gateway", "auth", "mailer", "ingest", "importer", "inference", "worker", "analytics", "projector")
RC = """
[run]
source_pkgs = codetect_shared, codetect_gateway, codetect_auth, codetect_ingest, codetect_inference, codetect_analytics
parallel = true
data_file = {folder}/data
concurrency = thread, greenlet, multiprocessing
plugins = codetect_local.coverage_switch
sigterm = true
core = ctrace
"""


def main() -> None:
    """Print the lines by package and in all."""
    with tempfile.TemporaryDirectory(prefix="codetect-path-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        rc = folder / "coveragerc"
        rc.write_text(RC.format(folder=folder))
        rc.chmod(0o644)
        os.environ["COVERAGE_PROCESS_START"] = str(rc)
        stack = Stack(settings_apart(folder / "state"))
        try:
            submit_once(stack)
        finally:
            clear(stack)
        report(folder, rc)


def submit_once(stack: Stack) -> None:
    """Bring everything up, change the context everywhere, submit the sample, wait for its result."""
    asyncio.run(stack.up())
    demo = Demo(stack)
    asyncio.run(demo.open_facility())
    demo.publish_models()
    environment = {f"CODETECT_{key.upper()}": value for key, value in demo.known["api_client"].items()}
    time.sleep(3)
    for service in SERVICES:
        stack.supervisor.kill(service, signal.SIGUSR1)
    codetect = Path(sys.executable).with_name("codetect")
    call = [codetect, "submit", SAMPLE, "--facility", demo.known["url"], "--json"]
    untraced = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    done = subprocess.run(call, env=untraced | environment, check=True, capture_output=True, text=True)
    (study,) = json.loads(done.stdout)["studies"]
    assert [one["status"] for one in study["analyses"]] == ["completed"], done.stdout
    time.sleep(2)
    stack.supervisor.halt(*SERVICES)


def report(folder: Path, rc: Path) -> None:
    """Count the executed statements of the context."""
    coverage = Coverage(config_file=str(rc))
    coverage.combine()
    result = folder / "lines.json"
    coverage.json_report(outfile=str(result), contexts=["submit"], ignore_errors=True)
    files = {Path(path).resolve(): set(facts["executed_lines"]) for path, facts in read(result).items()}
    for path, lines in in_a_child(folder).items():
        files[path] = files.get(path, set()) | lines
    packages: Counter[str] = Counter()
    modules: dict[str, int] = {}
    for path, executed in files.items():
        module = path.relative_to(ROOT)
        packages[next(part for part in module.parts if part.startswith("codetect_"))] += len(executed)
        modules[str(module)] = len(executed)
    for path, lines in sorted(modules.items(), key=lambda item: -item[1]):
        if lines:
            print(f"{lines:6} {path}")
    for package, lines in sorted(packages.items()):
        print(json.dumps({"name": f"path_lines_{package}", "value": lines, "unit": "lines"}))
    total = sum(packages.values())
    print(json.dumps({"name": "path_lines", "value": total, "unit": "lines", "target": TARGET}))


def in_a_child(folder: Path) -> dict[Path, set[int]]:
    """The lines that a child runs for one file."""
    coverage = Coverage(data_file=None, config_file=False, source_pkgs=["codetect_ingest.dicom"])
    data, key = next(SAMPLE.glob("*.dcm")).read_bytes(), Pseudonyms(bytes(32))
    with coverage.collect():
        list(prepare(data, key))
    result = folder / "child.json"
    coverage.json_report(outfile=str(result))
    return {Path(path).resolve(): set(facts["executed_lines"]) for path, facts in read(result).items()}


def read(result: Path) -> dict[str, Any]:
    """The files of a JSON report."""
    return dict(json.loads(result.read_text())["files"])


if __name__ == "__main__":
    main()
