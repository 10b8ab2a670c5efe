"""Adds seeds only where a claim is undecided, with tests that stay valid however often claims are judged.

After every interim analysis the claims that are still undecided get one more seed for both of their arms, up to a
limit. Decided claims cost nothing more, nor do those that no seed can decide: an arm of theirs never ended with a
value, or values lie beyond what was trained, where the sign test is valid for one analysis alone. The p values are
those of `compare.sequential`: they hold at any time, so no number of analyses has to be named beforehand and settling
can go on next month.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    """The verdicts on the claims so far, and the cells that are trained because of them (none: it was the last)."""

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

    `measure` is called before each analysis, for claims about what inspection finds. Returns the last one. Raises
    CnnlabError for a study without claims, and as `run_study` and `measure` do.
    """
    if not study.claims:
        raise CnnlabError(f"study {study.name} has no claims to settle; add [[claim]] tables to it")
    if max_seeds < len(study.seeds):
        raise CnnlabError(
            f"--max-seeds: received {max_seeds}, expected at least the study's own {len(study.seeds)}"
        )
    folder = StudyFolder.of(options.root, study.name)
    with study_lock(folder):
        runs = read_study(study, options.root, options.also)
        own = [one for one in runs.records if one.cell.seed in study.seeds]
        runs = run_cells(runs, own, options, watcher, launcher=launcher)
        while True:
            measure(runs)
            now = _analyse(runs, max_seeds)
            folder.add_interim_analysis(_row(now))
            on_analysis(now)
            if not now.next_cells:
                return now
            runs = _extend(runs, now, max_seeds, options, watcher, launcher)
            if still := set(next_cells(runs, now.verdicts, max_seeds)).intersection(now.next_cells):
                names = "; ".join(f"{arm}, seed {seed}" for arm, seed in sorted(still))
                raise CnnlabError(f"{names}: being trained by another process; settle again when it is done")


def seed_sequence(study: Study, length: int) -> list[int]:
    """The study's seeds, then the numbers above the highest: the same for all arms, so that they stay paired."""
    beyond = range(max(study.seeds) + 1, max(study.seeds) + 1 + length)
    return [*study.seeds, *beyond][:length]


def next_cells(runs: StudyRuns, verdicts: Sequence[Verdict], max_seeds: int) -> tuple[tuple[str, int], ...]:
    """For each undecided claim the arms that lack its next seed: the first that can still give it another pair."""
    state = {record.cell.key: record.state for record in runs.records}
    cells: dict[tuple[str, int], None] = {}
    for verdict in verdicts:
        if verdict.verdict != "undecided" or _is_hopeless(runs, verdict):
            continue
        for seed in seed_sequence(runs.study, max_seeds):
            states = {arm: state.get((arm, seed), "missing") for arm in verdict.claim.arms}
            open_arms = [arm for arm in states if states[arm] not in ("complete", "failed")]
            if open_arms and "failed" not in states.values():  # a pair of which one failed will never be one
                cells |= dict.fromkeys((arm, seed) for arm in open_arms)
                break
    return tuple(cells)


def _is_hopeless(runs: StudyRuns, verdict: Verdict) -> bool:
    """Whether no further seed can decide a claim that is undecided in repeated analyses."""
    failed = {record.cell.arm for record in runs.failures}
    never = any(arm in failed and not runs.finished[arm] for arm in verdict.claim.arms)
    beyond = verdict.n > 0 and verdict.effect is None  # there are values, but no mean of them
    return never or beyond


def _analyse(runs: StudyRuns, max_seeds: int) -> InterimAnalysis:
    verdicts = runs.verdicts("repeated")
    number = len(runs.folder.interim_analyses) + 1
    return InterimAnalysis(number, verdicts, next_cells(runs, verdicts, max_seeds))


def _extend(
    runs: StudyRuns,
    analysis: InterimAnalysis,
    max_seeds: int,
    options: StudyOptions,
    watcher: StudyWatcher,
    launcher: Launcher | None,
) -> StudyRuns:
    added: dict[str, list[int]] = {}
    for arm, seed in analysis.next_cells:
        added.setdefault(arm, []).append(seed)
    runs.folder.add_seeds(added)
    runs = read_study(runs.study, options.root, options.also)
    records = [one for one in runs.records if one.cell.key in analysis.next_cells]

    def is_asked_for(cell: Cell) -> bool:
        """The second half of a pair is not, once the first has diverged."""
        now = read_study(runs.study, options.root, options.also)
        return cell.key in next_cells(now, analysis.verdicts, max_seeds)

    return run_cells(runs, records, options, watcher, launcher=launcher, is_asked_for=is_asked_for)


def _row(analysis: InterimAnalysis) -> dict[str, object]:
    verdicts = {str(one.claim): one.verdict for one in analysis.verdicts}
    return {
        "look": analysis.number,
        "verdicts": verdicts,
        "next": [list(cell) for cell in analysis.next_cells],
    }
