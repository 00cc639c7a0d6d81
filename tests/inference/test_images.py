"""`evaluate --images`: every image that is there counts, and what is wrong is said in a sentence that names it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from codetect_training.baseline import hand
from codetect_training.data import open_folder, read_image
from codetect_training.datasets.sources import Unit, read_grey
from codetect_training.evaluate import evaluate
from codetect_training.grey import open_grey
from PIL import Image

from tests.inference.pictures import picture, save
from tests.inference.samples import COVID, bundle_files

KINDS = ["a.png", "b.JPG", "c.jpeg", "d.bmp", "e.tif", "f.tiff", "g.webp"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for number, label in enumerate(("grey", "nongrey")):
        for i in range(3):
            save(tmp_path / "images" / label / f"{i}.png", picture(10 * number + i))
    return tmp_path / "images"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    for name, content in bundle_files().items():
        (tmp_path / "tiny" / name).write_bytes(content)
    return tmp_path / "tiny"


def asked(bundle: Path, images: Path) -> subprocess.CompletedProcess[str]:
    """The command as somebody types it."""
    words = ["-m", "codetect_training", "evaluate", "--bundle", str(bundle), "--images", str(images), "--json"]
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)


def torn(path: Path) -> None:
    save(path, picture(1))
    path.write_bytes(path.read_bytes()[:-700])


@pytest.mark.parametrize("name", ["corrupt.png", "empty.jpg", "torn.jpg", "torn.tif", "palette.bmp"])
def test_a_file_that_cannot_be_decoded_is_named(bundle: Path, images: Path, name: str) -> None:
    path = images / "grey" / name
    if name.startswith("torn"):
        torn(path)
    else:
        path.write_bytes({"corrupt.png": b"no image", "empty.jpg": b"", "palette.bmp": odd_palette()}[name])
    with pytest.raises(SystemExit, match=rf"grey/{name} can't be decoded \(.+\): take it out of the folder"):
        evaluate(bundle, images)


def odd_palette() -> bytes:
    """A BMP whose palette has an impossible size, which Pillow raises a ValueError for."""
    content = bytearray(54) + bytes(1064)
    content[:2], content[10], content[14], content[18], content[22] = b"BM", 54, 40, 8, 8
    content[26], content[28], content[46:50] = 1, 8, (9999).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "kind", "white"),
    [
        ("16.png", np.uint16, 65535),
        ("12.png", np.uint16, 4095),
        ("8.png", np.uint16, 255),
        ("16.tif", np.uint16, 65535),
        ("big.tif", ">u2", 65535),
        ("32.tif", np.int32, 65535),
        ("12.tif", np.int32, 4095),
        ("float.tif", np.float32, 255),
        ("one.tif", np.float32, 1),
    ],
)
def test_more_bits_give_the_same_grey_as_eight_to_both_readers(tmp_path: Path, name: str, kind, white: int) -> None:
    grey = picture(1)
    grey[0, 0] = 255
    path, plain = tmp_path / name, save(tmp_path / "plain.png", grey)
    Image.fromarray((grey / 255 * white).astype(kind)).save(path)
    with Image.open(path) as image:
        assert image.mode != "L"
    np.testing.assert_allclose(np.asarray(open_grey(path), int), grey, atol=1)
    assert np.array_equal(np.asarray(open_grey(plain)), grey)
    for side in (32, 60):
        np.testing.assert_allclose(read_image(path, side), read_image(plain, side), atol=1.01 / 255)
        ours, theirs = (read_grey(Unit(one.name, (one,), None, None, None), side) for one in (path, plain))
        np.testing.assert_allclose(ours.pixels.astype(int), theirs.pixels.astype(int), atol=1)
        np.testing.assert_allclose(ours.look, theirs.look, atol=1.01 / 255)
    np.testing.assert_allclose(hand(path)[4:], hand(plain)[4:], atol=0.01)


@pytest.mark.parametrize(("low", "high"), [(-1024, 3071), (0, 70_000), (0, np.nan)])
def test_what_is_no_grey_is_refused(tmp_path: Path, low: float, high: float) -> None:
    path = tmp_path / "hu.tif"
    Image.fromarray(np.linspace(low, high, 64, dtype=np.float32).reshape(8, 8)).save(path)
    with pytest.raises(
        SystemExit, match=r"hu\.tif can't be decoded \(its values are .* to .*, where an image has 0 to"
    ):
        open_grey(path)


def test_a_stack_of_pictures_in_one_file_is_refused(tmp_path: Path) -> None:
    pages = [Image.fromarray(picture(seed)) for seed in range(3)]
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(SystemExit, match=r"stack\.tif holds several pictures"):
        open_grey(tmp_path / "stack.tif")


def test_hidden_files_are_skipped_and_folders_looked_through(bundle: Path, images: Path) -> None:
    before = asked(bundle, images)
    assert (before.returncode, before.stderr) == (0, "")
    for hidden in ("._0.png", ".DS_Store", ".thumbs/0.png"):
        path = images / "grey" / hidden
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\5\x16\7")
    (images / "grey" / "x.png").mkdir()
    assert asked(bundle, images).stdout == before.stdout
    for place in ("x.png/1.png", "patient 7/series/1.png"):
        save(images / "grey" / place, picture(3))
    found = asked(bundle, images)
    assert '"n": 8,' in found.stdout
    assert found.stderr == ""


def test_every_kind_of_image_file_is_taken_in_order(tmp_path: Path) -> None:
    for label in ("covid", "noncovid"):
        for name in KINDS:
            save(tmp_path / label / name, picture(1))
    found = open_folder(tmp_path, COVID)
    assert [path.name for path in found.paths] == KINDS * 2
    assert found.labels.tolist() == [1] * 7 + [0] * 7
    np.testing.assert_allclose(found.load(32), found.load(32)[:1].repeat(14, 0), atol=0.06)  # some kinds lose a little


def test_what_is_passed_over_is_told_and_json_stays_alone_on_stdout(bundle: Path, images: Path) -> None:
    before = asked(bundle, images)
    for i in range(5):
        (images / "grey" / f"{i}.gif").write_bytes(b"GIF")
    (images / "nongrey" / "series").symlink_to(images / "grey")
    (images / "gray").mkdir()
    save(images / "loose.png", picture(1))
    found = asked(bundle, images)
    assert found.stdout == before.stdout
    assert found.stderr.splitlines() == [
        f"2 passed over, not a sub-folder grey or nongrey: {images}/gray, {images}/loose.png",
        "6 passed over, not an image file (.bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp): "
        f"{images}/grey/0.gif, {images}/grey/1.gif, {images}/grey/2.gif, ...",
    ]


def test_an_image_below_both_labels_is_refused(images: Path, bundle: Path) -> None:
    save(images / "grey" / "nongrey" / "1.png", picture(1))
    with pytest.raises(SystemExit, match="below both grey and nongrey"):
        evaluate(bundle, images)


def test_folders_that_are_not_there_are_said_without_a_traceback(bundle: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    for given, said in (
        ((tmp_path / "gone", images), f"{tmp_path}/gone isn't a folder: give one with bundle.json and model.onnx"),
        ((tmp_path / "nothing", images), f"{tmp_path}/nothing can't be used: bundle.json is missing"),
        ((bundle, tmp_path / "gone"), f"{tmp_path}/gone isn't a folder: give one with sub-folders grey and nongrey"),
    ):
        found = asked(*given)
        assert found.returncode == 1
        assert found.stdout == ""
        assert found.stderr.startswith(said), found.stderr
        assert len(found.stderr.splitlines()) == 1


def test_a_bundle_that_is_not_there_is_said_when_signing_or_reading_studies(tmp_path: Path) -> None:
    for words in (
        ["sign", "--bundle", tmp_path / "gone", "--key", tmp_path / "key.pem"],
        ["evaluate", "--bundle", tmp_path / "gone", "--dicom", tmp_path, "--labels", tmp_path / "t.csv"],
    ):
        command = [sys.executable, "-m", "codetect_training", *map(str, words)]
        found = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert found.stderr == f"{tmp_path}/gone isn't a folder: give one with bundle.json and model.onnx\n"
