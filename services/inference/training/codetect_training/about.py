"""What the COVID-19 bundle says of itself, and which limits follow from its figures."""

from __future__ import annotations

from typing import Any

SIDE = 192
NAME, VERSION = "covid-ct-densenet169", "1.2.0"
LABEL = "covid_19"
TITLES = {"covid-ct": "COVID-CT", "sars-cov-2-ct": "SARS-CoV-2 CT-scan dataset"}
LEARNT_FROM = ("covid-ct",)  # sources that the weights have seen, and that say what is alike

ABOUT: dict[str, Any] = {
    "schema_version": 1,
    "name": NAME,
    "version": VERSION,
    "title": "COVID-19 pneumonia on chest CT (DenseNet-169)",
    "preprocessing": {"side": SIDE, "level_hu": -600, "width_hu": 1500, "margin": 0.02},
    "pooling": {"method": "mean_of_highest", "share": 0.2, "at_least": 3},
    "few_slices": 10,
    "intended_use": (
        "Research and teaching with axial chest CT: which slices look like the COVID-19 pneumonia of papers of 2020. "
        "Not a medical device. Not for clinical use."
    ),
    "training_data": [
        "COVID-CT (He et al. 2020, arXiv 2003.13865), train split: 191 covid, 234 noncovid images. Nothing else; "
        "weights started at random.",
    ],
}

HOW_MADE = """\
- DenseNet-169 (MONAI), one grey channel, each image standardised inside the model. These are the weights of 1.0.0
  (random at first; COVID-CT alone; 80 epochs at 112 px, 6 at 160, 5 at 224; AdamW, mixup, label smoothing), since 1.1.0
  asked at 192 px instead of 224: on val, their AUC at 128, 160, 192 and 224 px is 0.83, 0.87, 0.89 and 0.85. New in
  1.2.0 are a calibration with a constant (a temperature alone left probabilities too low, calibration error 0.154; in
  fivefold cross-validation 0.144 before and 0.079 since), a threshold of its own for studies (at that of slices
  nearly every study counted as positive), and a reference for drift of slices as the worker prepares them, instead of
  pictures from papers.
- The size was chosen on val, so the figure on val flatters. Weights that went on learning, taught by an
  EfficientNet-Lite0 with ImageNet weights, weren't better yet ([trials.md](trials.md), ADR 0099)."""

ALWAYS = [
    "Slices were labelled, not studies: how well studies are told apart is unmeasured, and will be until there are 30 "
    "labelled studies of each kind.",
    "Trained on 425 images cut from papers, in any window, many with arrows and letters; other scanners, doses and "
    "reconstruction kernels are untested.",
    "Covid and other images come from different sources, so part of what it learnt may be the source.",
    "Other pneumonias, oedema and tumours are barely among its negatives and can look positive.",
    "A low score doesn't rule anything out.",
]


def limits(metrics: list[dict[str, Any]], tried: dict[str, Any]) -> list[str]:
    """What to know before believing it, from what was measured."""
    found = []
    for metric in metrics:
        guessed, low = metric["baseline_auc"], metric["auc_ci95"][0]
        if low < 0.6:
            found.append(
                f"{metric['data']}: its AUC is {metric['auc']:.2f} ({low:.2f} to {metric['auc_ci95'][1]:.2f}; 0.5 is "
                "chance). "
                "It doesn't carry over to other hospitals: take its results as a demonstration of the platform, not as "
                "knowledge of a patient."
            )
        elif guessed > 0.7:
            found.append(
                f"{metric['data']}: an image's size, edges and compression alone guess the label with an AUC of "
                f"{guessed:.2f}, so that {metric['auc']:.2f} there doesn't show that it saw disease."
            )
        elif low < 0.8:
            found.append(f"{metric['data']}: its AUC of {metric['auc']:.2f} may be as low as {low:.2f}.")
    nobody = tried.get("nobody")
    if nobody and nobody["positive"]:
        found.append(
            f"It calls {nobody['study']} positive ({nobody['probability']:.2f}), scanned years before COVID-19 existed."
        )
    if tried["luna16_called_positive"] > 0.1:
        found.append(
            f"It calls {tried['luna16_called_positive']:.0%} of LUNA16's slices positive, all from before COVID-19."
        )
    found.append(
        f"A study counts as positive from a score of {tried['study_threshold']:.2f} on: nine of ten studies simulated "
        "from LUNA16's slices, so without COVID-19, stay below. How many studies with it reach that is unknown."
    )
    missed = [one["what"] for one in tried["alien"] if one["flagged"] < 0.5]
    if missed:
        found.append(f"Its out-of-distribution score mostly lets pass: {', '.join(missed)}.")
    return [*found, *ALWAYS]
