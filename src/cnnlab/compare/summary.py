"""Summary of one arm: number of replicates, mean, spread and intervals."""

from collections.abc import Iterable
from dataclasses import dataclass

from cnnlab.compare.interval import Interval, bootstrap_interval, sample, spread, t_interval


@dataclass(frozen=True)
class Summary:
    """Replicates of one arm. Spread and intervals are None if unknown, and `note` explains why.

    `std` is the sample standard deviation (ddof = 1), `population_std` is `numpy.std` (ddof = 0).
    """

    n: int
    mean: float
    std: float | None
    population_std: float
    t: Interval | None
    bootstrap: Interval | None
    note: str = ""


def summarise(values: Iterable[float], level: float = 0.95, seed: int = 0) -> Summary:
    """The summary of one value per replicate; `seed` is the bootstrap's. Raises SampleError."""
    values_n = sample(values)
    n = len(values_n)
    std = spread(values_n) if n > 1 else None
    note = ""
    if std is None:
        note = "one seed: its spread over seeds is unknown, so there is no interval"
    elif std == 0:
        note = f"all {n} seeds gave the same value: the spread is below what the metric resolves, not zero"
    return Summary(
        n=n,
        mean=float(values_n.mean()),
        std=std,
        population_std=float(values_n.std()),
        t=t_interval(values_n, level),
        bootstrap=bootstrap_interval(values_n, level, seed),
        note=note,
    )
