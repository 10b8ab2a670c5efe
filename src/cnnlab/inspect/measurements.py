"""Measurements of a finished run on its own data, stored in its folder for claims of studies."""

from collections.abc import Mapping
from dataclasses import asdict

from cnnlab.core.errors import DataError
from cnnlab.data import Dataset
from cnnlab.deploy.predictor import Predictor
from cnnlab.deploy.run_data import check_same, train_sample
from cnnlab.inspect.batchnorm import BatchNormStatistics, batchnorm_statistics
from cnnlab.inspect.landscape import Landscape, landscape
from cnnlab.inspect.settings import BatchNormSettings, LandscapeSettings, OnStep
from cnnlab.runs import RunFolder, write_measurement

STANDARD: Mapping[str, LandscapeSettings | BatchNormSettings] = {
    "landscape": LandscapeSettings(),
    "batchnorm": BatchNormSettings(),
}
"""Every measurement, with the settings for claims."""


def measure_landscape(run: RunFolder, dataset: Dataset, settings: LandscapeSettings, on_step: OnStep) -> Landscape:
    """The loss around the run's best network, measured and stored. Raises RunError, DataError, StorageError."""
    predictor = _opened(run, dataset)
    images = train_sample(run, dataset, settings.images)
    found = landscape(predictor, images, settings, run.recipe.seed, on_step)
    write_measurement(run, "landscape", found.to_dict())
    return found


def measure_batchnorm(
    run: RunFolder, dataset: Dataset, settings: BatchNormSettings, on_step: OnStep
) -> BatchNormStatistics:
    """The batch norms of the run's best network, measured and stored. Raises as above, and ArchitectureError."""
    predictor = _opened(run, dataset)
    if dataset.test is None:
        raise DataError(f"{dataset.name} has no test images, and batch norm at inference is measured on them")
    train_images = train_sample(run, dataset, settings.images).images
    batch_size = run.recipe.train.batch_size
    found = batchnorm_statistics(predictor, train_images, dataset.test.images, batch_size, settings, on_step)
    write_measurement(run, "batchnorm", found.to_dict())
    return found


def measure(run: RunFolder, dataset: Dataset, name: str, on_step: OnStep) -> None:
    """The measurement `name` with its standard settings. Raises as above."""
    match STANDARD[name]:
        case LandscapeSettings() as settings:
            measure_landscape(run, dataset, settings, on_step)
        case BatchNormSettings() as settings:
            measure_batchnorm(run, dataset, settings, on_step)


def is_measured(run: RunFolder, name: str) -> bool:
    """Whether the run has the measurement `name` with its standard settings."""
    stored = run.measurement(name)
    return stored is not None and stored.get("settings") == asdict(STANDARD[name])


def _opened(run: RunFolder, dataset: Dataset) -> Predictor:
    """The network of a complete run that used these data."""
    _ = run.complete_result
    check_same(run, dataset)
    return Predictor.from_run(run)
