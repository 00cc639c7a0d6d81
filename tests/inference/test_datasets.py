"""A description says what is in a data set and refuses mistakes; each kind of source gives its slices."""

import nibabel
import numpy as np
import pytest
from codetect_inference.bundle import Preprocessing
from codetect_inference.preprocess import plan_series, prepare_slice
from codetect_training.data import Images, open_folder
from codetect_training.datasets.description import FOLDER, load_description
from codetect_training.datasets.report import report
from codetect_training.datasets.volumes import read_nifti

from tests.inference.pictures import NOBODY, TERMS, chest, describe, folders, opened, picture, save, write_dicom
from tests.inference.samples import COVID, ROOT

SERIES = {"patients": {"by": "name", "known_by": "PatientID", "pattern": "(?P<patient>.+)"}, "terms": TERMS}
GIVEN = {"by": "folders", "folders": {"train": "train", "val": "val"}}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_description_of_ours_can_be_read(path) -> None:
    description = load_description(path.stem)
    assert description.name == path.stem
    assert all(source.terms.cite for source in description.sources.values())


def test_the_example_in_the_docs_can_be_read(tmp_path) -> None:
    page = (ROOT / "docs" / "models" / "data.md").read_text()
    path = tmp_path / "our-hospital.yaml"
    path.write_text(page.partition("```yaml")[2].partition("```")[0])
    assert load_description(path).sources["our-hospital"].hu


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"colour": "grey"}, "sources.set.folders.colour: no such member"),
        ({"terms": {"licence": "none", "use": "tests"}}, "terms.cite: missing"),
        ({"folder": "../elsewhere"}, "relative to CODETECT_DATA"),
        ({"labels": {"covid": "flu"}}, "source set uses flu: add it to `labels`"),
        ({"split": {"by": "shares", "shares": {"train": 0.8, "val": 0.1}}}, "must add up to 1, these to 0.9"),
        ({"patients": {"by": "name", "pattern": "([0-9]+)"}}, r"mark what counts as \(\?P<patient>"),
        ({"patients": {"by": "name", "pattern": "(?P<patient>"}}, "not a regular expression"),
        ({"kind": "tapes"}, "sources.set.*tapes"),
    ],
)
def test_a_description_with_a_mistake_is_refused_with_what_to_do(tmp_path, changes, said) -> None:
    with pytest.raises(SystemExit, match=said):
        load_description(describe(tmp_path, {"set": folders(tmp_path, 1, **changes)}))


def test_leaks_are_kept_for_a_reason_only(tmp_path) -> None:
    path = describe(tmp_path, {"set": folders(tmp_path, 1)}, leaks={"action": "keep"})
    with pytest.raises(SystemExit, match="say why in `because`"):
        load_description(path)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SystemExit, match=r"covid-ct, .*sars-cov-2-ct"):
        load_description("covid")


def test_data_that_is_missing_says_which_variable_to_set(tmp_path) -> None:
    source = folders(tmp_path, 1, folder="set") | {"folder": "gone"}
    with pytest.raises(SystemExit, match="CODETECT_DATA"):
        opened(tmp_path, {"set": source})


def test_an_image_that_cannot_be_decoded_is_named(tmp_path) -> None:
    source = folders(tmp_path, 1)
    (tmp_path / "set" / "covid" / "broken.png").write_bytes(b"no image")
    with pytest.raises(SystemExit, match=r"broken\.png can't be decoded"):
        opened(tmp_path, {"set": source})


def test_folders_give_the_very_images_labels_and_order_of_open_folder(tmp_path) -> None:
    for first, split in enumerate(("train", "val")):
        folders(tmp_path, 5, first * 100, f"set/{split}")
    source = folders(tmp_path, 1, split=GIVEN)
    dataset = opened(tmp_path, {"set": source})
    for split in ("train", "val"):
        before, now = open_folder(tmp_path / "set" / split, COVID), dataset.part(split)
        assert [tmp_path / key for key in now.keys] == before.paths
        np.testing.assert_array_equal(now.labels, before.labels)
        for side in (32, 38):
            np.testing.assert_array_equal(now.load(side), before.load(side))
            assert now.load(side).dtype == np.float32


def test_a_flat_folder_is_unlabelled(tmp_path) -> None:
    for i in range(3):
        save(tmp_path / "flat" / f".{i}.png", picture(i))
    source = folders(tmp_path, 1, folder="flat") | {"labels": None}
    part = opened(tmp_path, {"flat": source}).part("train")
    assert part.labels.tolist() == [-1, -1, -1]
    np.testing.assert_array_equal(
        part.load(32), Images(sorted((tmp_path / "flat").glob("*.png")), np.zeros(3, np.int64)).load(32)
    )


def test_split_files_give_the_images_in_their_order(tmp_path) -> None:
    for i, name in enumerate(("b.png", "a.png", "c.png", "unused.png")):
        save(tmp_path / "images" / name, picture(i))
    (tmp_path / "covid.txt").write_text("b.png\na.png\n\n")
    (tmp_path / "val.txt").write_text("c.png\n")
    lists = {
        "train": {"covid": {"list": "covid.txt", "images": "images"}},
        "val": {"noncovid": {"list": "val.txt", "images": "images"}},
    }
    source = {"kind": "split_files", "lists": lists, "patients": NOBODY, "terms": TERMS}
    dataset = opened(tmp_path, {"set": source})
    assert dataset.part("train").keys == ("images/b.png", "images/a.png")
    assert (dataset.part("val").keys, dataset.part("val").labels.tolist()) == (("images/c.png",), [0])
    (tmp_path / "val.txt").write_text("../covid.txt\n")
    with pytest.raises(SystemExit, match=r"val\.txt names '\.\./covid\.txt'"):
        opened(tmp_path, {"set": source})


def test_dicom_series_are_labelled_by_the_table_and_look_as_the_service_shows_them(tmp_path) -> None:
    hu = np.stack([chest(), chest()[:, ::-1], chest()[::-1]])
    for z, slice_hu in enumerate(hu):
        write_dicom(tmp_path / "ct" / "a" / f"{9 - z}.dcm", slice_hu, "1.2.3", z * 5)
    write_dicom(tmp_path / "ct" / "b" / "1.dcm", chest(), "1.2.4", 0)
    write_dicom(tmp_path / "ct" / "c" / "1.dcm", chest(), "1.2.5", 0)
    write_dicom(
        tmp_path / "ct" / "a" / "scout.dcm", chest(), "1.2.6", 0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]
    )
    write_dicom(tmp_path / "ct" / "a" / "cor.dcm", chest(), "1.2.7", 0, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    (tmp_path / "labels.csv").write_text("series,finding\n1.2.3,yes\n1.2.4,no\n")
    table = {
        "table": "labels.csv",
        "known_by": "SeriesInstanceUID",
        "key": "series",
        "label": "finding",
        "values": {"yes": "covid", "no": "noncovid"},
        "unlisted": "leave_out",
    }
    source = {"kind": "dicom", "folder": "ct", "labels": table, "split": {"by": "whole", "split": "train"}, **SERIES}
    dataset = opened(tmp_path, {"ct": source})
    part = dataset.part("train")
    assert part.labels.tolist() == [1, 1, 1, 0]
    assert dataset.cached(32).pixels.dtype == np.int16
    assert dataset.cached(32).skipped["ct"] == {
        "a localizer, or without a place": 1,
        "not axial": 1,
        "not in the label table": 1,
    }
    plan = plan_series(3, hu.__getitem__, 0.02)
    how = Preprocessing(side=32, level_hu=-600, width_hu=1500, margin=0.02)
    for at, index in enumerate(plan.slices):
        np.testing.assert_allclose(part.load(32)[at], prepare_slice(hu[index], plan.box, how), atol=0.5 / 1500 + 1e-6)
    lines = report(dataset)
    assert "3 covid" in lines
    assert "2 known, of 2 units" in lines
    table["unlisted"] = "refuse"
    with pytest.raises(SystemExit, match=r"labels\.csv has no SeriesInstanceUID 1\.2\.5"):
        opened(tmp_path, {"ct": source})


def test_padding_is_air(tmp_path) -> None:
    hu = chest()
    hu[:4] = -2000
    write_dicom(tmp_path / "ct" / "1.dcm", hu, "1.2.3", 0, PixelPaddingValue=-1976)
    source = {"kind": "dicom", "folder": "ct", "split": {"by": "whole", "split": "train"}, "slices": "every", **SERIES}
    dataset = opened(tmp_path, {"ct": source | {"clip_hu": [-3000, 3000], "margin": 0.5}}, side=96)
    assert dataset.cached(96).pixels.min() == -1024


@pytest.mark.parametrize("right", [1, -1])
def test_nifti_slices_lie_as_dicom_slices_do(tmp_path, right) -> None:
    hu = np.stack([chest(), chest() // 2, chest() // 3])
    stored = hu.transpose(2, 1, 0)[::-right]
    (tmp_path / "ct").mkdir()
    image = nibabel.Nifti1Image(np.ascontiguousarray(stored), np.diag([right, -1, 2.5, 1]))
    nibabel.save(image, tmp_path / "ct" / "one.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "ct" / "one.nii.gz"), hu)
    (tmp_path / "labels.csv").write_text("file,covid\none.nii.gz,1\n")
    table = {"table": "labels.csv", "known_by": "file", "key": "file", "label": "covid", "values": {"1": "covid"}}
    patients = {"by": "table", "table": "labels.csv", "key": "file", "patient": "covid"}
    split = {"by": "whole", "split": "train"}
    source = {"kind": "nifti", "folder": "ct", "labels": table, "split": split, "patients": patients, "terms": TERMS}
    part = opened(tmp_path, {"ct": source}).part("train")
    assert (part.load(32).shape, set(part.labels.tolist())) == ((len(part.labels), 1, 32, 32), {1})
