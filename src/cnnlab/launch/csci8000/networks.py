"""The two networks of the course at work: the classifier in `model/`, and a pretrained ResNet-20."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.arch.layers import Conv, Residual
from cnnlab.core.errors import DataError, WeightsError
from cnnlab.data import load
from cnnlab.data.download import ProgressDisplay
from cnnlab.data.named import CIFAR10_CLASSES
from cnnlab.deploy.load import is_model_file, load_network
from cnnlab.deploy.model_file import TrainedNetwork, open_model, read_model, write_model
from cnnlab.deploy.predictor import Predictor
from cnnlab.deploy.pretrained import fetch_weights, import_weights
from cnnlab.deploy.score import score, scored_split
from cnnlab.inspect.confusion import Confusion, confusion
from cnnlab.inspect.features import FeatureMaps, draw_feature_maps
from cnnlab.report.figures import confusion_heatmap

CLASSIFIER, RESNET20 = "model.safetensors", "resnet20.safetensors"
_KNOWN = "akamaster-resnet20"
FIRST_CONV = "0"


@dataclass(frozen=True)
class Network:
    """A network by the name it has in tables, and where its weights came from."""

    name: str
    predictor: Predictor
    source: str


def classifier(folder: Path) -> Network:
    """What `train` left in `folder`. Raises WeightsError if there is nothing yet."""
    path = folder / CLASSIFIER
    if not path.is_file():
        raise WeightsError(f"no trained model at {path}: run `python CNNclassify.py train` first")
    return Network("classifier", read_model(path), str(path))


def classify(folder: Path, images: Sequence[str | Path], out: Path) -> list[tuple[Path, FeatureMaps]]:
    """Classify image files and draw what the first layer makes of each: `out`, or numbered names for several.

    Raises WeightsError without a model, ImageError naming every image that cannot be taken, StorageError.
    """
    return draw_feature_maps(classifier(folder).predictor, images, out, layer=FIRST_CONV)


def resnet20(
    folder: Path,
    weights: str | None = None,
    download: bool = True,
    progress: ProgressDisplay | None = None,
) -> Network:
    """A pretrained CIFAR ResNet: `weights` is a public file, a model file or a run (its folder, or an id in ./runs).

    Without `weights` it is what an earlier call put into `folder`, else akamaster's, downloaded. A public file is
    converted once, into `folder`. Raises WeightsError for weights that are not there or not of a ResNet for CIFAR-10,
    RunError, DataError where nothing can be fetched.
    """
    converted = folder / RESNET20
    if weights is None and converted.is_file():
        return _as_resnet(open_model(converted), str(converted))
    if weights is None:
        return _converted(_fetched(download, progress), converted)
    path = Path(weights)
    if path.is_file() and not is_model_file(path):
        return _converted(path, converted)
    if not path.exists() and (path.suffix or len(path.parts) > 1):
        raise WeightsError(f"--weights: no such file: {weights}")
    return _as_resnet(load_network(weights), weights)


def _converted(public: Path, target: Path) -> Network:
    imported = import_weights(public)
    network = _as_resnet(TrainedNetwork(imported.predictor, imported.origin), str(public))
    write_model(target, imported.predictor, imported.origin)
    return network


def _as_resnet(trained: TrainedNetwork, place: str) -> Network:
    """The network by the name its depth gives it. Raises WeightsError if it is another one, or not for CIFAR-10."""
    predictor = trained.predictor
    bodies = [layer.body for layer in predictor.architecture.layers if isinstance(layer, Residual)]
    convs = {sum(isinstance(layer, Conv) for layer in body) for body in bodies}
    problems = []
    if convs != {2} or len(bodies) % 3:
        problems.append(f"{place}: expected a ResNet of 6n + 2 layers, received '{predictor.architecture}'")
    if predictor.classes != CIFAR10_CLASSES:
        problems.append(f"{place}: its {len(predictor.classes)} classes are not those of CIFAR-10")
    if problems:
        raise WeightsError(*problems)
    known = [str(trained.origin[key]) for key in ("source", "file", "run") if key in trained.origin]
    return Network(f"ResNet-{2 * len(bodies) + 2}", predictor, ", ".join(known) or place)


@dataclass(frozen=True)
class Scored:
    """A whole test split through a network. `confusion` holds every count."""

    name: str
    confusion: Confusion

    @property
    def accuracy(self) -> float:
        """Share of images whose largest logit is their class's, 0..1."""
        return self.confusion.accuracy

    @property
    def images(self) -> int:
        """How many images there were."""
        return int(self.confusion.counts_KK.sum())

    def draw(self, path: Path) -> Path:
        """The confusion matrix as PNG (`path`) and SVG. Raises StorageError."""
        title = f"{self.name} on the CIFAR-10 test split: {self.accuracy:.2%}"
        return confusion_heatmap(self.confusion.counts_KK, self.confusion.classes, path, title)[0]


def score_test_split(
    network: Network, data_dir: Path | None, download: bool, progress: ProgressDisplay | None = None
) -> Scored:
    """Score the entire test split of CIFAR-10. Raises DataError."""
    dataset = load("cifar10", data_dir, download, progress=progress)
    scored = score(network.predictor, scored_split(network.predictor, dataset, "test"))
    return Scored(network.name, confusion(scored.logits, scored.labels, network.predictor.classes))


def _fetched(download: bool, progress: ProgressDisplay | None) -> Path:
    ways_on = (
        "the ways on: --weights FILE for a public file (akamaster's or chenyaofo's), "
        "`cnnlab train resnet20` and --weights RUN, or a network connection"
    )
    if not download:
        raise DataError(f"no weights of ResNet-20 here, and downloading is off; {ways_on}")
    try:
        return fetch_weights(_KNOWN, progress=progress)
    except DataError as error:
        raise DataError(*error.problems, ways_on) from None
