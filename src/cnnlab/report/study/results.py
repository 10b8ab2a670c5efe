"""What the arms reached and how they differ: numbers for the tables, and the tables with their figure.

Accuracies are `best_val` (the course's "best validation accuracy", by which networks are chosen) and `test` (which
chooses nothing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.compare.holm import holm
from cnnlab.compare.metrics import Metric, tabulate
from cnnlab.compare.paired import Comparison, compare_arms
from cnnlab.compare.summary import summarise
from cnnlab.compare.table import Beyond
from cnnlab.report.document import Block, Paragraph, Picture, Section, Table
from cnnlab.report.figures.intervals import Dots, interval_plot
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.wording import (
    NOTHING,
    code,
    count,
    effect,
    effect_interval,
    listed,
    mean_and_spread,
    p_value,
    title_of,
    value_interval,
)

ALPHA = 0.05

Found = Mapping[str, Mapping[str, Mapping[int, float]]]  # metric -> arm -> seed -> value


@dataclass(frozen=True)
class Difference:
    """`arm` minus `against` in one metric; `comparison` is None where one of them has no run."""

    arm: str
    against: str
    comparison: Comparison | None
    p_holm: float | None

    @property
    def sign(self) -> int:
        """1 or -1 where the difference is established (p after Holm at most 0.05), else 0."""
        if self.comparison is None or self.p_holm is None or self.p_holm > ALPHA:
            return 0
        return 1 if self.comparison.effect > 0 else -1


def accuracies(facts: StudyFacts) -> tuple[str, ...]:
    """Of `best_val` and `test` those that every complete run has."""
    results = [run.result for run in facts.runs]
    has = {"best_val": "val", "test": "test"}
    return tuple(
        metric
        for metric, split in has.items()
        if results and all(result and split in result["accuracy"] for result in results)
    )


def values(arms: Sequence[ArmFacts], metric: str) -> dict[str, dict[int, float]]:
    """arm -> seed -> value, values beyond what was trained left out. Raises RunError, MetricError."""
    table = tabulate({arm.name: [*arm.runs.values()] for arm in arms}, Metric.parse(metric))
    return {
        name: {seed: value for seed, value in row.items() if not isinstance(value, Beyond)}
        for name, row in table.items()
    }


def differences(
    pairs: Sequence[tuple[str, str]], found: Mapping[str, Mapping[int, float]]
) -> tuple[Difference, ...]:
    """Each (arm, against) compared, paired by seed where they share seeds, Holm-corrected over the pairs."""
    compared = [
        compare_arms(found[left], found[right]) if found[left] and found[right] else None
        for left, right in pairs
    ]
    adjusted = holm([each.p if each else None for each in compared])
    return tuple(
        Difference(left, right, comparison, p)
        for (left, right), comparison, p in zip(pairs, compared, adjusted, strict=True)
    )


def pairs_of(facts: StudyFacts) -> list[tuple[str, str]]:
    """Every arm with the arm it is compared with."""
    found = [(arm, facts.partner(arm)) for arm in facts.arms]
    return [(arm.name, partner.name) for arm, partner in found if partner is not None]


def results_section(facts: StudyFacts, figures: Path) -> Section:
    """Table of the arms, figure, table of the differences. Raises RunError, StorageError."""
    metrics = accuracies(facts)
    if not metrics:
        return Section("Results", (Paragraph("There is no complete run yet, so there is no result."),))
    found = {metric: values(facts.arms, metric) for metric in metrics}
    blocks: list[Block] = [_arms_table(facts, found), _figure(facts, found, figures)]
    if pairs_of(facts):
        blocks.append(_differences_table(facts, found))
    return Section("Results", tuple(blocks))


def _arms_table(facts: StudyFacts, found: Found) -> Table:
    several = any(len(arm.runs) > 1 for arm in facts.arms)
    header = ["arm", "n"]
    for metric in found:
        header += [title_of(metric), "95% interval"] if several else [title_of(metric)]
    rows = []
    for arm in facts.arms:
        row = [code(arm.name), str(len(arm.runs))]
        for metric, table in found.items():
            summary = summarise(table[arm.name].values()) if table[arm.name] else None
            row.append(mean_and_spread(metric, summary) if summary else NOTHING)
            if several:
                row.append(value_interval(metric, summary.t) if summary else NOTHING)
        rows.append(tuple(row))
    if several:
        caption = "Mean ± sample standard deviation over n seeds, and Student's interval for the mean."
    else:
        caption = (
            "One seed an arm: how much another seed would change is unknown, so no interval can be given."
        )
    if "best_val" in found:
        caption += (
            " Best val is the highest of all epochs, so a little above what the same network would score on new "
            "images; test is the score of that network, on images that chose nothing."
        )
    return Table(tuple(header), tuple(rows), caption)


def _figure(facts: StudyFacts, found: Found, figures: Path) -> Picture:
    panels = {}
    for metric, table in found.items():
        published = {each.arm: each.value for each in facts.published if each.metric == metric}
        panels[title_of(metric)] = [
            _dots(arm.name, [*table[arm.name].values()], published.get(arm.name)) for arm in facts.arms
        ]
    path = interval_plot(panels, figures / "accuracy.svg")
    spread = " Whiskers are 95% intervals for the mean over seeds (Student's t)."
    caption = "Accuracy of each arm: every seed a dot." + (
        spread if any(len(arm.runs) > 1 for arm in facts.arms) else ""
    )
    if any(each.metric in found for each in facts.published):
        caption += " Hollow marks are the published figures."
    return Picture(path, caption, f"Dots of {listed(map(title_of, found))} for {len(facts.arms)} arms", 1.0)


def _dots(name: str, numbers: list[float], published: float | None) -> Dots:
    interval = summarise(numbers).t if numbers else None
    return Dots(name, tuple(numbers), (interval.low, interval.high) if interval else None, published)


def _differences_table(facts: StudyFacts, found: Found) -> Table:
    """The differences in every accuracy; intervals and p where there are seeds enough for any."""
    pairs = pairs_of(facts)
    compared = {metric: differences(pairs, table) for metric, table in found.items()}
    tested = any(each.p_holm is not None for of_metric in compared.values() for each in of_metric)
    one_partner = len({right for _, right in pairs}) == 1
    header = ["arm", "pairs"] if one_partner else ["arm", "against", "pairs"]
    for metric in compared:
        header += [title_of(metric), "95% interval", "p"] if tested else [title_of(metric)]
    rows = []
    for index, (left, right) in enumerate(pairs):
        row = [code(left)] if one_partner else [code(left), code(right)]
        first = next(iter(compared.values()))[index].comparison
        row.append(str(first.n) if first and first.paired else NOTHING)
        for metric, of_metric in compared.items():
            row += _difference_cells(metric, of_metric[index], tested)
        rows.append(tuple(row))
    partner = f"{code(pairs[0][1])}" if one_partner else "the arm it is compared with"
    comparisons = [each.comparison for of_metric in compared.values() for each in of_metric]
    alone = any(each is not None and not each.paired for each in comparisons)
    unpaired = " (– in pairs: no seeds shared, Welch's test)" if alone else ""
    caption = f"Differences to {partner} in percentage points, paired by seed{unpaired}. "
    caption += (
        f"p is adjusted by Holm over the {count(len(pairs), 'row')} of a column; the intervals are not adjusted."
        if tested
        else "One pair shows a difference, but not whether it is more than chance: no interval, no p."
    )
    return Table(tuple(header), tuple(rows), caption)


def _difference_cells(metric: str, difference: Difference, tested: bool) -> list[str]:
    comparison = difference.comparison
    if comparison is None:
        return [NOTHING] * (3 if tested else 1)
    found = effect(metric, comparison.effect)
    if not tested:
        return [found]
    return [found, effect_interval(metric, comparison.interval), p_value(difference.p_holm)]
