"""Searches what a study's factors span for the recipe that is best on val: at random, or by Bayesian optimisation.

A trial is a cell like any other: a run in the runs folder, found by the hash of its recipe, trained by the same
launcher, continued where it was stopped. Nothing here looks at test. The best of many trials is flattered by the val
images that chose it, so a search ends with a study that compares what was found with the base under new seeds.
"""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import tomli_w

from cnnlab.compare.metrics import Metric, measure
from cnnlab.core.errors import CnnlabError, RecipeError
from cnnlab.core.files import storage_errors, write_atomic
from cnnlab.core.tables import csv_text
from cnnlab.launch.launcher import Launcher
from cnnlab.launch.local import LocalLauncher
from cnnlab.recipe import Recipe
from cnnlab.recipe.canonical import leaves
from cnnlab.recipe.sources import merge
from cnnlab.runs import RunFolder
from cnnlab.runs.earlier import RunIndex
from cnnlab.study.arms import Cell, Setting, change_of, grid_name
from cnnlab.study.definition import Study
from cnnlab.study.folder import StudyFolder
from cnnlab.study.proposals import Method, Proposal, Proposals
from cnnlab.study.record import CellRecord, read_cell
from cnnlab.study.runner import prepare, study_lock
from cnnlab.study.session import StudyOptions, StudyWatcher, train_cells

_BEST_VAL = Metric.parse("best_val")
_CONFIRMED, _NEW_SEEDS = 3, 3


@dataclass(frozen=True)
class Trial:
    """A setting that was tried. `val` is its best accuracy on val, 0 where it diverged, None where it failed."""

    number: int
    setting: Setting
    val: float | None
    cause: str = ""

    @property
    def name(self) -> str:
        """`trial 3: lr=0.0123, bn=on`, numbers shortened to four digits."""
        return f"trial {self.number}: {setting_name(self.setting)}"


def setting_name(setting: Setting) -> str:
    """As `grid_name` has it, numbers shortened."""
    return grid_name(shortened(setting))


def shortened(setting: Setting) -> Setting:
    """The setting to be read: a number out of a range has many digits."""
    return {
        path: float(f"{value:.4g}") if isinstance(value, float) else value for path, value in setting.items()
    }


class SearchWatcher(StudyWatcher, Protocol):
    """What someone watching a search is told."""

    def on_search(self, done: int, trials: int, workers: int, threads: int) -> None:
        """Everything is checked; the first training is next. `trials` are wanted, `done` of them have ended before."""

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        """A trial has ended."""


@dataclass(frozen=True)
class Search:
    """How a search stands: its trials in the order they were asked for, written down as `table` (CSV).

    `confirmation` is a study file: the best against the base under new seeds; None where nothing was better.
    """

    trials: tuple[Trial, ...]
    table: Path
    confirmation: Path | None

    @property
    def ranking(self) -> list[Trial]:
        """The trials with an accuracy, the best first."""
        return ranking(self.trials)


def ranking(trials: Sequence[Trial]) -> list[Trial]:
    """Those with an accuracy, the best first, of equals the earlier."""
    return sorted(
        (one for one in trials if one.val is not None), key=lambda one: (-(one.val or 0.0), one.number)
    )


def search_study(
    study: Study,
    options: StudyOptions,
    watcher: SearchWatcher,
    *,
    method: Method | None = None,
    trials: int | None = None,
    storage: str | None = None,
    launcher: Launcher | None = None,
) -> Search:
    """Try settings of the study's factors under its first seed until `trials` have been tried in all.

    Trials of an earlier call count, whatever their `method`, as long as base and factors are the same: more can be
    added at any time. `storage` is an address as Optuna takes it, a file in the study's folder if None. The search
    ends earlier where a grid has been tried whole.

    Raises CnnlabError for what the user can mend before anything runs, else as `run_study` does.
    """
    if problems := _problems(study, trials):
        raise CnnlabError(*problems)
    wanted = trials or study.search.trials
    folder = StudyFolder.of(options.root, study.name)
    with study_lock(folder):
        address = storage or f"sqlite:///{folder.path.resolve() / 'search.db'}"
        proposals = Proposals(study, address, f"{platform.node()}:{options.root.resolve()}")
        chosen = method or study.search.method
        source = _TrialSource(study, chosen, wanted, options, folder, watcher, proposals, storage is not None)
        done = len(source.trials())
        if done < wanted:
            cells = [Cell(name, Recipe.from_dict(values)) for name, values in study.drafts()]
            slots = prepare(study, cells, wanted - done, source.finished(), options)
            watcher.on_search(done, wanted, len(slots), slots[0].threads)
            train_cells(folder, source, slots, options, watcher, launcher or LocalLauncher())
        return source.written()


def _problems(study: Study, trials: int | None) -> list[str]:
    problems = []
    if not study.factors:
        problems.append(f"study {study.name} has no [factors]: a search tries their values")
    if not study.base_recipe.data.val:
        problems.append("data.val: received 0, expected images to select by; a search never looks at test")
    if trials is not None and trials < 1:
        problems.append(f"--trials: received {trials}, expected 1 or more")
    return problems


@dataclass
class _TrialSource:
    """Takes the next trial from the proposals and tells them how it ended. See `CellSource`."""

    study: Study
    method: Method
    wanted: int
    options: StudyOptions
    folder: StudyFolder
    watcher: SearchWatcher
    proposals: Proposals
    is_shared: bool
    asked: dict[tuple[str, int], Proposal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index = RunIndex([self.options.root, *self.options.also])
        # Ours, and nobody trains them: the study was stopped or killed meanwhile. In a storage of the study's own
        # folder all are, whatever name this machine had then.
        mine = self.proposals.owner
        self.stopped = [
            one for one in self.proposals.all() if not one.ended and (one.owner == mine or not self.is_shared)
        ]

    def take(self) -> Cell | None:
        """See `CellSource`."""
        while (proposal := self._next()) is not None:
            try:
                cell = self._cell(proposal)
            except RecipeError:  # each value is good, and two of them contradict each other
                self._tell(proposal, None)
                continue
            self.asked[cell.key] = proposal
            return cell
        return None

    def ended(self, cell: Cell) -> None:
        """See `CellSource`."""
        record = self._record(cell)
        val = None
        if record.run is not None and record.state == "complete":
            found = measure(record.run, _BEST_VAL)
            assert isinstance(found, float)  # an accuracy; only epochs can lie beyond what was trained
            val = found
        elif record.run is not None and record.run.status.state == "diverged":
            val = 0.0  # a result, and worse than every other: a sampler is to keep away from there
        self._tell(self.asked.pop(cell.key), val)

    def finished(self) -> list[RunFolder]:
        """The complete runs of all trials that lie here."""
        records = [self._record(self._cell(one)) for one in self.proposals.all() if one.val]
        return [one.run for one in records if one.run is not None and one.state == "complete"]

    def trials(self) -> tuple[Trial, ...]:
        """The trials that have ended, those of other machines with the same storage included."""
        return tuple(self._trial(one) for one in self.proposals.all() if one.ended)

    def written(self) -> Search:
        """The search as it stands, written into the study's folder. Raises StorageError."""
        trials = self.trials()
        table, confirmation = self.folder.path / "trials.csv", self.folder.path / "confirm.toml"
        with storage_errors(table):
            head = ("trial", *self.study.factors, "best_val", "cause")
            rows = (
                (one.number, *map(one.setting.get, self.study.factors), one.val, one.cause) for one in trials
            )
            write_atomic(table, csv_text(head, rows))
            found = confirmation_of(self.study, ranking(trials), self.method)
            if found is not None:
                write_atomic(confirmation, found)
        return Search(trials, table, confirmation if found is not None else None)

    def _next(self) -> Proposal | None:
        if self.stopped:
            return self.stopped.pop(0)
        return self.proposals.ask(self.method) if len(self.proposals.all()) < self.wanted else None

    def _cell(self, proposal: Proposal) -> Cell:
        values = merge(self.study.base, change_of(proposal.setting))
        name = f"{self.study.name} trial {proposal.number}"
        recipe = Recipe.from_dict({**values, "name": name, "seed": self.study.seeds[0]})
        return Cell(f"trial {proposal.number}: {setting_name(proposal.setting)}", recipe)

    def _record(self, cell: Cell) -> CellRecord:
        self.index.refresh()
        return read_cell(cell, self.index, self.folder)

    def _trial(self, proposal: Proposal) -> Trial:
        cause = ""
        if not proposal.val:
            try:
                cause = self._record(self._cell(proposal)).cause
            except RecipeError as error:
                cause = "; ".join(error.problems)
        return Trial(proposal.number, proposal.setting, proposal.val, cause)

    def _tell(self, proposal: Proposal, val: float | None) -> None:
        self.proposals.tell(proposal.number, val)
        search = self.written()
        ended = next(one for one in search.trials if one.number == proposal.number)
        self.watcher.on_trial(ended, next(iter(search.ranking), None))


def confirmation_of(study: Study, best: Sequence[Trial], method: Method) -> str | None:
    """A study file: the best trials against the base under seeds that the search has not seen. None without any."""
    base = study.base_recipe.with_seed(1)
    arms = []
    for trial in best[:_CONFIRMED]:
        change = change_of(trial.setting)
        if trial.val and Recipe.from_dict({**merge(study.base, change), "seed": 1}).hash != base.hash:
            arms.append({"name": f"trial {trial.number}", "set": change})
    if not arms:
        return None
    first = max(study.seeds) + 1
    note = (
        f"# The best of {len(best)} trials ({method}) of the search {study.name}, chosen by val under seed "
        f"{study.seeds[0]}.\n# Chosen from many they look better than they are: this compares them with the base "
        "under new seeds.\n#   cnnlab study run confirm.toml\n"
    )
    return note + tomli_w.dumps(
        {
            "name": f"{study.name}-confirm",
            "question": f"Is what the search {study.name} found better than its base under new seeds?",
            "seeds": list(range(first, first + _NEW_SEEDS)),
            "arm": [{"name": "base"}, *arms],
            "claim": [
                {"left": arm["name"], "relation": ">", "right": "base", "metric": metric}
                for arm in arms[:1]
                for metric in ("best_val", "test")
            ],
            "base": change_of(dict(leaves(study.base))),  # without what is not set
        }
    )
