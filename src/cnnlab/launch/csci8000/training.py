"""`CNNclassify.py train`: one recipe under several seeds, and the folder `model/` that the other commands read.

model/model.safetensors   the network: best by val of the seed that is best by val
model/seeds.csv           a line per seed: best epoch, accuracies
model/accuracy.png        train and test accuracy by epoch, of the same seed
model/runs/               every training in full
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnnlab.arch import Architecture
from cnnlab.arch.layers import Conv
from cnnlab.compare.summary import summarise
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.files import write_atomic
from cnnlab.core.tables import table_lines
from cnnlab.deploy.load import origin_of
from cnnlab.deploy.model_file import write_model
from cnnlab.deploy.run import Run
from cnnlab.launch.csci8000.networks import CLASSIFIER
from cnnlab.launch.options import Options
from cnnlab.launch.replicates import train_seeds
from cnnlab.launch.watch import Watcher
from cnnlab.recipe import Recipe
from cnnlab.report.figures import accuracy_curves

REQUIRED_ACCURACY = 0.75
FIRST_LAYER = Conv((5, 5), 32)
_IMAGE_SHAPE, _CLASSES = (3, 32, 32), 10
COLUMNS = ("seed", "best epoch", "train accuracy", "val accuracy", "test accuracy")


@dataclass(frozen=True)
class Trained:
    """The complete runs, one per seed. `saved` is the one whose network lies in the folder."""

    folder: Path
    runs: tuple[Run, ...]
    saved: Run

    @property
    def model(self) -> Path:
        """The saved network."""
        return self.folder / CLASSIFIER

    @property
    def curves(self) -> Path:
        """The plot of train and test accuracy; an SVG lies beside it."""
        return self.folder / "accuracy.png"

    @property
    def seeds(self) -> Path:
        """The table of seeds, as CSV."""
        return self.folder / "seeds.csv"

    @property
    def why_saved(self) -> str:
        """What the saved seed is among all."""
        return "the best by val" if "val" in self.saved.result.accuracy else "the first: no val to choose by"

    @property
    def test_accuracies(self) -> tuple[float, ...]:
        """Of each seed's network, in the order of the seeds."""
        return tuple(run.accuracy("test") for run in self.runs)

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """A row per seed: the network is the best by val, or that of the last epoch where the recipe has no val."""
        return [
            (
                str(run.recipe.seed),
                str(run.result.best_epoch),
                *(_percent(run.result.accuracy.get(split)) for split in ("train", "val", "test")),
            )
            for run in self.runs
        ]

    @property
    def verdict(self) -> str:
        """Mean and deviation over the seeds, and whether the course's figure is reached."""
        accuracies = self.test_accuracies
        summary = summarise(accuracies)
        reached = "reached" if min(accuracies) >= REQUIRED_ACCURACY else "NOT reached"
        deviation = (
            f"standard deviation {100 * summary.population_std:.2f} points "
            f"(numpy.std: of the population, n = {summary.n})"
            if summary.n > 1
            else "no standard deviation of one seed"
        )
        return f"test accuracy: mean {summary.mean:.2%}, {deviation}; {REQUIRED_ACCURACY:.0%} for every seed: {reached}"

    def table(self) -> str:
        """The rows and the verdict as text."""
        return "\n".join([*table_lines(COLUMNS, self.rows, words=0), "", self.verdict])


def train_classifier(
    recipe: Recipe, seeds: Sequence[int], folder: Path, options: Options, watcher: Watcher | None = None
) -> Trained:
    """Train `recipe` under every seed and fill `folder`. What is finished there is kept, what was stopped goes on.

    Raises ArchitectureError unless the first layer is the course's, and as `train_seeds` does.
    """
    check_first_layer(recipe.arch.build(_IMAGE_SHAPE, _CLASSES))
    runs = train_seeds(recipe, seeds, options, watcher)
    # By val, never by test: test accuracy is reported, it chooses nothing.
    saved = max(runs, key=lambda run: run.result.accuracy.get("val", 0.0))
    trained = Trained(folder, tuple(runs), saved)
    write_model(trained.model, saved.predictor, origin_of(saved.folder))
    title = f"{saved.recipe.name}, seed {saved.recipe.seed}"
    accuracy_curves(saved.metrics, trained.curves, title)
    write_atomic(trained.seeds, _csv(trained))
    return trained


def check_first_layer(architecture: Architecture) -> None:
    """Raises ArchitectureError unless the first layer is a convolution 5x5, stride 1, unpadded, with 32 filters."""
    first = architecture.layers[0]
    if isinstance(first, Conv) and replace(first, bias=FIRST_LAYER.bias) == FIRST_LAYER:
        return
    raise ArchitectureError(
        f"the first layer is '{Architecture((first,))}'; the course wants a convolution 5x5, stride 1, "
        "no padding, 32 filters: begin the architecture with 'conv 5x5 32'"
    )


def _percent(accuracy: float | None) -> str:
    return "" if accuracy is None else f"{accuracy:.2%}"


def _csv(trained: Trained) -> str:
    """Plain numbers, for programs."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([name.replace(" ", "_") for name in COLUMNS] + ["run"])
    for run in trained.runs:
        accuracy = run.result.accuracy
        scores = [accuracy.get(split, "") for split in ("train", "val", "test")]
        writer.writerow([run.recipe.seed, run.result.best_epoch, *scores, run.folder.id])
    return text.getvalue()
