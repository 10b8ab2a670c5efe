"""Adds seeds only where a claim is undecided, with tests that stay valid for any number of interim analyses.

After every interim analysis both arms of each undecided claim get one more seed, up to a limit. No seed is spent on
claims that no seed can decide: an arm never ended with a value, its curves are too short for the metric, or values are
beyond what was trained, where the sign test is valid for a single analysis only. The p values of `compare.sequential`
are valid at any time, so the number of analyses need not be fixed beforehand and settling can continue later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from cnnlab.compare.verdicts import Verdict
from cnnlab.core.errors import CnnlabError
from cnnlab.launch.launcher import Launcher
from cnnlab.study.arms import Cell
from cnnlab.study.definition import Study
from cnnlab.study.folder import StudyFolder
from cnnlab.study.record import StudyRuns, read_study
from cnnlab.study.runner import run_cells, study_lock
from cnnlab.study.session import StudyOptions, StudyWatcher


@dataclass(frozen=True)
class InterimAnalysis:
    """The verdicts on the claims, and the cells that are trained because of them (none after the last analysis)."""

    number: int
    verdicts: tuple[Verdict, ...]
    next_cells: tuple[tuple[str, int], ...]


def settle(
    study: Study,
    max_seeds: int,
    options: StudyOptions,
    watcher: StudyWatcher,
    on_analysis: Callable[[InterimAnalysis], None],
    *,
    launcher: Launcher | None = None,
    measure: Callable[[StudyRuns], None] = lambda runs: None,
) -> InterimAnalysis:
    """Run the study, then judge its claims and add seeds until every claim is decided or its arms have `max_seeds`.

    `measure` is called before each analysis, for claims about measurements. Returns the last analysis. Raises
    CnnlabError for a study without claims, and as `run_study` and `measure` do.
    """
    if not study.claims:
        raise CnnlabError(f"study {study.name} has no claims to settle; add [[claim]] tables to it")
    if max_seeds < len(study.seeds):
        raise CnnlabError(f"--max-seeds: received {max_seeds}, expected at least the study's own {len(study.seeds)}")
    folder = StudyFolder.of(options.root, study.name)
    read = partial(read_study, study, options.root, options.also)
    with study_lock(folder):
        runs = read()
        own = [one for one in runs.records if one.cell.seed in study.seeds]
        runs = run_cells(runs, own, options, watcher, launcher=launcher)
        while True:
            measure(runs)
            verdicts = runs.verdicts("repeated")
            cells = next_cells(runs, verdicts, max_seeds)
            now = InterimAnalysis(len(folder.interim_analyses) + 1, verdicts, cells)
            outcomes = {str(one.claim): one.verdict for one in verdicts}
            folder.add_interim_analysis({"look": now.number, "verdicts": outcomes, "next": list(map(list, cells))})
            on_analysis(now)
            if not cells:
                return now
            folder.add_seeds(cells)
            runs = read()
            records = [one for one in runs.records if one.cell.key in cells]

            def is_needed(cell: Cell, verdicts: Sequence[Verdict] = verdicts) -> bool:
                """False for the second run of a pair whose first run has diverged."""
                return cell.key in next_cells(read(), verdicts, max_seeds)

            runs = run_cells(runs, records, options, watcher, launcher=launcher, is_needed=is_needed)
            if still := set(next_cells(runs, verdicts, max_seeds)).intersection(cells):
                names = "; ".join(f"{arm}, seed {seed}" for arm, seed in sorted(still))
                raise CnnlabError(f"{names}: being trained by another process; settle again when it is done")


def seed_sequence(study: Study, length: int) -> list[int]:
    """The study's seeds, then the numbers above the highest; the same for all arms, so runs can be paired by seed."""
    beyond = range(max(study.seeds) + 1, max(study.seeds) + 1 + length)
    return [*study.seeds, *beyond][:length]


def next_cells(runs: StudyRuns, verdicts: Sequence[Verdict], max_seeds: int) -> tuple[tuple[str, int], ...]:
    """(arm, seed) to train: for each undecided claim, the arms without the next seed that can give another pair."""
    state = {record.cell.key: record.state for record in runs.records}
    cells: dict[tuple[str, int], None] = {}
    for verdict in verdicts:
        if verdict.verdict != "undecided" or _is_hopeless(runs, verdict):
            continue
        for seed in seed_sequence(runs.study, max_seeds):
            states = {arm: state.get((arm, seed), "missing") for arm in verdict.claim.arms}
            open_arms = [arm for arm in states if states[arm] not in ("complete", "failed")]
            if open_arms and "failed" not in states.values():  # a pair needs both runs
                cells |= dict.fromkeys((arm, seed) for arm in open_arms)
                break
    return tuple(cells)


def _is_hopeless(runs: StudyRuns, verdict: Verdict) -> bool:
    """Whether no further seed can decide a claim that is undecided in repeated analyses."""
    failed = {record.cell.arm for record in runs.failures}
    never = any(arm in failed and not runs.finished[arm] for arm in verdict.claim.arms)
    beyond = verdict.n > 0 and verdict.effect is None  # there are values, but no mean of them
    too_short = verdict.n == 0 and all(runs.finished[arm] for arm in verdict.claim.arms)  # runs, but no values
    return never or beyond or too_short
