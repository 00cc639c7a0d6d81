"""`evaluate` on images and on DICOM studies: the service's own scores, and nothing left out in silence."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from codetect_inference.bundle import open_bundle, open_folder
from codetect_inference.engine import Engine
from codetect_inference.explain import Maps, explain
from codetect_inference.preprocess import plan_series, prepare_batch
from codetect_training.__main__ import main
from codetect_training.evaluate import evaluate
from codetect_training.studies.scoring import figures, score_studies
from codetect_training.studies.table import open_table
from codetect_training.words import folder_words, label_number, plain, table_words
from PIL import Image

from tests.inference.samples import BUNDLE, bundle_files, tiny_model
from tests.inference.studies import small, write_slice, write_study

TWO = [
    {"name": "grey", "title": "Grey", "threshold": 0.6, "temperature": 0.5},
    {"name": "pale_2", "title": "Pale", "threshold": 0.7, "temperature": 1.0},
]
LUNG = list(range(12, 30))  # slices of the sample that show much of it
FIGURES = {"n", "auc", "auc_ci95", "accuracy", "f1", "sensitivity", "specificity", "ece"}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny", bundle_files())


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return written(tmp_path / "two", bundle_files(tiny_model(labels=2), labels=TWO))


def written(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def run(capsys, *words: object) -> dict:
    """What the command prints as JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["codetect_training", "evaluate", *map(str, words), "--json"])
        main()
    return json.loads(capsys.readouterr().out)


def greys(folder: Path, **shades: list[int]) -> Path:
    """Images of one shade each in sub-folders."""
    for name, values in shades.items():
        (folder / name).mkdir(parents=True)
        for value in values:
            Image.new("L", (40, 40), value).save(folder / name / f"{value}.png")
    return folder


def test_words_are_read_with_care() -> None:
    bundle = open_folder(BUNDLE).manifest
    words = folder_words(bundle, 0)
    assert [words.of(word) for word in ("covid", "COVID_19", "noncovid", "Non-COVID", "non-covid-19")] == [
        1,
        1,
        0,
        0,
        0,
    ]
    assert [words.of(word) for word in ("covid-", "covid?", "1", "yes", "")] == [None] * 5
    more = table_words(bundle, 0)
    assert [more.of(word) for word in ("1", "0", "-1", " Yes ", "negative", "covid+")] == [1, 0, None, 1, 0, None]
    told = more.told(["pcr+"], ["pcr-"])
    assert [told.of(word) for word in ("PCR+", "pcr-", "covid", "0")] == [1, 0, None, None]
    with pytest.raises(SystemExit, match="both|its absence"):
        more.told(["a"], ["A"])
    assert plain("a - b_c") == "abc"


def test_labels_that_differ_by_a_number_are_told_apart() -> None:
    labels = [{**TWO[0], "name": name} for name in ("lung_20", "lung_35")]
    bundle = open_bundle(bundle_files(tiny_model(labels=2), labels=labels)).manifest
    words = folder_words(bundle, 1)
    assert [words.of(word) for word in ("lung_35", "lung35", "not_lung_35", "lung", "lung_20")] == [1, 1, 0, None, None]


def test_one_of_several_labels_has_to_be_chosen(two: Path) -> None:
    bundle = open_folder(two).manifest
    with pytest.raises(SystemExit, match="--label one of grey, pale_2"):
        label_number(bundle, None)
    with pytest.raises(SystemExit, match="no label gray"):
        label_number(bundle, "gray")
    assert label_number(bundle, "pale_2") == 1


def test_images_of_any_label(two: Path, tmp_path: Path, capsys) -> None:
    images = greys(tmp_path / "images", pale=[250, 240, 100], not_pale=[10, 20, 150], other=[3])
    found = run(capsys, "--bundle", two, "--images", images, "--label", "pale_2")
    assert set(found) == FIGURES
    assert (found["n"], found["auc"]) == (6, round(8 / 9, 4))
    # 250 / 255 and 240 / 255 are above 0.7 after the sigmoid, and nothing else is
    assert (found["sensitivity"], found["specificity"]) == (0.6667, 1)
    assert found == evaluate(two, images, "pale_2")
    with pytest.raises(SystemExit, match="sub-folders grey and nongrey"):
        evaluate(two, images, "grey")


def test_tables_are_found_out_by_their_headings(tmp_path: Path) -> None:
    words = table_words(open_bundle(bundle_files()).manifest, 0)
    exported = table(tmp_path / "a.csv", "series,study,label,readers,adjudicated", "2.25.1,2.25,grey,2,false")
    found = open_table(exported, words)
    assert (found.known_by, found.said) == ("SeriesInstanceUID", {"2.25.1": "grey"})
    assert open_table(exported, words, key="study").known_by == "StudyInstanceUID"
    assert open_table(exported, words, known_by="StudyInstanceUID", label="readers").said == {"2.25": "2"}
    with pytest.raises(SystemExit, match="no column for Series"):
        open_table(exported, words, "SeriesInstanceUID", key="Series")
    with pytest.raises(SystemExit, match="no column pcr"):
        open_table(exported, words, label="pcr")
    with pytest.raises(SystemExit, match="no column for PatientID"):
        open_table(exported, words, known_by="PatientID")
    with pytest.raises(SystemExit, match="say with --known-by what readers is"):
        open_table(exported, words, key="readers")
    with pytest.raises(SystemExit, match="no column label"):
        open_table(table(tmp_path / "b.csv", "PatientID,pcr", "1,yes"), words)
    with pytest.raises(SystemExit, match="series, study, patient or folder"):
        open_table(table(tmp_path / "c.csv", "accession,label", "1,grey"), words)
    with pytest.raises(SystemExit, match="can't be read"):
        open_table(tmp_path / "none.csv", words)


def test_an_export_of_feedback_is_read_as_it_is(tmp_path: Path) -> None:
    path = table(
        tmp_path / "labels.csv",
        "SeriesInstanceUID,StudyInstanceUID,label,value,readers,adjudicated,model,model_version,decided_at",
        "2.25.1,2.25,grey,present,2,yes,tiny,0.1.0,2026-01-01T00:00:00Z",
        "2.25.1,2.25,pale,absent,1,no,tiny,0.1.0,2026-01-01T00:00:00Z",
        "2.25.2,,grey,absent,1,no,tiny,0.1.0,2026-01-01T00:00:00Z",
    )
    words = table_words(open_bundle(bundle_files()).manifest, 0)
    found = open_table(path, words)
    assert (found.known_by, found.others) == ("SeriesInstanceUID", 1)
    assert {key: words.of(said) for key, said in found.said.items()} == {"2.25.1": 1, "2.25.2": 0}
    path.write_text(path.read_text() + "2.25.1,2.25,grey,absent,1,no,tiny,0.1.0,2026-01-01T00:00:00Z\n")
    with pytest.raises(SystemExit, match="both 'present' and 'absent' for 2.25.1"):
        open_table(path, words)


@pytest.mark.parametrize("known_by", ["SeriesInstanceUID", "StudyInstanceUID", "PatientID", "folder"])
def test_studies_get_the_scores_that_the_service_would_give(tiny: Path, tmp_path: Path, known_by: str) -> None:
    dicom = tmp_path / "dicom"
    write_study(dicom, "7", LUNG[:9])
    write_study(dicom, "8", LUNG[9:])
    names = {"SeriesInstanceUID": "2.25.{}.1", "StudyInstanceUID": "2.25.{}", "PatientID": "P2.25.{}", "folder": "{}"}
    path = table(tmp_path / "t.csv", f"{known_by},label", *(f"{names[known_by].format(n)},grey" for n in (7, 8)))
    bundle = open_folder(tiny)
    found = score_studies(bundle, dicom, open_table(path, table_words(bundle.manifest, 0)), path, 0)
    assert [one.study for one in found.studies] == ["2.25.7", "2.25.8"]
    engine = Engine(bundle)
    for numbers, one in zip((LUNG[:9], LUNG[9:]), found.studies, strict=True):
        hu = [small(number) for number in numbers]
        plan = plan_series(len(hu), hu.__getitem__, 0.2)
        said = engine.run(prepare_batch([hu[n] for n in plan.slices], plan.box, bundle.manifest.preprocessing))
        expected = explain(bundle.manifest, plan, Maps.of(plan, said))
        assert one.score == pytest.approx(expected.findings[0].probability, abs=1e-6)
        np.testing.assert_allclose(one.probabilities, expected.probabilities[:, 0], atol=1e-6)
    assert not found.left_out.told()


def test_what_is_left_out_is_said(tiny: Path, tmp_path: Path, capsys) -> None:
    dicom = tmp_path / "dicom"
    write_study(dicom, "1", LUNG[:6])
    write_study(dicom, "2", LUNG[6:12])
    write_study(dicom, "3", LUNG[:2])  # not in the table
    write_study(dicom, "4", LUNG[:2])  # neither
    write_study(dicom, "5", [1, 2])  # no lung
    write_slice(dicom / "1" / "lying", small(20).T[:, :100], "2.25.1", 50)
    write_slice(dicom / "1" / "again", small(20), "2.25.1", 0)
    write_slice(dicom / "1" / "mr", small(20), "2.25.1", 60, Modality="MR")
    write_slice(dicom / "1" / "coronal", small(20), "2.25.1", 61, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    write_slice(dicom / "1" / "nowhere", small(20), "2.25.1", 62, ImagePositionPatient=None)
    write_slice(dicom / "2" / "torn", small(20), "2.25.2", 63, PixelData=b"\0\0")
    write_slice(dicom / "6", small(20), "2.25.6", 0, PatientID="one")
    write_slice(dicom / "7", small(20), "2.25.6", 1, PatientID="other", SeriesInstanceUID="2.25.6.2")
    write_slice(dicom / "8", small(20), "2.25.8", 0)
    write_slice(dicom / "9", small(20), "2.25.8", 1, SeriesInstanceUID="2.25.8.2")
    (dicom / "README").write_text("not DICOM")
    rows = (
        "1.1,grey",
        "2.1,nongrey",
        "4.1,maybe",
        "5.1,grey",
        "6.1,grey",
        "6.2,grey",
        "8.1,grey",
        "8.2,nongrey",
        "99,grey",
    )
    labels = table(dicom / "t.csv", "series,label", *(f"2.25.{row}" for row in rows))
    found = run(capsys, "--bundle", tiny, "--dicom", dicom, "--labels", labels)
    assert found["left_out"] == {
        "files": {
            "not a DICOM file": 1,
            "of another size or direction than most of its series": 1,
            "a second copy of a slice": 1,
            "not CT": 1,
            "not axial": 1,
            "without size or place": 1,
            "pixels can't be decoded": 1,
        },
        "series": {
            "mixed: read without the slices that don't fit": 1,
            "not in the label table": 1,
            "labelled 'maybe', which is neither grey nor nongrey": 1,
            "shows no lung": 1,
        },
        "studies": {"mixed: of several patients": 1, "mixed: its series have different labels": 1},
        "rows": {"SeriesInstanceUID without a readable axial CT series": 1},
    }
    assert found["label"] == "grey"
    assert set(found["slices"]) == {*FIGURES, "note"}
    assert found["slices"]["n"] == 12
    assert found["studies"] == {
        "n": 2,
        "positive": 1,
        "negative": 1,
        "unmeasured": "Unmeasured: 1 studies with the label and 1 without; figures need at least 30 of each.",
    }


def test_of_a_study_the_series_counts_that_the_service_would_read(tiny: Path, tmp_path: Path) -> None:
    dicom = tmp_path / "dicom"
    write_study(dicom, "1", LUNG[:8])
    for at, number in enumerate(LUNG[:6]):
        write_slice(
            dicom / f"sharp{at}",
            small(number),
            "2.25.1",
            20 + at,
            SeriesInstanceUID="2.25.1.2",
            ConvolutionKernel="LUNG",
        )
    path = table(tmp_path / "t.csv", "study,label", "2.25.1,1")
    bundle = open_folder(tiny)
    found = score_studies(bundle, dicom, open_table(path, table_words(bundle.manifest, 0)), path, 0)
    assert [(one.series, len(one.probabilities)) for one in found.studies] == [("2.25.1.2", 6)]
    assert found.left_out.told() == {"series": {"the service reads another series of the study": 1}}


def test_figures_on_studies_come_with_thirty_on_each_side(tiny: Path, tmp_path: Path) -> None:
    dicom = tmp_path / "dicom"
    for number in range(60):
        write_study(dicom, str(number), [LUNG[number % len(LUNG)]])
    rows = [f"2.25.{number},{int(number >= 30)}" for number in range(60)]
    bundle = open_folder(tiny)
    words = table_words(bundle.manifest, 0)
    path = table(tmp_path / "t.csv", "study,label", *rows)
    found = figures(score_studies(bundle, dicom, open_table(path, words), path, 0), bundle.manifest, 0)
    assert set(found["studies"]) == FIGURES
    assert found["studies"]["n"] == 60
    assert found["studies"]["auc"] == found["slices"]["auc"]  # one slice each
    path = table(tmp_path / "fewer.csv", "study,label", *rows[1:])
    found = figures(score_studies(bundle, dicom, open_table(path, words), path, 0), bundle.manifest, 0)
    assert found["studies"]["unmeasured"].startswith("Unmeasured: 30 studies with the label and 29 without")


def test_arguments_that_do_not_fit_are_refused(tiny: Path, tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit, match="--dicom needs --labels"):
        run(capsys, "--bundle", tiny, "--dicom", tmp_path)
    with pytest.raises(SystemExit, match="goes with --dicom"):
        run(capsys, "--bundle", tiny, "--images", tmp_path, "--column", "pcr")
    path = table(tmp_path / "t.csv", "series,label", "1,grey")
    with pytest.raises(SystemExit, match="isn't a folder"):
        run(capsys, "--bundle", tiny, "--dicom", tmp_path / "none", "--labels", path)


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="this environment has PyTorch")
def test_it_runs_without_pytorch(tiny: Path, tmp_path: Path) -> None:
    write_study(tmp_path / "dicom", "1", LUNG[:3])
    path = table(tmp_path / "t.csv", "series,label", "2.25.1.1,grey")
    command = [sys.executable, "-m", "codetect_training", "evaluate", "--bundle", tiny, "--labels", path]
    done = subprocess.run([*command, "--dicom", tmp_path / "dicom"], capture_output=True, text=True, check=True)
    assert "label: grey\nslices:\n  n: 3\n" in done.stdout
    assert "left_out: nothing" in done.stdout
