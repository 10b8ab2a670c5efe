"""Studies in Python: what one costs, its runs, how it stands, what becomes of its claims, its report."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cnnlab.compare.verdicts import Verdict
from cnnlab.inspect.settings import OnStep
from cnnlab.recipe.seeds import MOST_SEEDS, seed_problems
from cnnlab.runs import RunFolder
from cnnlab.runs.earlier import RunIndex
from cnnlab.study import definition
from cnnlab.study.arms import Cell, value_text
from cnnlab.study.definition import study_names
from cnnlab.study.plan import Plan
from cnnlab.study.record import CellRecord, CellState, StudyRuns, read_study
from cnnlab.study.search import Search, SearchWatcher, Trial, shortened
from cnnlab.study.session import StudyOptions, StudyWatcher
from cnnlab.study.settle import InterimAnalysis

if TYPE_CHECKING:
    from cnnlab.report.study_report import Format
    from cnnlab.study.proposals import Method

StudyValue = definition.Study

__all__ = [
    "MOST_SEEDS", "ArmRow", "Cell", "CellRecord", "InterimAnalysis", "Plan", "Search", "Silent", "Study",
    "StudyOptions", "StudyRuns", "StudyValue", "StudyWatcher", "Trial", "Verdict", "Watching", "arm_rows",
    "seed_problems", "shortened", "study_names", "value_text",
]  # fmt: skip

Watching = Callable[[RunFolder, str], AbstractContextManager[OnStep]]
"""Entered while one run is measured: the run, and the name of the measurement."""


class Silent:
    """Watches nothing: what is overridden is told. See `StudyWatcher` and `SearchWatcher`."""

    def on_begin(self, *told: Any, **named: Any) -> None:
        """Told, and not shown."""

    on_start = on_end = on_tick = on_close = on_search = on_trial = on_begin


class ArmRow(NamedTuple):
    """An arm: how many of its cells are in which state, and the epochs done of those that run, by seed."""

    arm: str
    counts: dict[CellState, int]
    running: dict[int, tuple[int, int]]


class Study:
    """A study, with how and where it is executed.

    study = Study.load("lab2-batchnorm-lr")
    study.plan().wall_seconds; study.run(); study.claims(); study.report(Path("report"), "html")
    """

    def __init__(self, value: definition.Study, options: StudyOptions | None = None) -> None:
        self.value = value
        self.options = options or StudyOptions()
        self.reference = value.name

    @classmethod
    def load(
        cls, reference: str | Path, changes: Sequence[str] = (), options: StudyOptions | None = None
    ) -> "Study":
        """A study that comes with cnnlab, or a TOML file; `changes` (`"train.epochs=1"`) are to its base.

        Raises StudyError with every problem.
        """
        study = cls(definition.Study.load(reference, changes), options)
        study.reference = str(reference)
        return study

    def status(self, index: RunIndex | None = None) -> StudyRuns:
        """How it stands, from run folders alone; `index` is one of an earlier look. Raises RunError."""
        return read_study(self.value, self.options.root, self.options.also, index)

    def index(self) -> RunIndex:
        """For those who ask for the status again and again: the runs that were read already."""
        return RunIndex([self.options.root, *self.options.also])

    def plan(self, probe: bool = False) -> Plan:
        """Every cell, and what it will cost; with `probe` one epoch of each unknown network is trained for it.

        Raises RunError, and as `train` does.
        """
        from cnnlab.launch.local import local_slots
        from cnnlab.study.plan import make_plan, stored_runs, train_probes
        from cnnlab.study.runner import wanted_workers

        runs, options = self.status(), self.options
        slots = local_slots(wanted_workers(self.value, options), len(runs.missing), options.run.threads)
        examples = stored_runs(runs, [options.root, *options.also])
        if probe:
            examples += train_probes(runs, examples, options.run, slots[0].threads)
        return make_plan(runs, examples, options.run, slots)

    def run(self, watcher: StudyWatcher | None = None, seeds: Sequence[int] | None = None) -> StudyRuns:
        """Train what is missing, or of it the `seeds` alone; how it stands then. Raises as `run_study`."""
        from cnnlab.study.runner import run_study

        return run_study(self.value, self.options, watcher or Silent(), seeds=seeds)

    def settle(
        self,
        max_seeds: int,
        watcher: StudyWatcher | None = None,
        on_analysis: Callable[[InterimAnalysis], None] = lambda analysis: None,
        watching: Watching | None = None,
    ) -> InterimAnalysis:
        """Add seeds where a claim is undecided; the last analysis. Raises as `run` does."""
        from cnnlab.study.settle import settle

        return settle(
            self.value,
            max_seeds,
            self.options,
            watcher or Silent(),
            on_analysis,
            measure=lambda runs: self._measure(runs, watching),
        )

    def search(
        self,
        watcher: SearchWatcher | None = None,
        method: "Method | None" = None,
        trials: int | None = None,
        storage: str | None = None,
    ) -> Search:
        """Try settings of its factors for the best on val. Raises as `search_study`."""
        from cnnlab.study.search import search_study

        return search_study(
            self.value, self.options, watcher or Silent(), method=method, trials=trials, storage=storage
        )

    def measure(self, watching: Watching | None = None) -> StudyRuns:
        """Measure what its claims are about and its runs lack; how it stands then. Raises as `measure_study`."""
        runs = self.status()
        self._measure(runs, watching)
        return runs

    def claims(self) -> tuple[Verdict, ...]:
        """Every claim confirmed, refuted or undecided, and why. Raises RunError."""
        return self.status().verdicts()

    def report(self, out: Path | None = None, *formats: "Format", command: Sequence[str] = ()) -> list[Path]:
        """Write its report as `html` if not said otherwise, into `reports/<study>`; returns what was written.

        `command` is to be named in it as what made it. Raises CnnlabError, RunError, StorageError.
        """
        from cnnlab.report.study.wording import command_line
        from cnnlab.report.study_report import write_study_report
        from cnnlab.study.facts import facts_of

        facts = facts_of(self.status(), (command_line(command),) if command else ())
        return write_study_report(facts, out or Path("reports") / self.value.name, formats or ("html",))

    def _measure(self, runs: StudyRuns, watching: Watching | None) -> None:
        if self.value.measurements:
            from cnnlab.study.measure import measure_study  # brings torch

            measure_study(runs, self.options.run, watching or _unwatched)


def arm_rows(runs: StudyRuns) -> list[ArmRow]:
    """How the arms stand, in the order of the study."""
    return [
        _arm_row(arm.name, [one for one in runs.records if one.cell.arm == arm.name])
        for arm in runs.study.arms()
    ]


def _arm_row(arm: str, records: Iterable[CellRecord]) -> ArmRow:
    counts: dict[CellState, int] = {}
    running = {}
    for one in records:
        counts[one.state] = counts.get(one.state, 0) + 1
        if one.state == "running":
            done = len(one.run.metrics) if one.run else 0
            running[one.cell.seed] = (done, one.cell.recipe.train.epochs)
    return ArmRow(arm, counts, running)


def _unwatched(run: RunFolder, name: str) -> AbstractContextManager[OnStep]:
    return nullcontext(lambda done, total: None)
