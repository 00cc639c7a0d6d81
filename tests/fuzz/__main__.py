"""Coverage-guided fuzzing with atheris: `scripts/fuzz SECONDS` runs it. Findings are files, one a place in the code."""

import hashlib
import resource
import sys
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["codetect_ingest", "pydicom"]):
    import pydicom

    from tests.fuzz.seeds import seeds
    from tests.fuzz.target import check

MEMORY_BYTES = 3 * 2**30
FOLDER = Path(".local/fuzz")


def main(seconds: int) -> None:
    """Fuzz for so long; exits with 1 when something was found, now or before."""
    corpus, findings = FOLDER / "corpus", FOLDER / "findings"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds():
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES,) * 2)

    def one(data: bytes) -> None:
        try:
            check(data)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__}-{Path(last.filename).stem}-{last.lineno}"
            if not (findings / where).exists():
                (findings / where).write_bytes(data)
                sys.stderr.write(f"found: {where}: {error}\n")

    options = [f"-max_total_time={seconds}", "-max_len=65536", "-timeout=10", "-rss_limit_mb=0", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={findings}/native-", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(int(sys.argv[1]))
