"""The results of the arms and their differences: two tables and a figure."""

from collections.abc import Mapping
from pathlib import Path

from cnnlab.core.numbers import count
from cnnlab.report.document import Block, Paragraph, Picture, Section, Table
from cnnlab.report.figures.intervals import Dots, interval_plot
from cnnlab.report.figures.style import save_vector
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.numbers import Difference, accuracies, differences, pairs_of, summaries, values
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

Found = Mapping[str, Mapping[str, Mapping[int, float]]]  # metric -> arm -> seed -> value


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
    summarised = {metric: summaries(table) for metric, table in found.items()}
    rows = []
    for arm in facts.arms:
        row = [code(arm.name), str(len(arm.runs))]
        for metric, of_arms in summarised.items():
            summary = of_arms[arm.name]
            row.append(mean_and_spread(metric, summary) if summary else NOTHING)
            if several:
                row.append(value_interval(metric, summary.t) if summary else NOTHING)
        rows.append(tuple(row))
    if several:
        caption = "Mean ± sample standard deviation over n seeds, and Student's interval for the mean."
    else:
        caption = "One seed per arm: the effect of another seed is unknown, so there is no interval."
    if "best_val" in found:
        caption += (
            " Best val is the highest of all epochs, so it is slightly above the score on new images; test is the "
            "score of the same network on images that were used for no choice."
        )
    return Table(tuple(header), tuple(rows), caption)


def _figure(facts: StudyFacts, found: Found, figures: Path) -> Picture:
    panels = {}
    for metric, table in found.items():
        published = {each.arm: each.value for each in facts.published if each.metric == metric}
        panels[title_of(metric)] = [
            Dots(
                name,
                tuple(table[name].values()),
                (summary.t.low, summary.t.high) if summary and summary.t else None,
                published.get(name),
            )
            for name, summary in summaries(table).items()
        ]
    path = save_vector(interval_plot(panels), figures / "accuracy.svg")
    caption = "Accuracy of each arm: every seed a dot."
    if any(len(arm.runs) > 1 for arm in facts.arms):
        caption += " Whiskers are 95% intervals for the mean over seeds (Student's t)."
    if any(each.metric in found for each in facts.published):
        caption += " Hollow marks are the published figures."
    return Picture(path, caption, f"Dots of {listed(map(title_of, found))} for {len(facts.arms)} arms", 1.0)


def _differences_table(facts: StudyFacts, found: Found) -> Table:
    """The differences in every accuracy; intervals and p if there are enough seeds."""
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
    partner = code(pairs[0][1]) if one_partner else "the arm it is compared with"
    comparisons = [each.comparison for of_metric in compared.values() for each in of_metric]
    has_unpaired = any(each is not None and not each.paired for each in comparisons)
    unpaired = " (– in pairs: fewer than two seeds shared, Welch's test)" if has_unpaired else ""
    caption = f"Differences to {partner} in percentage points, paired by seed{unpaired}. "
    caption += (
        f"p is adjusted by Holm over the {count(len(pairs), 'row')} of a column; the intervals are not adjusted."
        if tested
        else "One pair cannot show whether a difference is more than chance: no interval, no p."
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
