"""Studies in Python: forecast, runs, status, verdicts, report."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnlab.compare.verdicts import Verdict
from cnnlab.inspect.settings import OnStep
from cnnlab.launch.local import local_slots
from cnnlab.recipe.seeds import MOST_SEEDS, seed_problems
from cnnlab.report.study.wording import command_line
from cnnlab.runs import RunFolder
from cnnlab.runs.earlier import RunIndex
from cnnlab.study import definition
from cnnlab.study.arms import Cell, value_text
from cnnlab.study.definition import study_names
from cnnlab.study.facts import facts_of
from cnnlab.study.plan import Plan, make_plan, stored_runs, train_probes
from cnnlab.study.proposals import Method
from cnnlab.study.record import CellRecord, CellState, StudyRuns, read_study
from cnnlab.study.runner import run_study, wanted_workers
from cnnlab.study.search import Search, SearchWatcher, Trial, search_study, shortened
from cnnlab.study.session import StudyOptions, StudyWatcher, Watching
from cnnlab.study.settle import InterimAnalysis, settle

if TYPE_CHECKING:
    from cnnlab.report.study_report import Format

StudyValue = definition.Study

__all__ = [
    "MOST_SEEDS", "ArmRow", "Cell", "CellRecord", "InterimAnalysis", "Plan", "Search", "SearchWatcher", "Study",
    "StudyOptions", "StudyRuns", "StudyValue", "StudyWatcher", "Trial", "Verdict", "Watching", "arm_rows",
    "seed_problems", "shortened", "study_names", "value_text",
]  # fmt: skip


class ArmRow(NamedTuple):
    """An arm: state -> number of cells, and seed -> (epochs done, of how many if known) of the cells that run."""

    arm: str
    counts: Counter[CellState]
    running: dict[int, tuple[int, int | None]]


class Study:
    """A study with the options of its execution.

    study = Study.load("lab2-batchnorm-lr")
    study.plan().wall_seconds; study.run(); study.claims(); study.report(Path("report"), "html")
    """

    def __init__(self, value: definition.Study, options: StudyOptions | None = None) -> None:
        self.value = value
        self.options = options or StudyOptions()
        self.reference = value.name

    @classmethod
    def load(
        cls,
        reference: str | Path,
        changes: Sequence[str] = (),
        options: StudyOptions | None = None,
        budget: str | None = None,
    ) -> "Study":
        """A study that comes with cnnlab, or a TOML file; `changes` (`"train.epochs=1"`) apply to its base.

        `budget` names one of its smaller forms. Raises StudyError with every problem.
        """
        study = cls(definition.Study.load(reference, changes, budget=budget), options)
        study.reference = str(reference) if budget is None else f"{reference} --budget {budget}"
        return study

    def status(self, index: RunIndex | None = None) -> StudyRuns:
        """The state of every cell, from run folders; `index` from an earlier call makes it faster. Raises RunError."""
        return read_study(self.value, self.options.root, self.options.also, index)

    def index(self) -> RunIndex:
        """An index of runs, to be given to repeated calls of `status`."""
        return RunIndex([self.options.root, *self.options.also])

    def plan(self, probe: bool = False) -> Plan:
        """Every cell and its cost; `probe` trains one epoch of each unknown network. Raises RunError, as `train`."""
        runs, options = self.status(), self.options
        slots = local_slots(wanted_workers(self.value, options), len(runs.missing), options.run.threads)
        examples = stored_runs(runs, [options.root, *options.also])
        if probe:
            examples += train_probes(runs, examples, options.run, slots[0].threads)
        return make_plan(runs, examples, options.run, slots)

    def run(self, watcher: StudyWatcher | None = None, seeds: Sequence[int] | None = None) -> StudyRuns:
        """Train what is missing, or only `seeds` of it; returns the new status. Raises as `run_study`."""
        return run_study(self.value, self.options, watcher or StudyWatcher(), seeds=seeds)

    def settle(
        self,
        max_seeds: int,
        watcher: StudyWatcher | None = None,
        on_analysis: Callable[[InterimAnalysis], None] = lambda analysis: None,
        watching: Watching | None = None,
    ) -> InterimAnalysis:
        """Add seeds where a claim is undecided; returns the last analysis. Raises as `run` does."""
        shown, measure = watcher or StudyWatcher(), partial(self._measure, watching=watching)
        return settle(self.value, max_seeds, self.options, shown, on_analysis, measure=measure)

    def search(
        self,
        watcher: SearchWatcher | None = None,
        method: Method | None = None,
        trials: int | None = None,
        storage: str | None = None,
    ) -> Search:
        """Search the settings of its factors for the best on val. Raises as `search_study`."""
        shown = watcher or SearchWatcher()
        return search_study(self.value, self.options, shown, method=method, trials=trials, storage=storage)

    def measure(self, watching: Watching | None = None) -> StudyRuns:
        """Make the measurements that its claims need; returns the status. Raises as `measure_study`."""
        runs = self.status()
        self._measure(runs, watching)
        return runs

    def claims(self) -> tuple[Verdict, ...]:
        """The verdict on every claim, and why. Raises RunError."""
        return self.status().verdicts()

    def report(self, out: Path | None = None, *formats: "Format", command: Sequence[str] = ()) -> list[Path]:
        """Write its report, as `html` by default, into `out`, else `reports/<study>`; returns the files.

        `command` is printed in it. Raises CnnlabError, RunError, StorageError.
        """
        from cnnlab.report.study_report import write_study_report

        facts = facts_of(self.status(), (command_line(command),) if command else ())
        return write_study_report(facts, out or Path("reports") / self.value.name, formats or ("html",))

    def _measure(self, runs: StudyRuns, watching: Watching | None) -> None:
        if self.value.measurements:
            from cnnlab.study.measure import measure_study  # imports torch

            measure_study(runs, self.options.run, watching or _unwatched)


def _unwatched(run: RunFolder, name: str) -> AbstractContextManager[OnStep]:
    return nullcontext(lambda done, total: None)


def arm_rows(runs: StudyRuns) -> list[ArmRow]:
    """The state of each arm, in the order of the study."""
    rows = {arm.name: ArmRow(arm.name, Counter(), {}) for arm in runs.study.arms()}
    for one in runs.records:
        row = rows[one.cell.arm]
        row.counts[one.state] += 1
        if one.state == "running":
            run = one.run if one.run and one.run.is_assembled else None
            row.running[one.cell.seed] = (len(run.metrics), run.total_epochs) if run else (0, None)
    return list(rows.values())
