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
from cnnlab.compare.summary import Summary, summarise
from cnnlab.compare.table import Beyond
from cnnlab.report.document import Block, Paragraph, Picture, Section, Table
from cnnlab.report.figures.intervals import Dots, interval_plot
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.wording import (
    NOTHING,
    code,
    effect,
    effect_interval,
    listed,
    mean_and_spread,
    p_value,
    title_of,
    value_interval,
)

ALPHA = 0.05


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
        blocks += _difference_tables(facts, found)
    return Section("Results", tuple(blocks))


def _arms_table(facts: StudyFacts, found: Mapping[str, Mapping[str, Mapping[int, float]]]) -> Table:
    header = ["arm", "n"]
    for metric in found:
        header += [title_of(metric), "95% interval"]
    rows = []
    for arm in facts.arms:
        row = [code(arm.name), str(len(arm.runs))]
        for metric, table in found.items():
            summary = summarise(table[arm.name].values()) if table[arm.name] else None
            row += _cells(metric, summary)
        rows.append(tuple(row))
    caption = "Mean ± sample standard deviation over n seeds, and Student's interval for the mean."
    if all(len(arm.runs) < 2 for arm in facts.arms):
        caption = "One seed an arm: how much a seed changes is unknown, so there is neither spread nor interval."
    if "best_val" in found:
        caption += (
            " Best val is the highest of all epochs, so a little above what the same network would score on new images; "
            "test is the score of that network, on images that chose nothing."
        )
    return Table(tuple(header), tuple(rows), caption)


def _cells(metric: str, summary: Summary | None) -> list[str]:
    if summary is None:
        return [NOTHING, NOTHING]
    return [mean_and_spread(metric, summary), value_interval(metric, summary.t)]


def _figure(
    facts: StudyFacts, found: Mapping[str, Mapping[str, Mapping[int, float]]], figures: Path
) -> Picture:
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


def _difference_tables(
    facts: StudyFacts, found: Mapping[str, Mapping[str, Mapping[int, float]]]
) -> list[Block]:
    """One table with the differences in every accuracy."""
    pairs = pairs_of(facts)
    compared = {metric: differences(pairs, table) for metric, table in found.items()}
    one_partner = len({right for _, right in pairs}) == 1
    header = ["arm"] if one_partner else ["arm", "against"]
    header += ["pairs"]
    for metric in compared:
        header += [title_of(metric), "95% interval", "p"]
    rows = []
    for index, (left, right) in enumerate(pairs):
        row = [code(left)] if one_partner else [code(left), code(right)]
        first = next(iter(compared.values()))[index].comparison
        row.append(str(first.n) if first and first.paired else NOTHING)
        for metric, all_of_them in compared.items():
            row += _difference_cells(metric, all_of_them[index])
        rows.append(tuple(row))
    partner = f"{code(pairs[0][1])}" if one_partner else "the arm it is compared with"
    caption = f"Differences to {partner} in percentage points, paired by seed (– in pairs: unpaired, Welch). "
    caption += (
        f"p is adjusted by Holm over the {len(pairs)} rows of a column; the intervals are not adjusted."
        if any(each.p_holm is not None for each in compared[next(iter(compared))])
        else "One pair shows a difference, but not whether it is more than chance: no interval, no p."
    )
    return [Table(tuple(header), tuple(rows), caption)]


def _difference_cells(metric: str, difference: Difference) -> list[str]:
    comparison = difference.comparison
    if comparison is None:
        return [NOTHING, NOTHING, NOTHING]
    return [
        effect(metric, comparison.effect),
        effect_interval(metric, comparison.interval),
        p_value(difference.p_holm),
    ]
