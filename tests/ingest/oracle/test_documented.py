from pathlib import Path

from tests.ingest.oracle.differences import DIFFERENCES

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[2] / "docs/dicomweb.md"


def test_every_difference_is_documented_and_nothing_else() -> None:
    _, _, section = DOCUMENT.read_text().partition("## Compared with Orthanc")
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    told = [f"| {name} | {one.ours} | {one.theirs} | {one.why} |" for name, one in DIFFERENCES.items()]
    assert rows[2:] == told, "\n".join(told)


def test_every_difference_is_one_that_a_test_has_seen() -> None:
    tests = "".join(path.read_text() for path in HERE.glob("test_*.py"))
    assert [name for name in DIFFERENCES if f'"{name}"' not in tests] == []
