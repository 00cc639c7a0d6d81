"""Nobody is on two sides, whoever they are; and batches hang on seed, epoch and step alone."""

from collections import Counter

import numpy as np
import pytest
from codetect_training.datasets.alike import components, distances, near_pairs, pack, perceptual_hash, unpack
from codetect_training.datasets.sampler import make_sampler
from codetect_training.datasets.splits import check_sides
from PIL import Image

from tests.inference.pictures import NOBODY, folders, opened, picture, save

SHARES = {"by": "shares", "shares": {"train": 0.75, "val": 0.25}, "seed": 1}
WHOLE_VAL = {"by": "whole", "split": "val"}


def hashed(grey) -> np.ndarray:
    small = Image.fromarray(grey).resize((64, 64), Image.Resampling.BILINEAR)
    return perceptual_hash(np.asarray(small, np.float32) / 255)


def test_a_changed_copy_is_alike_and_a_stranger_is_not() -> None:
    one, copy, bright = hashed(picture(1)), hashed(picture(1, 0.04)), hashed((picture(1) * 0.6 + 90).astype(np.uint8))
    assert (one != copy).sum() <= 40
    assert (one != bright).sum() <= 40
    assert min((one != hashed(picture(seed))).sum() for seed in range(2, 30)) > 80
    np.testing.assert_array_equal(unpack([pack(one), pack(copy)]), [one, copy])


def test_pairs_are_found_across_blocks(monkeypatch) -> None:
    monkeypatch.setattr("codetect_training.datasets.alike.BLOCK", 7)
    hashes = np.random.default_rng(3).random((40, 255)) < 0.5
    hashes[33] = hashes[2]
    hashes[34] = hashes[33]
    assert near_pairs(hashes, 40).tolist() == [[2, 33], [2, 34], [33, 34]]
    assert distances(hashes, hashes)[2, 33] == 0
    assert len(set(components(40, near_pairs(hashes, 40)).tolist())) == 38


def test_near_duplicates_stay_on_one_side_and_every_label_gets_its_share(tmp_path) -> None:
    source = folders(tmp_path, 40, split=SHARES)
    for i in range(30):
        save(tmp_path / "set" / "covid" / f"copy_{i}.png", picture(i % 3, 0.03 + 0.0003 * i))
    dataset = opened(tmp_path, {"set": source})
    train, val = dataset.part("train"), dataset.part("val")
    assert not set(train.groups) & set(val.groups)
    assert Counter(Counter(dataset.sides.groups.tolist()).values()) == {1: 77, 11: 3}
    for label, count in ((0, 40), (1, 70)):
        assert (val.labels == label).sum() == pytest.approx(count / 4, abs=1)
    assert opened(tmp_path, {"set": source}).part("val").keys == val.keys
    other = opened(tmp_path, {"set": source | {"split": SHARES | {"seed": 2}}})
    assert other.part("val").keys != val.keys


def test_a_patient_stays_on_one_side(tmp_path) -> None:
    known = {"by": "name", "pattern": r"_(?P<patient>\d)\d*\.png"}
    dataset = opened(tmp_path, {"set": folders(tmp_path, 60, split=SHARES, patients=known)})
    sides = [{key.rpartition("_")[2][0] for key in dataset.part(split).keys} for split in ("train", "val")]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 9 + 1


def test_a_name_without_its_patient_is_refused(tmp_path) -> None:
    known = {"by": "name", "pattern": r"_p(?P<patient>\d)"}
    with pytest.raises(SystemExit, match="mend the pattern"):
        opened(tmp_path, {"set": folders(tmp_path, 1, patients=known)})


def test_neighbours_in_number_that_are_somewhat_alike_stay_together(tmp_path) -> None:
    source = folders(tmp_path, 2)
    for number, change in ((10, 0.0), (12, 0.6), (90, 0.6)):
        save(tmp_path / "set" / "covid" / f"covid_{number}.png", picture(500, change))
    neighbours = {"pattern": r"_(?P<number>\d+)\.", "within": 3, "distance": 120}
    plain = opened(tmp_path, {"set": source}, alike=0)
    assert len(set(plain.sides.groups[plain.sides.groups >= 0].tolist())) == 6  # 12 and 90 are the same picture
    near = opened(tmp_path, {"set": source | {"patients": NOBODY | {"neighbours": neighbours}}}, alike=0, name="near")
    groups = dict(zip((entry.key for entry in near.cached(32).entries), near.sides.groups.tolist(), strict=True))
    assert groups["set/covid/covid_10.png"] == groups["set/covid/covid_12.png"]


def test_a_train_image_that_resembles_another_sources_val_image_is_left_out_and_counted(tmp_path) -> None:
    mine, other = folders(tmp_path, 6), folders(tmp_path, 6, 100, "other", split=WHOLE_VAL)
    save(tmp_path / "set" / "covid" / "covid_2.png", picture(103, 0.03))
    dataset = opened(tmp_path, {"mine": mine, "other": other})
    assert dataset.sides.left_out == {("mine", "train", "val"): 1}
    assert "set/covid/covid_2.png" not in dataset.part("train").keys
    assert len(dataset.part("val").keys) == 12


def test_a_group_that_we_split_ourselves_follows_its_members_in_a_given_split(tmp_path) -> None:
    mine, other = folders(tmp_path, 20, split=SHARES), folders(tmp_path, 8, 100, "other", split=WHOLE_VAL)
    for i in range(8):
        save(tmp_path / "set" / "covid" / f"covid_{i}.png", picture(100 + i, 0.03))
    dataset = opened(tmp_path, {"mine": mine, "other": other})
    assert not dataset.sides.left_out
    mine_in_val = [key for key in dataset.part("val").keys if key.startswith("set/covid")]
    assert mine_in_val == [f"set/covid/covid_{i}.png" for i in range(8)]


def test_patients_of_one_collection_are_known_across_sources(tmp_path) -> None:
    known = {"by": "name", "pattern": r"_(?P<patient>\d)"}
    both = [("mine", {}, 0), ("other", {"split": WHOLE_VAL}, 100)]
    sources = {
        name: folders(tmp_path, 2, first, name, patients=known | {"collection": "town"}, **more)
        for name, more, first in both
    }
    with pytest.raises(SystemExit, match="no train split"):
        opened(tmp_path, sources).part("train")
    for source in sources.values():
        source["patients"] = known
    assert len(opened(tmp_path, sources, name="apart").part("train").keys) == 4


def test_a_given_split_can_be_kept_with_its_leaks_counted(tmp_path) -> None:
    mine, other = folders(tmp_path, 6), folders(tmp_path, 6, folder="other", split=WHOLE_VAL)
    dataset = opened(tmp_path, {"mine": mine, "other": other}, leaks={"action": "keep", "because": "as published"})
    assert dataset.sides.kept_leaks == {("mine", "train", "val"): 12}
    assert len(dataset.part("train").keys) == 12


def test_a_group_on_two_sides_stops_everything() -> None:
    check_sides(np.array([0, 0, 1]), ["train", None, "val"])
    with pytest.raises(SystemExit, match="two sides"):
        check_sides(np.array([0, 0, 1]), ["train", "val", "val"])


def strata() -> tuple[np.ndarray, np.ndarray]:
    """Source 0: 5 + 40 of two classes; source 1: 7 without a label and 13; source 2: 200 without."""
    labels = np.repeat([1, 0, -1, 1, -1], [5, 40, 7, 13, 200])
    return labels, np.repeat([0, 0, 1, 1, 2], [5, 40, 7, 13, 200])


def test_batches_are_balanced_over_sources_and_classes() -> None:
    labels, sources = strata()
    sampler = make_sampler(labels, sources, [1, 1, 1], 12, seed=4, labelled=False)
    rows = np.concatenate([sampler.rows(0, step) for step in range(10)])
    assert Counter(sources[rows].tolist()) == {0: 40, 1: 40, 2: 40}
    assert Counter(zip(sources[rows].tolist(), labels[rows].tolist(), strict=True)) == {
        (0, 0): 20,
        (0, 1): 20,
        (1, -1): 20,
        (1, 1): 20,
        (2, -1): 40,
    }
    assert set(Counter(rows[(sources[rows] == 0) & (labels[rows] == 1)].tolist()).values()) == {4}
    assert len(set(rows[(sources[rows] == 2)].tolist())) == 40


def test_each_lap_and_each_epoch_has_an_order_of_its_own() -> None:
    labels, sources = np.repeat([0, 1], [9, 9]), np.zeros(18, np.int64)
    sampler = make_sampler(labels, sources, [1], 6, seed=4)
    laps = [[sampler.slot(epoch, at) for at in range(lap * 18, lap * 18 + 18, 2)] for epoch in (0, 1) for lap in (0, 1)]
    assert all(sorted(lap) == list(range(9)) for lap in laps)
    assert len(set(map(tuple, laps))) == 4


def test_a_source_may_take_more_turns_and_those_without_labels_can_stay_out() -> None:
    labels, sources = strata()
    sampler = make_sampler(labels, sources, [3, 1, 5], 8, seed=4)
    rows = np.concatenate([sampler.rows(2, step) for step in range(5)])
    assert Counter(sources[rows].tolist()) == {0: 30, 1: 10}
    assert labels[rows].min() == 0


def test_a_batch_hangs_on_seed_epoch_and_step_alone() -> None:
    labels, sources = strata()
    whole = make_sampler(labels, sources, [1, 1, 1], 8, seed=4)
    run = [whole.rows(epoch, step) for epoch in range(3) for step in range(whole.steps)]
    for at in reversed(range(len(run))):  # another process, at any step
        again = make_sampler(labels, sources, [1, 1, 1], 8, seed=4).rows(*divmod(at, whole.steps))
        np.testing.assert_array_equal(again, run[at])
    assert len({rows.tobytes() for rows in run}) == len(run)
    assert whole.rows(0, 0).tolist() != make_sampler(labels, sources, [1, 1, 1], 8, seed=5).rows(0, 0).tolist()
