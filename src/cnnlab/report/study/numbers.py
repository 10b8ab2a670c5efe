"""The numbers in tables and figures of a report, each computed only here.

Accuracies are `best_val` (the best validation accuracy, by which networks are chosen) and `test` (which chooses
nothing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cnnlab.compare import table as table_of
from cnnlab.compare.holm import holm
from cnnlab.compare.interval import Summary, summarise
from cnnlab.compare.metrics import Metric, tabulate
from cnnlab.compare.paired import Comparison, compare_arms
from cnnlab.compare.table import Table
from cnnlab.report.study.facts import ArmFacts, StudyFacts

ALPHA = 0.05


@dataclass(frozen=True)
class Difference:
    """`arm` minus `against` in one metric; `comparison` is None if one of them has no run."""

    arm: str
    against: str
    comparison: Comparison | None
    p_holm: float | None

    @property
    def sign(self) -> int:
        """1 or -1 if the difference is established (p after Holm at most 0.05), else 0."""
        if self.comparison is None or self.p_holm is None or self.p_holm > ALPHA:
            return 0
        return 1 if self.comparison.effect > 0 else -1


def accuracies(facts: StudyFacts) -> tuple[str, ...]:
    """Those of `best_val` and `test` that every complete run has."""
    results = [run.result for run in facts.runs]
    has = {"best_val": "val", "test": "test"}
    return tuple(
        metric
        for metric, split in has.items()
        if results and all(result and split in result.accuracy for result in results)
    )


def measured(arms: Sequence[ArmFacts], metric: str) -> Table:
    """arm -> seed -> value, also for an arm without runs. Raises RunError, MetricError."""
    return tabulate({arm.name: [*arm.runs.values()] for arm in arms}, Metric.parse(metric))


def known(table: Table) -> dict[str, dict[int, float]]:
    """The same without values beyond the trained epochs, which have no mean."""
    return {name: table_of.known(arm) for name, arm in table.items()}


def values(arms: Sequence[ArmFacts], metric: str) -> dict[str, dict[int, float]]:
    """arm -> seed -> value, without values beyond the trained epochs. Raises RunError, MetricError."""
    return known(measured(arms, metric))


def summaries(found: Mapping[str, Mapping[int, float]]) -> dict[str, Summary | None]:
    """Each arm summarised; None for an arm without values."""
    return {arm: summarise(by_seed.values()) if by_seed else None for arm, by_seed in found.items()}


def differences(pairs: Sequence[tuple[str, str]], found: Mapping[str, Mapping[int, float]]) -> tuple[Difference, ...]:
    """Each (arm, against) compared, paired by seed if they share seeds, Holm-corrected over the pairs."""
    compared = [
        compare_arms(found[left], found[right]) if found[left] and found[right] else None for left, right in pairs
    ]
    adjusted = holm([each.p if each else None for each in compared])
    return tuple(
        Difference(left, right, comparison, p)
        for (left, right), comparison, p in zip(pairs, compared, adjusted, strict=True)
    )


def pairs_of(facts: StudyFacts) -> list[tuple[str, str]]:
    """Every arm and the arm it is compared with."""
    found = [(arm, facts.partner(arm)) for arm in facts.arms]
    return [(arm.name, partner.name) for arm, partner in found if partner is not None]
