"""Looking into a trained network: feature maps, confusion, the loss around its weights, what batch norm puts out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab.deploy.run import load_run
from cnnlab.inspect.settings import BatchNormSettings, LandscapeSettings, OnStep
from cnnlab.launch.options import Options

if TYPE_CHECKING:
    from cnnlab.data import Dataset
    from cnnlab.inspect.batchnorm import BatchNormStatistics
    from cnnlab.inspect.confusion import Confusion
    from cnnlab.inspect.features import FeatureMaps
    from cnnlab.inspect.landscape import Landscape
    from cnnlab.runs import RunFolder

__all__ = [
    "BatchNormSettings", "LandscapeSettings", "OnStep", "batchnorm", "confusion", "draw_confusion",
    "draw_features", "features", "landscape",
]  # fmt: skip


def _silent(done: int, total: int) -> None:
    """Told after each step of a measurement."""


def features(
    network: str, image: str | Path, layer: str | None = None, runs: Path | None = None
) -> "FeatureMaps":
    """The maps that a layer, by default the first convolution, makes of an image.

    Raises ImageError, ArchitectureError with the layers that there are, RunError, WeightsError.
    """
    from cnnlab.deploy.load import load_predictor
    from cnnlab.inspect.features import feature_maps

    return feature_maps(load_predictor(network, runs), image, layer)


def draw_features(
    network: str, images: Sequence[Path], out: Path, layer: str | None = None, runs: Path | None = None
) -> "list[tuple[Path, FeatureMaps]]":
    """The same for several images or folders of them, each drawn: its figure and its maps. Raises StorageError too."""
    from cnnlab.deploy.load import load_predictor
    from cnnlab.inspect.features import draw_feature_maps

    return draw_feature_maps(load_predictor(network, runs), images, out, layer)


def confusion(run: str, split: str = "test", runs: Path | None = None) -> "Confusion":
    """Which classes are taken for which, from the outputs that a run stored. Raises RunError."""
    from cnnlab.inspect.confusion import confusion_of_run

    return confusion_of_run(load_run(run, runs).folder, split)


def draw_confusion(found: "Confusion", out: Path, title: str) -> tuple[Path, Path]:
    """The matrix as a PNG, named `out`, and an SVG beside it; both. Raises CnnlabError, StorageError."""
    from cnnlab.report.figures import confusion_heatmap

    return confusion_heatmap(found.counts_KK, found.classes, out, title)


def landscape(
    run: str,
    settings: LandscapeSettings | None = None,
    options: Options | None = None,
    on_step: OnStep = _silent,
    out: Path | None = None,
) -> "Landscape":
    """The loss around the weights of a complete run, measured and kept in it; drawn into the PNG `out` if given.

    Raises RunError, DataError, CnnlabError, StorageError.
    """
    from cnnlab.inspect.measurements import measure_landscape
    from cnnlab.report.figures import loss_surface, png_name

    if out is not None:
        png_name(out)  # refused before the work, not after it
    folder, dataset = _run_and_data(run, options)
    found = measure_landscape(folder, dataset, settings or LandscapeSettings(), on_step)
    if out is not None:
        title = f"{folder.id}: nonconvexity {found.smoothness.nonconvexity:.3f}"
        loss_surface(found.offsets, found.losses_PP, found.nonconvexity, out, title)
    return found


def batchnorm(
    run: str,
    settings: BatchNormSettings | None = None,
    options: Options | None = None,
    on_step: OnStep = _silent,
) -> "BatchNormStatistics":
    """Means of what its batch norms put out, in training and at inference. Raises as above, and ArchitectureError."""
    from cnnlab.inspect.measurements import measure_batchnorm

    return measure_batchnorm(*_run_and_data(run, options), settings or BatchNormSettings(), on_step)


def _run_and_data(run: str, options: Options | None) -> "tuple[RunFolder, Dataset]":
    """The run, for which a model file is not enough, and the data that it was trained on."""
    from cnnlab.deploy.run_data import dataset_of

    options = options or Options()
    folder = load_run(run, options.runs).folder
    _ = folder.complete_result
    return folder, dataset_of(folder, options.data_dir, options.download, options.download_display)
