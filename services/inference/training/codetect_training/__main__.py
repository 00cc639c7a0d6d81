"""Command line of training: train, publish and card need PyTorch (`scripts/train`), the others don't."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from getpass import getpass
from pathlib import Path

from codetect_training.datasets.dataset import open_dataset
from codetect_training.datasets.report import report
from codetect_training.evaluate import evaluate
from codetect_training.signing import sign_bundle

RUN = Path(".training/covid-ct-densenet169")


def main() -> None:
    """Parse and call one step; those that need PyTorch import it here, since the service's environment has none."""
    parser = argparse.ArgumentParser(prog="codetect_training", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    training = steps.add_parser("train", help="train on a data set; goes on where a killed run stopped")
    training.add_argument("--dataset", default="covid-ct", help="name or file of its description")
    training.add_argument("--out", type=Path, default=RUN)
    training.add_argument("--threads", type=int, default=2)
    training.add_argument("--quick", action="store_true", help="one epoch of each size, to see that everything runs")
    publishing = steps.add_parser("publish", help="export the trained weights as a bundle, calibrated and measured")
    publishing.add_argument("--run", type=Path, default=RUN)
    publishing.add_argument("--models", type=Path, default=Path("models"))
    card = steps.add_parser("card", help="write the bundle's model card with its plots")
    card.add_argument("--run", type=Path, default=RUN)
    card.add_argument("--models", type=Path, default=Path("models"))
    card.add_argument("--docs", type=Path, default=Path("docs/models"))
    evaluation = steps.add_parser("evaluate", help="what a bundle scores on a folder of labelled images")
    evaluation.add_argument("--bundle", type=Path, required=True, help="folder with bundle.json and model.onnx")
    evaluation.add_argument("--images", type=Path, required=True, help="folder with sub-folders covid and noncovid")
    evaluation.add_argument("--json", action="store_true", help="print one JSON object")
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
        figures = evaluate(args.bundle, args.images)
        print(json.dumps(figures) if args.json else "\n".join(f"{key}: {value}" for key, value in figures.items()))
    elif args.step == "sign":
        print(f"{args.bundle} is signed with the key {sign_bundle(args.bundle, args.key, getpass)}")
    elif args.step == "train":
        from codetect_training.train import Recipe, train

        recipe = Recipe()
        if args.quick:
            recipe = replace(recipe, stages=tuple(replace(stage, epochs=1) for stage in recipe.stages))
        train(open_dataset(args.dataset), args.out, recipe, args.threads)
    elif args.step == "dataset":
        print(report(open_dataset(args.description), args.distances))
    elif args.step == "publish":
        from codetect_training.publish import publish

        print(publish(args.run, args.models))
    elif args.step == "card":
        from codetect_training.card import write_card

        print(write_card(args.run, args.models, args.docs))


if __name__ == "__main__":
    main()
