"""Command line of training: train, export and card need PyTorch (`scripts/train`), evaluate doesn't."""

from __future__ import annotations

import argparse
from pathlib import Path

from codetect_training.data import data_root


def main() -> None:
    """Parse and call one step; each imports what it needs, since the service's environment has no PyTorch."""
    parser = argparse.ArgumentParser(prog="codetect_training", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    training = steps.add_parser("train", help="train on covid-ct/train; goes on where a killed run stopped")
    training.add_argument("--data", type=Path, default=data_root() / "covid-ct")
    training.add_argument("--out", type=Path, default=Path(".training/covid-ct-densenet169"))
    training.add_argument("--threads", type=int, default=2)
    training.add_argument("--quick", action="store_true", help="one epoch of each size, to see that everything runs")
    args = parser.parse_args()
    if args.step == "train":
        from dataclasses import replace

        from codetect_training.train import Recipe, train

        recipe = Recipe()
        if args.quick:
            recipe = replace(recipe, stages=tuple(replace(stage, epochs=1) for stage in recipe.stages))
        train(args.data, args.out, recipe, args.threads)


if __name__ == "__main__":
    main()
