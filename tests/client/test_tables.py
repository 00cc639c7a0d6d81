"""Tables that the command exports: whole, or what was there before stays."""

import asyncio
import os
import resource
from pathlib import Path

import pytest

from tests.client.double import Double
from tests.client.test_cli import CODETECT, Command, codetect, ended  # noqa: F401 - a fixture

TABLES = [("export",), ("export", "--format", "jsonl"), ("export", "labels")]
EARLIER = "an earlier table"
tables = pytest.mark.parametrize("call", TABLES, ids=" ".join)


@pytest.fixture
async def table(codetect: Command, double: Double, folder: Path, tmp_path: Path) -> Path:  # noqa: F811
    """The file of an earlier export; since then there are three analyses, on two pages."""
    double.analyses_per_study = 3
    await codetect("submit", folder)
    double.log.clear()
    table = tmp_path / "tables" / "table"
    table.parent.mkdir()
    table.write_text(EARLIER)
    return table


def alone(table: Path) -> str:
    """What stands in the file, beside which nothing is left over."""
    assert list(table.parent.iterdir()) == [table]
    return table.read_text()


@tables
async def test_a_table_takes_the_place_of_an_earlier_one(codetect: Command, table: Path, call: tuple[str]) -> None:  # noqa: F811
    printed = (await codetect(*call)).out
    assert (await codetect(*call, "-o", table)).code == 0
    assert table.read_bytes().decode().splitlines() == printed.splitlines()
    assert alone(table) != EARLIER


@tables
async def test_what_is_refused_leaves_the_earlier_table(
    codetect: Command,  # noqa: F811
    double: Double,
    table: Path,
    call: tuple[str],
) -> None:
    double.fail("GET /api/v1/", 403)
    assert (await codetect(*call, "-o", table)).code == 1
    assert alone(table) == EARLIER


async def test_a_break_on_a_later_page_leaves_the_earlier_table(
    codetect: Command,  # noqa: F811
    double: Double,
    table: Path,
) -> None:
    del list(double.analyses.values())[-1]["status"]
    done = await codetect("export", "-o", table)
    assert (done.code, double.times("GET /api/v1/analyses")) == (1, 2)
    assert alone(table) == EARLIER


@tables
@pytest.mark.usefixtures("codetect")
async def test_a_full_disk_leaves_the_earlier_table(table: Path, call: tuple[str]) -> None:
    pipe = asyncio.subprocess.PIPE
    small = resource.RLIMIT_FSIZE, (100, 100)
    process = await asyncio.create_subprocess_exec(
        CODETECT, *call, "-o", table, stdout=pipe, stderr=pipe, preexec_fn=lambda: resource.setrlimit(*small)
    )
    done = await ended(process)
    assert (done.code, done.out, done.err) == (1, "", f"{table} can't be written: File too large.\n")
    assert alone(table) == EARLIER


@tables
async def test_a_file_that_cant_be_made_is_told_in_a_sentence(codetect: Command, table: Path, call: tuple[str]) -> None:  # noqa: F811
    away = table.with_name("no") / "table"
    done = await codetect(*call, "-o", away)
    assert (done.code, done.err) == (1, f"{away} can't be written: No such file or directory.\n")


@tables
async def test_pipes_and_links_stay_what_they_are(codetect: Command, table: Path, call: tuple[str]) -> None:  # noqa: F811
    printed = (await codetect(*call)).out.splitlines()
    pipe, link = table.with_name("pipe"), table.with_name("link")
    os.mkfifo(pipe)
    link.symlink_to(table)
    reader = os.open(pipe, os.O_RDWR)
    try:
        assert (await codetect(*call, "-o", pipe)).code == 0
        assert os.read(reader, 1 << 16).decode().splitlines() == printed
    finally:
        os.close(reader)
    assert (await codetect(*call, "-o", link)).code == 0
    assert link.is_symlink()
    assert table.read_text().splitlines() == printed
