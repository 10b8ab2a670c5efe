"""The steps of CSCI 8000, homework 1: one recipe under several seeds, and a pretrained ResNet-20.

model/model.safetensors   the network: best epoch by val of the best seed by val
model/seeds.csv           a line for each seed: best epoch, accuracies
model/accuracy.png        train and test accuracy by epoch of the same seed; also as SVG
model/runs/               the run folders of all trainings
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnnlab import Options, Recipe, Run
from cnnlab.arch import Architecture
from cnnlab.arch.layers import Conv, Residual
from cnnlab.compare.interval import summarise
from cnnlab.core.errors import ArchitectureError, DataError, WeightsError
from cnnlab.core.files import write_atomic
from cnnlab.core.numbers import percent
from cnnlab.core.tables import csv_text, table_lines
from cnnlab.data import load
from cnnlab.data.download import ProgressDisplay
from cnnlab.data.named import CIFAR10_CLASSES
from cnnlab.deploy.load import is_model_file, load_network
from cnnlab.deploy.model_file import TrainedNetwork, open_model, read_model, write_model
from cnnlab.deploy.predictor import Predictor
from cnnlab.deploy.pretrained import fetch_weights, import_weights
from cnnlab.deploy.score import score, scored_split
from cnnlab.inspect.confusion import Confusion, confusion
from cnnlab.launch.replicates import train_seeds
from cnnlab.report.figures import accuracy_curves, confusion_heatmap
from cnnlab.training.hooks import Watcher

REQUIRED_ACCURACY = 0.75
FIRST_LAYER = Conv((5, 5), 32)
COLUMNS = ("seed", "best epoch", "train accuracy", "val accuracy", "test accuracy")
WAYS_TO_WEIGHTS = (
    "the ways on: --weights FILE for a public file (akamaster's or chenyaofo's), "
    "`cnnlab train resnet20` and --weights RUN, or a network connection"
)


@dataclass(frozen=True)
class Trained:
    """The complete runs, one per seed. The network in `folder` is that of `saved`."""

    folder: Path
    runs: tuple[Run, ...]
    saved: Run

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def curves(self) -> Path:
        return self.folder / "accuracy.png"

    @property
    def seeds(self) -> Path:
        return self.folder / "seeds.csv"

    @property
    def why_saved(self) -> str:
        """Why the saved seed was chosen."""
        has_val = "val" in self.saved.result.accuracy
        return "the best by val" if has_val else "the first: no val to choose by"

    @property
    def values(self) -> list[tuple[Any, ...]]:
        """A row per seed, numbers in full precision: the best epoch by val, or the last without val."""
        splits = ("train", "val", "test")
        return [(run.recipe.seed, run.result.best_epoch, *map(run.result.accuracy.get, splits)) for run in self.runs]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The same as text, accuracies in percent."""
        return [(str(seed), str(best), *map(percent, shares)) for seed, best, *shares in self.values]

    @property
    def verdict(self) -> str:
        """Mean and deviation over the seeds, and whether the course's accuracy is reached."""
        accuracies = [run.accuracy("test") for run in self.runs]
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
    """Train `recipe` with every seed and fill `folder`. Finished runs there are kept, stopped ones continued.

    Raises ArchitectureError unless the first layer is the course's, and as `train_seeds` does.
    """
    check_first_layer(recipe.arch.build((3, 32, 32), 10))
    runs = train_seeds(recipe, seeds, options, watcher)
    # By val, never by test: test accuracy is only reported.
    saved = max(runs, key=lambda run: run.result.accuracy.get("val", 0.0))
    trained = Trained(folder, tuple(runs), saved)
    saved.export(trained.model)
    accuracy_curves(saved.metrics, trained.curves, f"{saved.recipe.name}, seed {saved.recipe.seed}")
    header = [*(name.replace(" ", "_") for name in COLUMNS), "run"]
    rows = [(*row, run.folder.id) for row, run in zip(trained.values, runs, strict=True)]
    write_atomic(trained.seeds, csv_text(header, rows))
    return trained


def check_first_layer(architecture: Architecture) -> None:
    """Raises ArchitectureError unless the first layer is a convolution 5x5, stride 1, unpadded, with 32 filters."""
    first = architecture.layers[0]
    if isinstance(first, Conv) and replace(first, bias=FIRST_LAYER.bias) == FIRST_LAYER:
        return
    raise ArchitectureError(
        f"the first layer is '{Architecture((first,))}'; the course requires a convolution 5x5, stride 1, "
        "no padding, 32 filters: begin the architecture with 'conv 5x5 32'"
    )


@dataclass(frozen=True)
class Network:
    """A network, its name in tables, and the source of its weights."""

    name: str
    predictor: Predictor
    source: str


def classifier(folder: Path) -> Network:
    """The network that `train` saved in `folder`. Raises WeightsError if there is none yet."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise WeightsError(f"no trained model at {path}: run `python CNNclassify.py train` first")
    return Network("classifier", read_model(path), str(path))


def resnet20(folder: Path, weights: str | None, download: bool, progress: ProgressDisplay) -> Network:
    """A pretrained CIFAR ResNet: `weights` is a public file, a model file or a run (its folder, or an id in ./runs).

    Without `weights` it is the file that an earlier call wrote into `folder`, else akamaster's, downloaded. A public
    file is converted once, into `folder`. Raises WeightsError for weights that are missing or not of a ResNet for
    CIFAR-10, RunError, DataError if the download fails.
    """
    converted = folder / "resnet20.safetensors"
    if weights is None and converted.is_file():
        return _as_resnet(open_model(converted), str(converted))
    path = Path(weights) if weights is not None else _fetched(download, progress)
    if path.is_file() and not is_model_file(path):
        imported = import_weights(path)
        network = _as_resnet(TrainedNetwork(imported.predictor, imported.origin), str(path))
        write_model(converted, imported.predictor, imported.origin)
        return network
    if not path.exists() and (path.suffix or len(path.parts) > 1):
        raise WeightsError(f"--weights: no such file: {weights}")
    return _as_resnet(load_network(str(path)), str(path))


def _fetched(download: bool, progress: ProgressDisplay) -> Path:
    if not download:
        raise DataError(f"no weights of ResNet-20 here, and downloading is off; {WAYS_TO_WEIGHTS}")
    try:
        return fetch_weights("akamaster-resnet20", progress=progress)
    except DataError as error:
        raise DataError(*error.problems, WAYS_TO_WEIGHTS) from None


def _as_resnet(trained: TrainedNetwork, place: str) -> Network:
    """The network, named by its depth. Raises WeightsError if it is no ResNet, or not for CIFAR-10."""
    predictor = trained.predictor
    bodies = [layer.body for layer in predictor.architecture.layers if isinstance(layer, Residual)]
    problems = []
    if {sum(isinstance(layer, Conv) for layer in body) for body in bodies} != {2} or len(bodies) % 3:
        problems.append(f"{place}: expected a ResNet of 6n + 2 layers, received '{predictor.architecture}'")
    if predictor.classes != CIFAR10_CLASSES:
        problems.append(f"{place}: its {len(predictor.classes)} classes are not those of CIFAR-10")
    if problems:
        raise WeightsError(*problems)
    known = [str(trained.origin[key]) for key in ("source", "file", "run") if key in trained.origin]
    return Network(f"ResNet-{2 * len(bodies) + 2}", predictor, ", ".join(known) or place)


def score_test_split(network: Network, data_dir: Path | None, download: bool, progress: ProgressDisplay) -> Confusion:
    """Score the entire test split of CIFAR-10. Raises DataError."""
    dataset = load("cifar10", data_dir, download, progress=progress)
    scored = score(network.predictor, scored_split(network.predictor, dataset, "test"))
    return confusion(scored.logits, scored.labels, network.predictor.classes)


def draw_confusion(network: Network, scored: Confusion, folder: Path) -> Path:
    """The confusion matrix as PNG (whose path is returned) and SVG in `folder`. Raises StorageError."""
    title = f"{network.name} on the CIFAR-10 test split: {scored.accuracy:.2%}"
    path = folder / "resnet20-confusion.png"
    return confusion_heatmap(scored.counts_KK, scored.classes, path, title)[0]
