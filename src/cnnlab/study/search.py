"""Searches the settings of a study's factors for the recipe that is best on val: random or Bayesian optimisation.

A trial is an ordinary cell: a run in the runs folder, found by the hash of its recipe, trained by the same launcher,
continued after a stop. Test is never used. The best of many trials has an optimistic accuracy on val, so a search ends
with a study that compares the best trials with the base under new seeds.
"""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import tomli_w

from cnnlab.compare.metrics import Metric, measure
from cnnlab.core.errors import CnnlabError, RecipeError
from cnnlab.core.files import write_atomic
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
from cnnlab.study.session import Session, StudyOptions, StudyWatcher

_BEST_VAL = Metric.parse("best_val")
_CONFIRMED, _NEW_SEEDS = 3, 3


@dataclass(frozen=True)
class Trial:
    """A setting that was tried. `val` is its best accuracy on val, 0 if it diverged, None if it failed."""

    number: int
    setting: Setting
    val: float | None
    cause: str = ""


def shortened(setting: Setting) -> Setting:
    """The setting with numbers of four digits, for people: numbers from a range have many."""
    return {path: float(f"{value:.4g}") if isinstance(value, float) else value for path, value in setting.items()}


class SearchWatcher(StudyWatcher):
    """Methods that are called while a search runs. Each does nothing; override those you need."""

    def on_search(self, done: int, trials: int, workers: int, threads: int) -> None:
        """All checks have passed; the first training is next. `done` of the `trials` have ended in earlier calls."""

    def on_trial(self, trial: Trial, best: Trial | None) -> None:
        """A trial has ended."""


@dataclass(frozen=True)
class Search:
    """The result of a search: its trials in order, also stored in the CSV file `table`.

    `confirmation` is a study file: the best trials against the base under new seeds; None if there are none.
    """

    trials: tuple[Trial, ...]
    table: Path
    confirmation: Path | None

    @property
    def ranking(self) -> list[Trial]:
        """The trials with an accuracy, best first; of equal ones the earlier first."""
        known = [one for one in self.trials if one.val is not None]
        return sorted(known, key=lambda one: (-(one.val or 0.0), one.number))


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

    Trials of earlier calls with the same base and factors count, with any `method`: more can be added at any time.
    `storage` is a database URL for Optuna, a file in the study's folder if None. The search ends earlier if a whole
    grid has been tried.

    Raises CnnlabError for user mistakes before anything runs, else as `run_study` does.
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
            chosen_launcher = launcher or LocalLauncher()
            Session(folder, source.cells(), slots, options, watcher, chosen_launcher, source.ended).train()
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
    """Takes trials from the proposals, and stores there how they ended. See `Session`."""

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
        # Trials of this machine that were stopped or killed. In a storage in the study's own folder these are all,
        # even if the machine had another name then.
        mine = self.proposals.owner
        self.stopped = [
            one for one in self.proposals.all() if not one.ended and (one.owner == mine or not self.is_shared)
        ]

    def cells(self) -> Iterator[Cell]:
        while (proposal := self._next()) is not None:
            try:
                cell = self._cell(proposal)
            except RecipeError:  # each value is valid, but two of them contradict each other
                self._end(proposal, None)
            else:
                self.asked[cell.key] = proposal
                yield cell

    def ended(self, cell: Cell) -> None:
        record = self._record(cell)
        val = None
        if record.run is not None and record.state == "complete":
            found = measure(record.run, _BEST_VAL)
            assert isinstance(found, float)  # an accuracy; only epochs can be beyond what was trained
            val = found
        elif record.run is not None and record.run.status.state == "diverged":
            val = 0.0  # worse than every other result, so that the sampler avoids such settings
        self._end(self.asked.pop(cell.key), val)

    def finished(self) -> list[RunFolder]:
        """The complete runs of all trials in the folders of this machine."""
        records = [self._record(self._cell(one)) for one in self.proposals.all() if one.val]
        return [one.run for one in records if one.run is not None and one.state == "complete"]

    def trials(self) -> tuple[Trial, ...]:
        """The trials that have ended, also those of other machines with the same storage."""
        return tuple(self._trial(one) for one in self.proposals.all() if one.ended)

    def written(self) -> Search:
        """The search now, written into the study's folder. Raises StorageError."""
        search = Search(self.trials(), self.folder.path / "trials.csv", None)
        factors = self.study.factors
        rows = ((one.number, *map(one.setting.get, factors), one.val, one.cause) for one in search.trials)
        write_atomic(search.table, csv_text(("trial", *factors, "best_val", "cause"), rows))
        text = confirmation_of(self.study, search.ranking, self.method)
        if text is None:
            return search
        confirmation = self.folder.path / "confirm.toml"
        write_atomic(confirmation, text)
        return replace(search, confirmation=confirmation)

    def _next(self) -> Proposal | None:
        if self.stopped:
            return self.stopped.pop(0)
        return self.proposals.ask(self.method) if len(self.proposals.all()) < self.wanted else None

    def _cell(self, proposal: Proposal) -> Cell:
        values = merge(self.study.base, change_of(proposal.setting))
        name = f"{self.study.name} trial {proposal.number}"
        recipe = Recipe.from_dict({**values, "name": name, "seed": self.study.seeds[0]})
        return Cell(f"trial {proposal.number}: {grid_name(shortened(proposal.setting))}", recipe)

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

    def _end(self, proposal: Proposal, val: float | None) -> None:
        self.proposals.tell(proposal.number, val)
        search = self.written()
        ended = next(one for one in search.trials if one.number == proposal.number)
        self.watcher.on_trial(ended, next(iter(search.ranking), None))


def confirmation_of(study: Study, best: Sequence[Trial], method: Method) -> str | None:
    """A study file: the best trials against the base under new seeds. None if no trial differs from the base."""
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
