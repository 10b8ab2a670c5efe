"""How a study stands: which cells are finished, which failed and why, which are missing. Reads only; no torch.

Cells are found by the hash of their recipes, in one or several folders of runs: a run that was trained for another
study, by hand or on another machine is as good as one trained for this.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
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

# A run that diverged, broke or ran out of memory will do so again: a result, tried anew only on request.
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
    """One cell as it stands. `run` is the run that got furthest, None where there is none; `cause` is in words."""

    cell: Cell
    state: CellState
    run: RunFolder | None
    cause: str = ""


@dataclass(frozen=True)
class StudyRuns:
    """All cells of a study as they stand, arm by arm in the order of the study, seeds that were added included."""

    study: Study
    folder: StudyFolder
    records: tuple[CellRecord, ...]

    @property
    def finished(self) -> dict[str, dict[int, RunFolder]]:
        """Arm -> seed -> complete run; every arm is there, also one without any."""
        found: dict[str, dict[int, RunFolder]] = {arm.name: {} for arm in self.study.arms()}
        for record in self.records:
            if record.state == "complete" and record.run is not None:
                found[record.cell.arm][record.cell.seed] = record.run
        return found

    @property
    def failures(self) -> tuple[CellRecord, ...]:
        """The cells that failed, each with its cause."""
        return tuple(record for record in self.records if record.state == "failed")

    @property
    def missing(self) -> tuple[CellRecord, ...]:
        """The cells that are neither finished nor failed: not begun, stopped, or running."""
        return tuple(record for record in self.records if record.state not in ("complete", "failed"))

    @property
    def counts(self) -> Counter[CellState]:
        """How many cells are in which state."""
        return Counter(record.state for record in self.records)

    @property
    def looks(self) -> Looks:
        """Whether claims were judged while seeds were added (by `settle`), which the tests must allow for."""
        return "repeated" if self.folder.interim_analyses else "once"

    def table(self, metric: str, arms: Collection[str] | None = None) -> Table:
        """The metric of all finished runs, or of those of some arms: arm -> seed -> value.

        Raises RunError, MetricError.
        """
        self._check_data()
        chosen = {arm: runs for arm, runs in self.finished.items() if arms is None or arm in arms}
        return tabulate({arm: list(runs.values()) for arm, runs in chosen.items()}, Metric.parse(metric))

    def verdicts(self, looks: Looks | None = None) -> tuple[Verdict, ...]:
        """The verdict on every claim, in order. `looks` None: as `looks` of this says. Raises as `table` does."""
        claims = self.study.claims
        arms: dict[str, set[str]] = {}  # only these need have what the metric takes
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
        """What differs between the finished runs beside their recipes, a line each. Raises RunError."""
        return notes(self._runs_of(self.finished))

    def _runs_of(self, arms: Iterable[str]) -> list[RunFolder]:
        return [run for arm in arms for run in self.finished[arm].values()]

    def _check_data(self) -> None:
        """Arms with equal data tables are compared image by image: they must have seen the same data set."""
        if problems := data_problems(self._runs_of(self.finished)):
            remedy = "leave out a folder (--also), or train anew in another one (--runs)"
            raise RunError(*(f"{problem}; {remedy}" for problem in problems))


def read_study(
    study: Study, root: Path, also: Sequence[Path] = (), index: RunIndex | None = None
) -> StudyRuns:
    """How the study stands in the runs folder `root`, runs in the folders `also` taken as well.

    `index` is one of an earlier look at the same folders: it makes the next look cheaper. Raises RunError.
    """
    if index is None:
        index = RunIndex([root, *also])
    else:
        index.refresh()
    folders = [StudyFolder.of(each, study.name) for each in index.roots]
    added = [folder.added_seeds() for folder in folders]
    cells = [
        study.cell(arm.name, seed)
        for arm in study.arms()
        for seed in dict.fromkeys(
            [*study.seeds, *(seed for seeds in added for seed in seeds.get(arm.name, ()))]
        )
    ]
    return StudyRuns(study, folders[0], tuple(read_cell(cell, index, folders[0]) for cell in cells))


def read_cell(cell: Cell, index: RunIndex, folder: StudyFolder) -> CellRecord:
    """How one cell stands. A stopped run counts where it can go on: in the first folder. Raises RunError."""
    found = index.runs(cell.recipe.hash)
    run = furthest(found)
    if run is not None and _STATES[run.status.state] == "stopped":
        run = furthest(one for one in found if one.path.parent == index.roots[0])
    if run is not None:
        status = run.status
        state = _STATES[status.state]
        if state != "stopped":
            return CellRecord(cell, state, run, status.cause)
    failure = folder.failure(cell)
    if failure is not None and not is_passing(failure):
        return CellRecord(cell, "failed", run, failure.cause)
    return CellRecord(cell, "stopped" if run else "missing", run, run.status.cause if run else "")
