"""A study as rows of text: how its arms stand, what it will cost, what became of its claims."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnlab.api.studies import Plan, Search, StudyRuns, StudyValue, Verdict

STATUS_COLUMNS = ("arm", "complete", "running", "stopped", "failed", "missing", "now")
PLAN_COLUMNS = ("arm", "seed", "recipe", "state", "minutes", "MB")
CLAIM_COLUMNS = ("claim", "verdict", "effect", "95% interval", "n", "p")
_MINUTE, _MB = 60, 10**6


def status_rows(runs: "StudyRuns") -> list[list[str]]:
    """One row an arm: how many cells are in which state, and how far the running ones are."""
    from cnnlab.api.studies import arm_rows

    return [
        [
            row.arm,
            *(str(row.counts.get(state) or "") for state in STATUS_COLUMNS[1:-1]),  # type: ignore[call-overload]
            "; ".join(
                f"seed {seed}: epoch {done} of {epochs}" for seed, (done, epochs) in row.running.items()
            ),
        ]
        for row in arm_rows(runs)
    ]


def status_line(runs: "StudyRuns") -> str:
    """The same in one line: `7 of 24 complete, 2 running, 15 missing`."""
    counts = runs.counts
    others = [
        f"{counts[state]} {state}" for state in ("running", "stopped", "failed", "missing") if counts[state]
    ]
    return ", ".join([f"{counts['complete']} of {len(runs.records)} complete", *others])


def failure_lines(runs: "StudyRuns") -> list[str]:
    """A line for each failed cell, with its cause."""
    return [f"failed     {record.cell}: {record.cause}" for record in runs.failures]


def plan_rows(plan: "Plan") -> list[list[str]]:
    """One row a cell; minutes and disk of what is left to do."""
    rows = []
    for one in plan.cells:
        cell, forecast = one.record.cell, one.forecast
        minutes = f"{forecast.seconds * one.left / _MINUTE:.1f}" if forecast and one.left else ""
        megabytes = f"{forecast.disk / _MB:.1f}" if forecast and one.left else ""
        rows.append([cell.arm, str(cell.seed), cell.recipe.hash, one.record.state, minutes, megabytes])
    return rows


def plan_lines(plan: "Plan", budget: float | None) -> list[str]:
    """Totals, what they are computed from, and what is in the way of computing them."""
    todo = sum(1 for one in plan.cells if one.left)
    lines = [f"to do      {todo} of {len(plan.cells)} trainings"]
    if plan.seconds is not None and plan.wall_seconds is not None and plan.disk is not None:
        wall = plan.wall_seconds / _MINUTE
        count, threads = len(plan.slots), plan.slots[0].threads
        cost = plan.seconds * threads / _MINUTE
        workers = (
            f"{count} worker{'s' if count > 1 else ''}, {threads} thread{'s' if threads > 1 else ''} each"
        )
        lines += [
            f"time       {wall:.0f} minutes with {workers}",
            f"cost       {cost:.0f} core minutes, {plan.disk / _MB:.0f} MB",
        ]
        if budget is not None:
            verdict = "within" if wall <= budget else "over"
            lines.append(f"budget     {budget:g} minutes: {verdict} it")
    bases = dict.fromkeys(one.forecast.basis for one in plan.cells if one.forecast and one.left)
    lines += [f"from       {basis}" for basis in bases]
    return [*lines, *(f"unknown    {problem}" for problem in plan.problems)]


def claim_rows(verdicts: Iterable["Verdict"]) -> list[list[str]]:
    """One row a claim."""
    rows = []
    for one in verdicts:
        interval = f"{one.interval.low:+.4f} to {one.interval.high:+.4f}" if one.interval else ""
        effect = f"{one.effect:+.4f}" if one.effect is not None else ""
        p = f"{one.p_holm:.2g}" if one.p_holm is not None else ""
        rows.append([str(one.claim), one.verdict, effect, interval, str(one.n), p])
    return rows


def reason_lines(verdicts: Sequence["Verdict"]) -> list[str]:
    """Why each verdict is what it is."""
    return [f"{one.verdict:<10} {one.claim}: {one.reason}" for one in verdicts]


def search_columns(study: "StudyValue") -> tuple[str, ...]:
    """The columns of `search_rows`: a factor each, by the last word of its path."""
    return ("trial", *(path.rpartition(".")[2] for path in study.factors), "best_val", "cause")


def search_rows(search: "Search", most: int) -> list[list[str]]:
    """The best trials of a search, then those without an accuracy, `most` in all."""
    from cnnlab.api.studies import shortened, value_text

    failed = [one for one in search.trials if one.val is None]
    return [
        [
            str(one.number),
            *(value_text(value) for value in shortened(one.setting).values()),
            "" if one.val is None else f"{one.val:.4f}",
            one.cause,
        ]
        for one in [*search.ranking, *failed][:most]
    ]
