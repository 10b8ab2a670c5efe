"""One metric of a study as a table, arm -> seed -> value: the input of all statistics over seeds."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Beyond:
    """A right-censored value, larger than `limit`: epochs to a threshold that was not reached."""

    limit: float

    def __str__(self) -> str:
        return f"> {self.limit:g}"


Value = float | Beyond
Arm = Mapping[int, Value]
Table = Mapping[str, Arm]


def known(arm: Arm) -> dict[int, float]:
    """The values of an arm without those that are censored, which have no mean."""
    return {seed: value for seed, value in arm.items() if not isinstance(value, Beyond)}


def scaled(arm: Arm, factor: float) -> Arm:
    """Every value times a positive factor."""
    return {
        seed: Beyond(value.limit * factor) if isinstance(value, Beyond) else value * factor
        for seed, value in arm.items()
    }
