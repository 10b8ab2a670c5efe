"""The state of a study: which cells are finished, which failed and why, which are missing. Reads only; no torch.

Cells are found by the hash of their recipes, in one or several folders of runs. Runs of other studies, of
`cnnlab train` or of other machines count too.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

from cnnlab.compare.comparable import comparability, data_problems, notes
from cnnlab.compare.metrics import Metric, tabulate
from cnnlab.compare.table import Table
from cnnlab.compare.verdicts import Looks, Verdict, decide_all
from cnnlab.core.errors import RunError
from cnnlab.runs import RunFolder
from cnnlab.runs.earlier import RunIndex, furthest
from cnnlab.study.arms import Cell
from cnnlab.study.definition import Study
from cnnlab.study.folder import StudyFolder, is_passing

CellState = Literal["missing", "running", "stopped", "failed", "complete"]

# A run that diverged, failed or ran out of memory would do so again: it is trained again only with `--retry`.
_STATES: Mapping[str, CellState] = {
    "complete": "complete",
    "running": "running",
    "interrupted": "stopped",
    "no-space": "stopped",
    "diverged": "failed",
    "failed": "failed",
    "oom": "failed",
}


@dataclass(frozen=True)
class CellRecord:
    """The state of one cell. `run` is the run with the most progress, None if there is none; `cause` is in words."""

    cell: Cell
    state: CellState
    run: RunFolder | None
    cause: str = ""


@dataclass(frozen=True)
class StudyRuns:
    """The states of all cells of a study, arm by arm in the order of the study, with added seeds."""

    study: Study
    folder: StudyFolder
    records: tuple[CellRecord, ...]

    @property
    def finished(self) -> dict[str, dict[int, RunFolder]]:
        """Arm -> seed -> complete run, for every arm, also those without runs."""
        found: dict[str, dict[int, RunFolder]] = {arm.name: {} for arm in self.study.arms()}
        for record in self.records:
            if record.state == "complete" and record.run is not None:
                found[record.cell.arm][record.cell.seed] = record.run
        return found

    @property
    def failures(self) -> tuple[CellRecord, ...]:
        return tuple(record for record in self.records if record.state == "failed")

    @property
    def missing(self) -> tuple[CellRecord, ...]:
        """The cells that are not begun, stopped, or running."""
        return tuple(record for record in self.records if record.state not in ("complete", "failed"))

    @property
    def counts(self) -> Counter[CellState]:
        """State -> number of cells."""
        return Counter(record.state for record in self.records)

    @property
    def looks(self) -> Looks:
        """Whether claims were judged while `settle` added seeds; if so, sequential tests are needed."""
        return "repeated" if self.folder.interim_analyses else "once"

    def table(self, metric: str, arms: Collection[str] | None = None) -> Table:
        """The metric of all finished runs, or of those of some arms: arm -> seed -> value.

        Raises MetricError, and RunError if the runs saw different data: arms are compared image by image.
        """
        if problems := data_problems(self._runs_of(self.finished)):
            remedy = "leave out a folder (--also), or train again in another one (--runs)"
            raise RunError(*(f"{problem}; {remedy}" for problem in problems))
        chosen = {arm: runs for arm, runs in self.finished.items() if arms is None or arm in arms}
        return tabulate({arm: list(runs.values()) for arm, runs in chosen.items()}, Metric.parse(metric))

    def verdicts(self, looks: Looks | None = None) -> tuple[Verdict, ...]:
        """The verdict on every claim, in order; `looks` if it is not the property's. Raises as `table` does."""
        claims = self.study.claims
        arms: dict[str, set[str]] = {}  # only these need the metric
        for claim in claims:
            arms.setdefault(claim.metric, set()).update(claim.arms)
        tables = {metric: self.table(metric, named) for metric, named in arms.items()}
        lost: dict[str, dict[int, str]] = {}
        for record in self.failures:
            diverged = record.run is not None and record.run.status.state == "diverged"
            lost.setdefault(record.cell.arm, {})[record.cell.seed] = "diverged" if diverged else "failed"
        conditions = {claim: comparability(self._runs_of(claim.arms), claim.metric) for claim in claims}
        return decide_all(claims, tables, looks=looks or self.looks, lost=lost, conditions=conditions)

    @property
    def notes(self) -> list[str]:
        """Differences between the finished runs other than their recipes, a line each. Raises RunError."""
        return notes(self._runs_of(self.finished))

    def _runs_of(self, arms: Iterable[str]) -> list[RunFolder]:
        return [run for arm in arms for run in self.finished[arm].values()]


def read_study(study: Study, root: Path, also: Sequence[Path] = (), index: RunIndex | None = None) -> StudyRuns:
    """The state of the study in the runs folder `root`, with runs in the folders `also`.

    `index` from an earlier call on the same folders makes this one faster. Raises RunError.
    """
    if index is None:
        index = RunIndex([root, *also])
    else:
        index.refresh()
    folders = [StudyFolder.of(each, study.name) for each in index.roots]
    added = [folder.added_seeds() for folder in folders]
    records = []
    for arm in study.arms():
        seeds = dict.fromkeys(chain(study.seeds, *(each.get(arm.name, ()) for each in added)))
        records += [read_cell(study.cell(arm.name, seed), index, folders[0]) for seed in seeds]
    return StudyRuns(study, folders[0], tuple(records))


def read_cell(cell: Cell, index: RunIndex, folder: StudyFolder) -> CellRecord:
    """The state of one cell. A stopped run counts only in the first folder, where it can continue. Raises RunError."""
    found = index.runs(cell.recipe.hash)
    run = furthest(found)
    if run is not None and _STATES[run.status.state] == "stopped":
        run = furthest(one for one in found if one.path.parent == index.roots[0])
    status = run.status if run else None
    state: CellState = _STATES[status.state] if status else "missing"
    failure = folder.failure(cell) if state in ("stopped", "missing") else None
    if failure is not None and not is_passing(failure):
        return CellRecord(cell, "failed", run, failure.cause)
    return CellRecord(cell, state, run, status.cause if status else "")
