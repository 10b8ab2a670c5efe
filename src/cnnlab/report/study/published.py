"""Published figures beside ours: the digits, which may differ for many reasons, and the direction, which is compared.

The direction of an arm is the sign of its difference to the arm it is compared with. Ours counts where it is
established (p after Holm over these rows at most 0.05); otherwise the comparison is undecided.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cnnlab.compare.summary import summarise
from cnnlab.report.document import Paragraph, Section, Table
from cnnlab.report.study.facts import Published, StudyFacts
from cnnlab.report.study.results import Difference, differences, values
from cnnlab.report.study.wording import (
    NOTHING,
    code,
    effect,
    listed,
    mean_and_spread,
    plain,
    title_of,
    value,
)


@dataclass(frozen=True)
class _Row:
    """A published figure, the one it is compared with, and our difference of the same two arms."""

    figure: Published
    partner: Published | None
    ours: Difference | None

    @property
    def direction(self) -> str:
        """same, opposite or undecided; a dash where nothing was published to compare with."""
        if self.partner is None or self.ours is None or self.figure.value == self.partner.value:
            return NOTHING
        if not self.ours.sign:
            return "undecided"
        return (
            "same" if self.ours.sign == (1 if self.figure.value > self.partner.value else -1) else "opposite"
        )


def published_section(facts: StudyFacts) -> Section | None:
    """A table for each metric something was published for. None without; raises RunError, MetricError."""
    if not facts.published or not facts.runs:
        return None
    tables = [_table(facts, metric) for metric in dict.fromkeys(each.metric for each in facts.published)]
    sources = listed(plain(each) for each in dict.fromkeys(each.source for each in facts.published))
    note = (
        f"Source: {sources}. Digits differ with data, budget and luck; what is compared is the direction of each "
        "difference. *Undecided* says that our seeds establish no difference, not that there is none."
    )
    return Section("Published figures", (*tables, Paragraph(note)))


def _table(facts: StudyFacts, metric: str) -> Table:
    found = values(facts.arms, metric)
    rows = _rows(facts, metric, found)
    header = (
        "arm",
        "published",
        "ours",
        "n",
        "against",
        "published difference",
        "our difference",
        "direction",
    )
    cells = tuple(_cells(metric, row, found) for row in rows)
    caption = f"{title_of(metric).capitalize()}: differences in points, ours paired by seed."
    return Table(header, cells, caption)


def _rows(facts: StudyFacts, metric: str, found: Mapping[str, Mapping[int, float]]) -> list[_Row]:
    figures = [each for each in facts.published if each.metric == metric]
    partners = [_partner(facts, each, figures) for each in figures]
    pairs = [(each.arm, partner.arm) for each, partner in zip(figures, partners, strict=True) if partner]
    ours = iter(differences(pairs, found))
    return [
        _Row(each, partner, next(ours) if partner else None)
        for each, partner in zip(figures, partners, strict=True)
    ]


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


def _cells(metric: str, row: _Row, found: Mapping[str, Mapping[int, float]]) -> tuple[str, ...]:
    numbers = [*found[row.figure.arm].values()]
    comparison = row.ours.comparison if row.ours else None
    return (
        code(row.figure.arm),
        value(metric, row.figure.value),
        mean_and_spread(metric, summarise(numbers)) if numbers else NOTHING,
        str(len(numbers)),
        code(row.partner.arm) if row.partner else NOTHING,
        effect(metric, row.figure.value - row.partner.value) if row.partner else NOTHING,
        effect(metric, comparison.effect) if comparison else NOTHING,
        row.direction,
    )
