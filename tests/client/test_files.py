"""What paths hold, and what a hostile zip can't do."""

import os
import struct
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from codetect import files
from codetect.files import Collection, collect


@pytest.fixture
def gather() -> "callable":  # type: ignore[valid-type]
    with ExitStack() as stack:
        yield lambda *paths: collect(paths, stack)


def write(path: Path, content: bytes = b"content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(found: Collection) -> list[str]:
    return [Path(source.name).name for source in found.sources]


def codes(found: Collection) -> dict[str, str]:
    return {Path(one.file).name: one.code for one in found.rejected}


def test_folders_are_read_to_the_bottom_in_one_order(gather, tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/9", "c"):
        write(tmp_path / "in" / name)
    assert names(gather(tmp_path / "in")) == ["c", "9", "1", "2"]
    assert names(gather(tmp_path / "in" / "c", tmp_path / "in" / "b")) == ["c", "1", "2"]


def test_a_name_is_what_the_caller_gave(gather, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "in" / "x")
    monkeypatch.chdir(tmp_path)
    assert gather("in").sources[0].name == "in/x"


def test_what_stands_beside_images_is_left_out_unless_it_is_named(gather, tmp_path: Path) -> None:
    for name in (
        "DICOMDIR",
        ".DS_Store",
        "Thumbs.db",
        "README",
        "LICENSE.txt",
        "a.md",
        "._x.dcm",
        "__MACOSX/y",
        "1.dcm",
    ):
        write(tmp_path / "in" / name)
    found = gather(tmp_path / "in")
    assert (names(found), len(found.left_out)) == (["1.dcm"], 8)
    assert names(gather(tmp_path / "in" / "DICOMDIR")) == ["DICOMDIR"]


def test_links_to_folders_pipes_and_closed_folders_do_no_harm(gather, tmp_path: Path) -> None:
    write(tmp_path / "in" / "x")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert names(gather(tmp_path / "in")) == ["x"]
    assert codes(gather(tmp_path / "in" / "pipe")) == {"pipe": "unreadable"}
    assert codes(gather(tmp_path / "gone")) == {"gone": "unreadable"}


def test_an_empty_file_is_rejected(gather, tmp_path: Path) -> None:
    assert codes(gather(write(tmp_path / "x", b""))) == {"x": "empty"}


def test_members_of_a_zip_are_read_by_their_place_not_their_name(gather, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as entries:
        for name in ("../../etc/passwd", "/etc/shadow", "C:\\x", "dir/", "same", "same"):
            with pytest.warns(UserWarning, match="Duplicate") if entries.namelist().count(name) else ExitStack():
                entries.writestr(name, f"{len(entries.filelist)} {name}" if name != "dir/" else "")
    found = gather(archive)
    assert [source.name for source in found.sources] == [
        f"{archive}/{name}" for name in ("../../etc/passwd", "/etc/shadow", "C:\\x", "same", "same")
    ]
    assert [source.open().read().split(b" ")[0] for source in found.sources] == [b"0", b"1", b"2", b"4", b"5"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def test_zips_below_folders_are_unpacked_and_zips_in_zips_are_not(gather, tmp_path: Path) -> None:
    archive = tmp_path / "in" / "A.ZIP"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as entries:
        entries.writestr("1.dcm", "x")
        entries.writestr("inner.zip", "PK")
        entries.writestr("empty", "")
    found = gather(tmp_path / "in")
    assert names(found) == ["1.dcm"]
    assert codes(found) == {"inner.zip": "nested_zip", "empty": "empty"}


def test_an_encrypted_member_is_rejected_with_advice(gather, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as entries:
        entries.writestr("x", "content")
    content = bytearray(archive.read_bytes())
    for at in (6, content.find(b"PK\x01\x02") + 8):
        content[at] |= 1
    archive.write_bytes(content)
    assert codes(gather(archive)) == {"x": "encrypted"}


def test_a_bomb_is_not_unpacked(gather, tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as entries:
        for number in range(5):
            entries.writestr(str(number), bytes(20_000_000))
    found = gather(archive)
    assert codes(found) == {"bomb.zip": "zip_refused"}
    assert "100 times" in found.rejected[0].detail
    assert not found.sources


def test_a_member_that_lies_about_its_size_stops_where_it_said(gather, tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as entries:
        entries.writestr("x", os.urandom(5000))
    content = bytearray(archive.read_bytes())
    struct.pack_into("<L", content, content.find(b"PK\x01\x02") + 24, 100)
    archive.write_bytes(content)
    (source,) = gather(archive).sources
    with source.open() as file, pytest.raises(files.UNREADABLE):
        file.read()


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + bytes(3), b"PK\x05\x06" + b"\xff" * 18]
)
def test_what_only_calls_itself_a_zip_is_rejected(gather, tmp_path: Path, content: bytes) -> None:
    found = gather(write(tmp_path / "a.zip", content))
    assert len(found.rejected) == 1
    assert not found.sources


def test_a_zip_with_an_endless_directory_is_refused_before_it_is_read(
    gather, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as entries:
        for number in range(100):
            entries.writestr(str(number), "x")
    monkeypatch.setattr(files, "MAX_ZIP_DIRECTORY_BYTES", 1000)
    assert codes(gather(archive)) == {"a.zip": "zip_refused"}
    monkeypatch.setattr(files, "MAX_ZIP_DIRECTORY_BYTES", 10_000)
    assert len(gather(archive).sources) == 100
    monkeypatch.setattr(files, "MAX_FILES", 99)
    assert "99 are taken" in gather(archive).rejected[0].detail
    monkeypatch.setattr(files, "MAX_FILES", 100)
    monkeypatch.setattr(files, "MAX_ZIP_BYTES", 99)
    assert "99 are taken" in gather(archive).rejected[0].detail


def test_a_zip_beyond_65535_members_is_read(gather, tmp_path: Path) -> None:
    archive = tmp_path / "many.zip"
    with zipfile.ZipFile(archive, "w") as entries:
        for number in range(65_600):
            entries.writestr(str(number), "x")
    assert len(gather(archive).sources) == 65_600
