"""Command line of training: train, publish, card and coverage need PyTorch (`scripts/train`), the others don't."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from getpass import getpass
from pathlib import Path
from typing import Any, get_args

from codetect_training.about import NAME, VERSION
from codetect_training.datasets.dataset import open_dataset
from codetect_training.datasets.report import report
from codetect_training.evaluate import evaluate
from codetect_training.packing import open_given, unsigned
from codetect_training.signing import sign_bundle
from codetect_training.studies.scoring import evaluate_studies
from codetect_training.studies.table import KnownBy, open_table
from codetect_training.words import label_number, table_words

RUNS = Path(".training")
RUN = RUNS / "distilled"
COVERAGE = RUNS / "lung-coverage-densenet"
MADE = RUNS / "made"  # bundles and cards that nobody has read or signed yet


def main() -> None:
    """Parse and call one step; those that need PyTorch import it here, since the service's environment has none."""
    parser = argparse.ArgumentParser(prog="codetect_training", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    training = steps.add_parser("train", help="run an experiment, or go on with it where it was stopped")
    training.add_argument("--experiment", default="distilled", help="its name in experiments.py")
    training.add_argument("--runs", type=Path, default=RUNS, help="folder for what runs leave")
    training.add_argument("--threads", type=int, default=2)
    training.add_argument(
        "--quick", action="store_true", help="two steps of each size, in RUNS/quick, to see that all runs"
    )
    publishing = steps.add_parser("publish", help="export the trained weights as a bundle, calibrated and measured")
    publishing.add_argument("--run", type=Path, default=RUN)
    publishing.add_argument("--models", type=Path, default=Path("models"))
    publishing.add_argument("--check", action="store_true", help="only tell whether the bundle's folder may be written")
    again = steps.add_parser(
        "reissue", help="calibrate and measure a published bundle's model anew, as a raised version"
    )
    again.add_argument("--bundle", type=Path, required=True, help="folder with bundle.json and model.onnx")
    again.add_argument("--run", type=Path, default=RUNS / "reissued", help="folder for what the card needs")
    again.add_argument("--models", type=Path, default=Path("models"))
    card = steps.add_parser("card", help="write the bundle's model card with its plots")
    card.add_argument("--run", type=Path, default=RUN)
    card.add_argument("--models", type=Path, default=Path("models"))
    card.add_argument("--docs", type=Path, default=Path("docs/models"))
    flips = steps.add_parser("flips", help="whether asking the shipped bundle of mirrored images, too, gains anything")
    flips.add_argument("--runs", type=Path, default=RUNS, help="folder that the figures go to, for the card")
    flips.add_argument("--models", type=Path, default=Path("models"))
    add_evaluate(steps.add_parser("evaluate", help="what a bundle scores on labelled images or DICOM studies"))
    coverage = steps.add_parser("coverage", help="make the second bundle, lung coverage, and its card")
    coverage.add_argument("--run", type=Path, default=COVERAGE)
    coverage.add_argument("--models", type=Path, default=MADE)
    coverage.add_argument("--docs", type=Path, default=MADE)
    coverage.add_argument("--threads", type=int, default=2)
    coverage.add_argument("--trained", action="store_true", help="take the weights in --run, don't train anew")
    described = steps.add_parser("dataset", help="what a data set holds: counts, patients, what is left out, terms")
    described.add_argument("description", help="name or file of its description")
    described.add_argument(
        "--distances", type=int, nargs="*", default=[], help="also: groups at these bits of difference"
    )
    signing = steps.add_parser("sign", help="sign a bundle with a private key: no platform takes an unsigned one")
    signing.add_argument("--bundle", type=Path, required=True, help="folder with bundle.json and model.onnx")
    signing.add_argument(
        "--key", type=Path, required=True, help="private key in PEM (P-256); docs/versions.md makes one"
    )
    args = parser.parse_args()
    if args.step == "evaluate":
        figures = evaluated(args)
        print(json.dumps(figures) if args.json else "\n".join(lines(figures)))
    elif args.step == "sign":
        print(f"{args.bundle} is signed with the key {sign_bundle(args.bundle, args.key, getpass)}")
    elif args.step == "train":
        from codetect_training.experiments import train

        train(args.experiment, args.threads, args.runs / "quick" if args.quick else args.runs, args.quick)
    elif args.step == "flips":
        from codetect_training.flips import measure

        print(measure(args.models, args.runs))
    elif args.step == "coverage":
        from codetect_training.coverage import make

        print(make.make(args.run, args.models, args.docs, args.threads, args.trained))
    elif args.step == "dataset":
        print(report(open_dataset(args.description), args.distances))
    elif args.step == "publish" and args.check:
        print(f"{unsigned(args.models / NAME / VERSION)} may be written")
    elif args.step == "publish":
        from codetect_training.publish import publish

        print(publish(args.run, args.models))
    elif args.step == "reissue":
        from codetect_training.reissue import reissue

        print(reissue(args.bundle, args.run, args.models))
    elif args.step == "card":
        from codetect_training.card import write_card

        print(write_card(args.run, args.models, args.docs))


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """What `evaluate` takes."""
    parser.add_argument("--bundle", type=Path, required=True, help="folder with bundle.json and model.onnx")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--images", type=Path, help="folder with sub-folders LABEL and nonLABEL (covid and noncovid)")
    what.add_argument("--dicom", type=Path, help="folder with DICOM files; needs --labels")
    parser.add_argument("--label", help="which of the bundle's labels, where it has several")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    table = parser.add_argument_group("the label table of --dicom")
    table.add_argument("--labels", type=Path, help="CSV file, one line per series, study, patient or folder")
    table.add_argument("--known-by", choices=get_args(KnownBy), help="what its key is; its heading tells by itself")
    table.add_argument("--key", help="heading of the key, such as series or StudyInstanceUID")
    table.add_argument("--column", help="heading of the labels; label by itself")
    table.add_argument(
        "--positive", nargs="+", default=[], metavar="WORD", help="words for the label, instead of usual"
    )
    table.add_argument("--negative", nargs="+", default=[], metavar="WORD", help="words for its absence")


def evaluated(args: argparse.Namespace) -> dict[str, Any]:
    """The figures that `evaluate` was asked for."""
    told = (args.labels, args.known_by, args.key, args.column, args.positive, args.negative)
    if args.images:
        if any(told):
            raise SystemExit("--images takes labels from its sub-folders; a label table goes with --dicom")
        return evaluate(args.bundle, args.images, args.label)
    if not args.labels:
        raise SystemExit(
            "--dicom needs --labels TABLE.csv, which says what each series, study, patient or folder shows"
        )
    manifest = open_given(args.bundle).manifest
    number = label_number(manifest, args.label)
    words = table_words(manifest, number).told(args.positive, args.negative)
    table = open_table(args.labels, words, args.known_by, args.key, args.column)
    return evaluate_studies(args.bundle, args.dicom, table, args.labels, number)


def lines(figures: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Figures as `name: value` lines, parts of them indented."""
    for key, value in figures.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:" + ("" if value else " nothing")
            yield from lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {value}"


if __name__ == "__main__":
    main()
