"""The numbers of a finished run that claims may be about, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from cnnlab.compare.measured import MEASURED, measurement_problems, stored_number
from cnnlab.compare.table import Beyond, Table, Value
from cnnlab.core.errors import CnnlabError, RunError
from cnnlab.core.suggest import did_you_mean
from cnnlab.runs import RunFolder
from cnnlab.runs.weights import scored_weights

KEPT_SHARES = "share_below"
"""The measurement of a packed run, whose weights are gone: threshold -> share of weights below it."""


class MetricError(CnnlabError):
    """A metric that does not exist, or lacks its parameter."""


@dataclass(frozen=True)
class Metric:
    """A metric with its parameter where it takes one: `best_val`, `epochs_to 0.6`."""

    name: str
    parameter: float | None = None

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name} {self.parameter:g}"

    @classmethod
    def parse(cls, text: str) -> "Metric":
        """Read a name and its parameter, apart by a space. Raises MetricError naming the nearest metric."""
        name, *parameters = text.split() or [""]
        if name not in PLAIN and name not in WITH_PARAMETER:
            raise MetricError(f"no metric {name!r}{did_you_mean(name, [*PLAIN, *WITH_PARAMETER])}")
        if name in PLAIN:
            if parameters:
                raise MetricError(f"metric {name!r}: received {text!r}, expected no parameter")
            return cls(name)
        try:
            (parameter,) = map(float, parameters)
        except ValueError:
            parameter = float("nan")
        if not 0 < parameter < float("inf"):
            example = f"{name} {WITH_PARAMETER[name][1]:g}"
            raise MetricError(
                f"metric {name!r}: received {text!r}, expected a positive number as in {example!r}"
            )
        return cls(name, parameter)


def measure(run: RunFolder, metric: Metric) -> Value:
    """The metric of a complete run. Raises RunError where the run is not complete or lacks what it takes."""
    result = run.result
    if result is None:
        raise RunError(f"run {run.id} is {run.status}; complete it before it is compared")
    if metric.parameter is None:
        return PLAIN[metric.name](run, result)
    return WITH_PARAMETER[metric.name][0](run, metric.parameter)


def tabulate(arms: Mapping[str, Sequence[RunFolder]], metric: Metric) -> Table:
    """arm -> seed -> value. Raises RunError naming every run that cannot be measured, and seeds that come twice."""
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
                problems.append(
                    f"arm {arm!r} has two runs of seed {seed}, the second is {run.id}; choose one"
                )
                continue
            try:
                values[seed] = measure(run, metric)
            except RunError as error:
                problems += error.problems
    if problems:
        raise RunError(*problems)
    return table


def _accuracy(split: str) -> Callable[[RunFolder, dict[str, Any]], float]:
    def of(run: RunFolder, result: dict[str, Any]) -> float:
        if split not in result["accuracy"]:
            raise RunError(f"run {run.id} has no accuracy on {split}; it has {', '.join(result['accuracy'])}")
        return float(result["accuracy"][split])

    return of


def _final_val(run: RunFolder, result: dict[str, Any]) -> float:
    return _in_last_row(run, "val_accuracy")


def _train_val_gap(run: RunFolder, result: dict[str, Any]) -> float:
    return _in_last_row(run, "train_accuracy") - _in_last_row(run, "val_accuracy")


def _seconds(run: RunFolder, result: dict[str, Any]) -> float:
    return float(sum(result["seconds"].values()))


def _images_per_second(run: RunFolder, result: dict[str, Any]) -> float:
    return median(float(row["images_per_second"]) for row in run.metrics)


def _measured(metric: str) -> Callable[[RunFolder, dict[str, Any]], float]:
    return lambda run, result: stored_number(run, metric)


def _in_last_row(run: RunFolder, key: str) -> float:
    rows = run.metrics
    if not rows or rows[-1].get(key) is None:
        raise RunError(f"run {run.id} has no {key} in its last epoch; train with data.val above 0")
    return float(rows[-1][key])


def _epochs_to(run: RunFolder, threshold: float) -> Value:
    _in_last_row(run, "val_accuracy")
    rows = run.metrics
    reached = (float(row["epoch"]) for row in rows if (row.get("val_accuracy") or 0.0) >= threshold)
    return next(reached, Beyond(float(rows[-1]["epoch"])))


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
    return {name: array for name, array in scored_weights(run).items() if array.ndim >= 2}


PLAIN: dict[str, Callable[[RunFolder, dict[str, Any]], float]] = {
    "best_val": _accuracy("val"),
    "final_val": _final_val,
    "test": _accuracy("test"),
    "train_val_gap": _train_val_gap,
    "seconds": _seconds,
    "images_per_second": _images_per_second,
    **{metric: _measured(metric) for metric in MEASURED},
}
# Those that a training without validation images does not leave.
NEED_VAL = frozenset({"best_val", "final_val", "train_val_gap", "epochs_to"})
# With an example of the parameter, for messages.
WITH_PARAMETER: dict[str, tuple[Callable[[RunFolder, float], Value], float]] = {
    "epochs_to": (_epochs_to, 0.6),
    "share_below": (_share_below, 1e-3),
}
