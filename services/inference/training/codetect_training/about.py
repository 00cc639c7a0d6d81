"""What the COVID-19 bundle says of itself, and which limits follow from its figures."""

from __future__ import annotations

from typing import Any

SIDE = 192
NAME, VERSION = "covid-ct-densenet169", "2.0.0"

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
        "COVID-CT (He et al. 2020, arXiv 2003.13865), train split: 188 covid, 234 noncovid images.",
        "SARS-CoV-2 CT-scan dataset (Soares et al. 2020, medRxiv 2020.04.24.20078584), 80 % of it: 1,003 covid, 986 "
        "noncovid images.",
        "LUNA16 and LIDC-IDRI (doi 10.7937/K9/TCIA.2015.LO9QL9SX), without labels: 1,089 slices of 500 patients.",
        "ImageNet, by way of the teachers' weights (EfficientNet-Lite0).",
    ],
}

ALWAYS = [
    "Slices were labelled, not studies: how well studies are told apart is unmeasured, and will be until there are 30 "
    "labelled studies of each kind.",
    "Its images are figures cut from papers and pictures of one hospital's scans, in unknown windows: other scanners, "
    "doses and reconstruction kernels are untested.",
    "Other pneumonias, oedema and tumours are barely among its negatives and can look positive.",
    "A low score doesn't rule anything out.",
]


def limits(metrics: list[dict[str, Any]], tried: dict[str, Any]) -> list[str]:
    """What to know before believing it, from what was measured."""
    found = []
    for metric in metrics:
        guessed, low = metric["baseline_auc"], metric["auc_ci95"][0]
        if guessed > 0.7:
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
    missed = [one["what"] for one in tried["alien"] if one["flagged"] < 0.5]
    if missed:
        found.append(f"Its out-of-distribution score mostly lets pass: {', '.join(missed)}.")
    return [*found, *ALWAYS]
