"""A study as rows of text: the states of its arms, its cost, the verdicts on its claims, the trials of a search."""

from collections.abc import Iterable

from cnnlab import api
from cnnlab.core.numbers import count

STATUS_COLUMNS = ("arm", "complete", "running", "stopped", "failed", "missing", "now")
PLAN_COLUMNS = ("arm", "seed", "recipe", "state", "minutes", "MB")
CLAIM_COLUMNS = ("claim", "verdict", "effect", "95% interval", "n", "p")
_MINUTE, _MB = 60, 10**6


def status_rows(runs: "api.studies.StudyRuns") -> list[list[str]]:
    """One row per arm: the number of cells in each state, and the epochs of those that run."""
    return [
        [
            row.arm,
            *(str(row.counts.get(state) or "") for state in STATUS_COLUMNS[1:-1]),  # type: ignore[call-overload]
            "; ".join(
                f"seed {seed}: epoch {done}{f' of {total}' if total else ''}"
                for seed, (done, total) in row.running.items()
            ),
        ]
        for row in api.studies.arm_rows(runs)
    ]


def status_line(runs: "api.studies.StudyRuns") -> str:
    """The same in one line: `7 of 24 complete, 2 running, 15 missing`."""
    counts, complete = runs.counts, f"{runs.counts['complete']} of {len(runs.records)} complete"
    others = ("running", "stopped", "failed", "missing")
    return ", ".join([complete, *(f"{counts[state]} {state}" for state in others if counts[state])])  # type: ignore[index]


def failure_lines(runs: "api.studies.StudyRuns") -> list[str]:
    """A line for each failed cell, with its cause."""
    return [f"failed     {record.cell}: {record.cause}" for record in runs.failures]


def workers_text(workers: int, threads: int) -> str:
    """`2, 1 CPU thread each`."""
    return f"{workers}, {count(threads, 'CPU thread')} each"


def plan_rows(plan: "api.studies.Plan") -> list[list[str]]:
    """One row per cell; minutes and disk of what is left to do."""
    rows = []
    for one in plan.cells:
        cell, forecast = one.record.cell, one.forecast
        cost = ["", ""]
        if forecast and one.left:
            cost = [f"{forecast.seconds * one.left / _MINUTE:.1f}", f"{forecast.disk / _MB:.1f}"]
        rows.append([cell.arm, str(cell.seed), cell.recipe.hash, one.record.state, *cost])
    return rows


def plan_lines(plan: "api.studies.Plan", budget: float | None) -> list[str]:
    """Totals, the runs they are computed from, and why some cannot be computed."""
    todo = sum(1 for one in plan.cells if one.left)
    lines = [f"to do      {todo} of {len(plan.cells)} trainings"]
    if plan.seconds is not None and plan.wall_seconds is not None and plan.disk is not None:
        wall, threads = plan.wall_seconds / _MINUTE, plan.slots[0].threads
        workers = f"{count(len(plan.slots), 'worker')}, {count(threads, 'thread')} each"
        core_minutes = plan.seconds * threads / _MINUTE
        lines.append(f"time       {wall:.0f} minutes with {workers}")
        lines.append(f"cost       {core_minutes:.0f} core minutes, {plan.disk / _MB:.0f} MB")
        if budget is not None:
            lines.append(f"budget     {budget:g} minutes: {'within' if wall <= budget else 'over'} it")
    bases = dict.fromkeys(one.forecast.basis for one in plan.cells if one.forecast and one.left)
    lines += [f"from       {basis}" for basis in bases]
    return [*lines, *(f"unknown    {problem}" for problem in plan.problems)]


def claim_rows(verdicts: Iterable["api.studies.Verdict"]) -> list[list[str]]:
    """One row per claim."""
    rows = []
    for one in verdicts:
        interval = f"{one.interval.low:+.4f} to {one.interval.high:+.4f}" if one.interval else ""
        effect = f"{one.effect:+.4f}" if one.effect is not None else ""
        p = f"{one.p_holm:.2g}" if one.p_holm is not None else ""
        rows.append([str(one.claim), one.verdict, effect, interval, str(one.n), p])
    return rows


def search_table(
    study: "api.studies.StudyValue", search: "api.studies.Search", most: int
) -> tuple[list[str], list[list[str]]]:
    """Columns, a factor named by the last word of its path, and rows: the best trials, then those without accuracy."""
    columns = ["trial", *(path.rpartition(".")[2] for path in study.factors), "best_val", "cause"]
    failed = [one for one in search.trials if one.val is None]
    rows = []
    for one in [*search.ranking, *failed][:most]:
        setting = map(api.studies.value_text, api.studies.shortened(one.setting).values())
        rows.append([str(one.number), *setting, "" if one.val is None else f"{one.val:.4f}", one.cause])
    return columns, rows
