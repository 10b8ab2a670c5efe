"""Inside a trained network: feature maps, confusion, the loss around its weights, outputs of batch norm."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlab.data import Dataset
from cnnlab.deploy.run import load_run
from cnnlab.deploy.run_data import dataset_of
from cnnlab.inspect.confusion import Confusion, confusion_of_run
from cnnlab.inspect.settings import BatchNormSettings, LandscapeSettings, OnStep
from cnnlab.launch.options import Options
from cnnlab.runs import RunFolder

if TYPE_CHECKING:
    from cnnlab.inspect.batchnorm import BatchNormStatistics
    from cnnlab.inspect.features import FeatureMaps
    from cnnlab.inspect.landscape import Landscape

__all__ = [
    "BatchNormSettings", "LandscapeSettings", "OnStep", "batchnorm", "confusion", "draw_confusion",
    "draw_features", "features", "landscape",
]  # fmt: skip


def features(network: str, image: str | Path, layer: str | None = None, runs: Path | None = None) -> "FeatureMaps":
    """The maps of a layer, by default the first convolution. Raises ImageError, ArchitectureError, RunError."""
    from cnnlab.deploy.load import load_predictor
    from cnnlab.inspect.features import feature_maps

    return feature_maps(load_predictor(network, runs), image, layer)


def draw_features(
    network: str, images: Sequence[Path], out: Path, layer: str | None = None, runs: Path | None = None
) -> "list[tuple[Path, FeatureMaps]]":
    """The same for several images or folders, each drawn: figure and maps of each. Raises StorageError too."""
    from cnnlab.deploy.load import load_predictor
    from cnnlab.inspect.features import draw_feature_maps

    return draw_feature_maps(load_predictor(network, runs), images, out, layer)


def confusion(run: str, split: str = "test", runs: Path | None = None) -> Confusion:
    """Which classes are taken for which, from the stored outputs of a run. Raises RunError."""
    return confusion_of_run(load_run(run, runs).folder, split)


def draw_confusion(found: Confusion, out: Path, title: str) -> tuple[Path, Path]:
    """Draw the matrix as a PNG, `out`, and an SVG; returns both. Raises CnnlabError, StorageError."""
    from cnnlab.report.figures import confusion_heatmap

    return confusion_heatmap(found.counts_KK, found.classes, out, title)


def landscape(
    run: str,
    settings: LandscapeSettings | None = None,
    options: Options | None = None,
    on_step: OnStep = lambda done, total: None,
    out: Path | None = None,
) -> "Landscape":
    """Measure the loss around the weights of a complete run, store it there, and draw it into the PNG `out` if given.

    Raises RunError, DataError, CnnlabError, StorageError.
    """
    from cnnlab.inspect.measurements import measure_landscape
    from cnnlab.report.figures import loss_surface, png_name

    if out is not None:
        png_name(out)  # refuses a bad name before the work
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
    on_step: OnStep = lambda done, total: None,
) -> "BatchNormStatistics":
    """Means of batch norm's outputs in training and at inference. Raises as `landscape`, and ArchitectureError."""
    from cnnlab.inspect.measurements import measure_batchnorm

    return measure_batchnorm(*_run_and_data(run, options), settings or BatchNormSettings(), on_step)


def _run_and_data(run: str, options: Options | None) -> tuple[RunFolder, Dataset]:
    """A complete run and the data that it was trained on."""
    options = options or Options()
    folder = load_run(run, options.runs).folder
    _ = folder.complete_result
    return folder, dataset_of(folder, options.data_dir, options.download, options.download_display)
