"""The metrics of a finished run, by name, also those that `cnnlab inspect` measured and stored in it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from cnnlab.compare.curves import FEWEST_EPOCHS, change_after, fall_after, settled_after, unsteadiness
from cnnlab.compare.table import Beyond, Table, Value
from cnnlab.core.errors import CnnlabError, RunError
from cnnlab.core.suggest import did_you_mean
from cnnlab.runs import RunFolder

KEPT_SHARES = "share_below"
"""The measurement of a packed run without weights: threshold -> fraction of weights below it."""

MEASURED: dict[str, tuple[str, str]] = {
    "landscape_nonconvexity": ("landscape", "nonconvexity"),
    "bn_output_mean": ("batchnorm", "output_mean"),
    "bn_output_mean_unshifted": ("batchnorm", "output_mean_unshifted"),
    "bn_normalised_mean": ("batchnorm", "normalised_mean"),
    "bn_train_output_mean": ("batchnorm", "train_output_mean"),
    "bn_train_normalised_mean": ("batchnorm", "train_normalised_mean"),
}
"""Metric to (measurement, name of its number)."""


class MetricError(CnnlabError):
    """A metric that does not exist, or without its parameter."""


@dataclass(frozen=True)
class Metric:
    """A metric with its parameter, if it has one: `best_val`, `epochs_to 0.6`."""

    name: str
    parameter: float | None = None

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name} {self.parameter:g}"

    @classmethod
    def parse(cls, text: str) -> "Metric":
        """Read a name and its parameter, separated by a space. Raises MetricError."""
        name, *parameters = text.split() or [""]
        if name not in METRICS:
            raise MetricError(f"no metric {name!r}{did_you_mean(name, METRICS)}")
        example = METRICS[name].example
        if example is None:
            if parameters:
                raise MetricError(f"metric {name!r}: received {text!r}, expected no parameter")
            return cls(name)
        try:
            (parameter,) = map(float, parameters)
        except ValueError:
            parameter = float("nan")
        if not 0 < parameter < float("inf"):
            raise MetricError(
                f"metric {name!r}: received {text!r}, expected a positive number as in '{name} {example:g}'"
            )
        return cls(name, parameter)


def measure(run: RunFolder, metric: Metric) -> Value:
    """The metric of a complete run. Raises RunError if the run is incomplete or data is missing."""
    _ = run.complete_result
    read = METRICS[metric.name].read
    return read(run) if metric.parameter is None else read(run, metric.parameter)


def tabulate(arms: Mapping[str, Sequence[RunFolder]], metric: Metric) -> Table:
    """arm -> seed -> value, without runs that are too short for it (`is_too_short`).

    Raises RunError with all other runs that cannot be measured, and repeated seeds.
    """
    if metric.name in MEASURED:
        every = [run for runs in arms.values() for run in runs]
        if found := tuple(measurement_problems(every, metric.name)):
            raise RunError(*found)
    problems: list[str] = []
    table: dict[str, dict[int, Value]] = {}
    for arm, runs in arms.items():
        values = table.setdefault(arm, {})
        for run in runs:
            seed = run.recipe.seed
            if seed in values:
                problems.append(f"arm {arm!r} has two runs of seed {seed}, the second is {run.id}; choose one")
                continue
            try:
                values[seed] = measure(run, metric)
            except RunError as error:
                if not is_too_short(run, metric.name):
                    problems += error.problems
    if problems:
        raise RunError(*problems)
    return table


def is_too_short(run: RunFolder, name: str) -> bool:
    """Whether a complete run has too few epochs for the metric of that name, which describes a curve."""
    return METRICS[name].is_curve and len(run.metrics) < FEWEST_EPOCHS and run.result is not None


def _accuracy(run: RunFolder, split: str) -> float:
    accuracies = run.complete_result.accuracy
    if split not in accuracies:
        raise RunError(f"run {run.id} has no accuracy on {split}; it has {', '.join(accuracies)}")
    return accuracies[split]


def _train_val_gap(run: RunFolder) -> float:
    return _in_last_row(run, "train_accuracy") - _in_last_row(run, "val_accuracy")


def _in_last_row(run: RunFolder, key: str) -> float:
    rows = run.metrics
    if not rows or rows[-1].get(key) is None:
        raise RunError(f"run {run.id} has no {key} in its last epoch; train with {_scored_by(key)}")
    return float(rows[-1][key])


def _scored_by(key: str) -> str:
    """The setting of a recipe with which rows have this key."""
    return "train.test_curve = true" if key.startswith("test_") else "data.val above 0"


def _curve(run: RunFolder, key: str) -> list[float]:
    """The values of all epochs. Raises RunError where one is missing."""
    values = [row.get(key) for row in run.metrics]
    if not values or any(value is None for value in values):
        raise RunError(f"run {run.id} has no {key} in some epoch; train with {_scored_by(key)}")
    return [float(value) for value in values if value is not None]


def _of_curve(measured: Callable[..., float], key: str) -> Callable[..., Value]:
    """A number that describes the curve of `key`."""

    def read(run: RunFolder, *parameter: float) -> float:
        try:
            return measured(_curve(run, key), *parameter)
        except RunError:
            raise
        except CnnlabError as error:
            raise RunError(*(f"run {run.id}: {key}: {line}" for line in error.problems)) from None

    return read


def _first(run: RunFolder, threshold: float, key: str) -> Value:
    """`key` of the first epoch with that accuracy on val."""
    _in_last_row(run, "val_accuracy")
    rows = run.metrics
    reached = (float(row[key]) for row in rows if (row.get("val_accuracy") or 0.0) >= threshold)
    return next(reached, Beyond(float(rows[-1][key])))


def _share_below(run: RunFolder, threshold: float) -> float:
    kept = (run.measurement(KEPT_SHARES) or {}).get(f"{threshold:g}")
    if kept is not None:
        return float(kept)
    weights = best_weights(run)
    below = sum(int((np.abs(weight) < threshold).sum()) for weight in weights.values())
    return below / sum(weight.size for weight in weights.values())


def best_weights(run: RunFolder) -> dict[str, "np.ndarray[Any, Any]"]:
    """Weights of convolutions and linear layers (two axes or more) of the network that was scored, by name.

    Raises RunError.
    """
    return {name: array for name, array in run.scored_weights().items() if array.ndim >= 2}


def stored_number(run: RunFolder, metric: str) -> float:
    """The stored value of a metric of `MEASURED`. Raises RunError if the run was not measured."""
    name, key = MEASURED[metric]
    stored = run.measurement(name)
    if stored is None:
        raise RunError(_unmeasured(name, [run]))
    try:
        return float(stored["numbers"][key])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"run {run.id}: its measurement {name!r} lacks {key!r}; measure it again: `cnnlab inspect RUN {name}`"
        ) from error


def measurement_problems(runs: Iterable[RunFolder], metric: str) -> Iterator[str]:
    """One line if runs were not measured, one if they were measured with different settings."""
    name, _ = MEASURED[metric]
    missing: list[RunFolder] = []
    settings: dict[str, list[RunFolder]] = {}
    for run in runs:
        stored = run.measurement(name)
        if stored is None:
            missing.append(run)
        else:
            settings.setdefault(json.dumps(stored.get("settings"), sort_keys=True), []).append(run)
    if missing:
        yield _unmeasured(name, missing)
    if len(settings) > 1:
        kinds = "; ".join(f"{kind}: {_ids(alike)}" for kind, alike in settings.items())
        yield (
            f"measurement {name!r} was made with different settings, so its numbers do not compare ({kinds}); "
            f"{_remedy(name)}"
        )


def _unmeasured(name: str, runs: list[RunFolder]) -> str:
    return f"not measured yet: {name!r} of {_ids(runs)}; {_remedy(name)}"


def _remedy(name: str) -> str:
    return f"`cnnlab study measure STUDY` measures all runs of a study, `cnnlab inspect RUN {name}` one"


def _ids(runs: list[RunFolder]) -> str:
    named = ", ".join(run.id for run in runs[:3])
    return named if len(runs) <= 3 else f"{named} and {len(runs) - 3} more"


@dataclass(frozen=True)
class Kind:
    """How to read a metric of a complete run; `example`: of its parameter, if it has one.

    `needs_val`: not available without validation images; `needs_test_curve`: without `train.test_curve`. `is_time`:
    depends on the machine and its load, so it is compared only under equal conditions (see `comparable`). `is_curve`:
    describes a curve, which needs `FEWEST_EPOCHS`. `is_result`: not known before the training.
    """

    read: Callable[..., Value]
    example: float | None = None
    needs_val: bool = False
    needs_test_curve: bool = False
    is_time: bool = False
    is_curve: bool = False
    is_result: bool = True


METRICS: dict[str, Kind] = {
    "best_val": Kind(partial(_accuracy, split="val"), needs_val=True),
    "final_val": Kind(partial(_in_last_row, key="val_accuracy"), needs_val=True),
    "test": Kind(partial(_accuracy, split="test")),
    "train_val_gap": Kind(_train_val_gap, needs_val=True),
    "seconds": Kind(lambda run: run.complete_result.total_seconds, is_time=True),
    "images_per_second": Kind(lambda run: median(float(row["images_per_second"]) for row in run.metrics), is_time=True),
    "epochs_to": Kind(partial(_first, key="epoch"), example=0.6, needs_val=True),
    "seconds_to": Kind(partial(_first, key="elapsed_seconds"), example=0.6, needs_val=True, is_time=True),
    "parameters": Kind(lambda run: float(run.complete_result.parameters), is_result=False),
    "macs": Kind(lambda run: float(run.complete_result.macs), is_result=False),
    "final_train_loss": Kind(partial(_in_last_row, key="train_loss")),
    "final_test_loss": Kind(partial(_in_last_row, key="test_loss"), needs_test_curve=True),
    "train_loss_settles": Kind(_of_curve(settled_after, "train_loss"), example=0.1, is_curve=True),
    "test_loss_settles": Kind(_of_curve(settled_after, "test_loss"), example=0.1, needs_test_curve=True, is_curve=True),
    "test_fall": Kind(_of_curve(fall_after, "test_accuracy"), example=0.5, needs_test_curve=True, is_curve=True),
    "test_loss_change": Kind(_of_curve(change_after, "test_loss"), example=0.5, needs_test_curve=True, is_curve=True),
    "test_loss_unsteadiness": Kind(_of_curve(unsteadiness, "test_loss"), needs_test_curve=True, is_curve=True),
    "share_below": Kind(_share_below, example=1e-3),
    **{metric: Kind(partial(stored_number, metric=metric)) for metric in MEASURED},
}
