"""Metrics that `cnnlab inspect` measured on finished networks and stored in their runs."""

import json
from collections.abc import Iterable, Iterator

from cnnlab.core.errors import RunError
from cnnlab.runs import RunFolder

MEASURED: dict[str, tuple[str, str]] = {
    "landscape_nonconvexity": ("landscape", "nonconvexity"),
    "bn_output_mean": ("batchnorm", "output_mean"),
    "bn_output_mean_unshifted": ("batchnorm", "output_mean_unshifted"),
    "bn_normalised_mean": ("batchnorm", "normalised_mean"),
    "bn_train_output_mean": ("batchnorm", "train_output_mean"),
    "bn_train_normalised_mean": ("batchnorm", "train_normalised_mean"),
}
"""Metric to (measurement, name of its number)."""


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
