"""One training by cnnlab's public interface that prints each epoch as the yardstick does.

python -m bench.worker simplenn-aug --runs FOLDER --threads 2 --set train.epochs=2
"""

import argparse
import json
from pathlib import Path

from cnnlab import Options, Recipe, train
from cnnlab.training.hooks import Row, Watcher


class PrintEpochs(Watcher):
    """One JSON line per epoch on stdout."""

    def on_epoch(self, row: Row) -> None:
        names = {"train_s": "train_seconds", "eval_s": "eval_seconds", "images_per_s": "images_per_second"}
        print(json.dumps({ours: row[theirs] for ours, theirs in names.items()}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    recipe = Recipe.load(args.recipe, args.overrides)
    train(recipe, Options(threads=args.threads, runs=args.runs), PrintEpochs())


if __name__ == "__main__":
    main()
