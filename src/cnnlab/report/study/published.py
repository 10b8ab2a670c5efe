"""Published figures next to ours: the numbers, which may differ for many reasons, and the direction, which is compared.

The direction of an arm is the sign of its difference to the arm it is compared with. Ours counts if it is established
(p after Holm over these rows at most 0.05), or exact (parameters, MACs); otherwise the comparison is undecided.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cnnlab.compare.comparable import comparability
from cnnlab.compare.interval import Summary
from cnnlab.compare.metrics import METRICS
from cnnlab.report.document import Paragraph, Section, Table
from cnnlab.report.study.facts import Published, StudyFacts
from cnnlab.report.study.numbers import Difference, differences, summaries, values
from cnnlab.report.study.wording import (
    NOTHING,
    code,
    effect,
    listed,
    mean_and_spread,
    plain,
    title_of,
    unit_of_effect,
    value,
)


@dataclass(frozen=True)
class PublishedRow:
    """A published figure, our seeds, the figure it is compared with, and our difference of the same two arms."""

    figure: Published
    ours: Summary | None
    partner: Published | None
    our_difference: Difference | None

    @property
    def published_difference(self) -> float | None:
        """The figure minus the one it is compared with."""
        return None if self.partner is None else self.figure.value - self.partner.value

    @property
    def direction(self) -> str:
        """same, opposite or undecided; empty without a published difference."""
        if not self.published_difference or self.our_difference is None:
            return ""
        ours: float = self.our_difference.sign
        if _is_exact(self.figure.metric) and self.our_difference.comparison is not None:
            ours = self.our_difference.comparison.effect
        if not ours:
            return "undecided"
        return "same" if (ours > 0) == (self.published_difference > 0) else "opposite"


def published_section(facts: StudyFacts) -> Section | None:
    """A table for each metric with published figures, None without them. Raises RunError, MetricError."""
    if not facts.published or not facts.runs:
        return None
    metrics = list(dict.fromkeys(each.metric for each in facts.published))
    tables = [_table(facts, metric) for metric in metrics if not _is_exact(metric)]
    if len(metrics) > 1:
        tables.insert(0, _overview(facts, metrics))
    sources = _listed_sources([*dict.fromkeys(each.source for each in facts.published)])
    note = (
        f"Source: {plain(sources)}. Numbers differ with data, budget and chance; compared is the direction of each "
        "difference. *Undecided* means that our seeds establish no difference, not that no difference exists."
    )
    return Section("Published figures", (*tables, Paragraph(note)))


def _listed_sources(sources: list[str]) -> str:
    """The sources; those that differ only in their last word (rows of a table) have the rest once."""
    ends: dict[str, list[str]] = {}
    for source in sources:
        start, _, end = source.rpartition(" ")
        ends.setdefault(start, []).append(end)
    return "; ".join(f"{start} {listed(of_start)}".strip() for start, of_start in ends.items())


def published_rows(facts: StudyFacts, metric: str) -> tuple[PublishedRow, ...]:
    """The published figures for a metric, in order. Raises RunError, MetricError."""
    found = values(facts.arms, metric)
    summarised = summaries(found)
    figures = [each for each in facts.published if each.metric == metric]
    partners = [_partner(facts, each, figures) for each in figures]
    pairs = [(each.arm, partner.arm) for each, partner in zip(figures, partners, strict=True) if partner]
    ours = iter(_comparable(facts, metric, differences(pairs, found)))
    return tuple(
        PublishedRow(each, summarised[each.arm], partner, next(ours) if partner else None)
        for each, partner in zip(figures, partners, strict=True)
    )


def _comparable(facts: StudyFacts, metric: str, found: Sequence[Difference]) -> Iterator[Difference]:
    """The differences, empty if the runs of the two arms are not comparable in the metric."""
    for each in found:
        runs = [*facts.arm(each.arm).runs.values(), *facts.arm(each.against).runs.values()]
        yield (each if comparability(runs, metric).comparable else Difference(each.arm, each.against, None, None))


def _table(facts: StudyFacts, metric: str) -> Table:
    differences_of = ("published difference", "our difference", "direction")
    header = ("arm", "published", "ours", "n", "against", *differences_of)
    cells = tuple(_cells(metric, row) for row in published_rows(facts, metric))
    unit = unit_of_effect(metric)
    differing = f"differences in {unit}, ours paired by seed" if unit else "differences are paired by seed"
    title = title_of(metric)
    caption = f"{title[0].upper()}{title[1:]}: {differing}."
    return Table(header, cells, caption)


def _overview(facts: StudyFacts, metrics: Sequence[str]) -> Table:
    """Every published figure with ours below it, one row of two lines an arm and one column a metric."""
    figures = {(each.arm, each.metric): each.value for each in facts.published}
    ours = {metric: summaries(values(facts.arms, metric)) for metric in metrics}
    rows = []
    for arm in facts.arms:
        if not any((arm.name, metric) in figures for metric in metrics):
            continue
        published = [figures.get((arm.name, metric)) for metric in metrics]
        theirs = [NOTHING if n is None else value(m, n) for m, n in zip(metrics, published, strict=True)]
        mine = [(metric, ours[metric][arm.name]) for metric in metrics]
        rows.append((code(arm.name), "published", *theirs))
        rows.append(("", "ours", *(_ours(m, found) for m, found in mine)))
    caption = "All published figures and ours: means ± sample standard deviation over the seeds."
    return Table(("arm", "", *map(title_of, metrics)), tuple(rows), caption)


def _is_exact(metric: str) -> bool:
    """Whether the metric is the same for every seed."""
    return not METRICS[metric.partition(" ")[0]].is_result


def _ours(metric: str, summary: Summary | None) -> str:
    if summary is None:
        return NOTHING
    return value(metric, summary.mean) if _is_exact(metric) else mean_and_spread(metric, summary)


def _partner(facts: StudyFacts, figure: Published, figures: list[Published]) -> Published | None:
    """The published figure to compare with, of the same source if there is one.

    It is that of the arm that the figure's arm is compared with; in a chain where nothing was published for the step
    before, that of the nearest step that has one.
    """
    partner = facts.partner(facts.arm(figure.arm))
    while partner is not None:
        of_partner = [each for each in figures if each.arm == partner.name]
        if of_partner:
            return next((each for each in of_partner if each.source == figure.source), of_partner[0])
        partner = facts.partner(partner)
    return None


def _cells(metric: str, row: PublishedRow) -> tuple[str, ...]:
    comparison = row.our_difference.comparison if row.our_difference else None
    published = row.published_difference
    return (
        code(row.figure.arm),
        value(metric, row.figure.value),
        _ours(metric, row.ours),
        str(row.ours.n if row.ours else 0),
        code(row.partner.arm) if row.partner else NOTHING,
        NOTHING if published is None else effect(metric, published),
        effect(metric, comparison.effect) if comparison else NOTHING,
        row.direction or NOTHING,
    )
