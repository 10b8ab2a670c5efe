"""Which runs of an experiment there are already: equal recipe hash, whatever their names and folders."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnnlab.core.errors import CnnlabError
from cnnlab.runs.reader import RunFolder, run_folders

# Which of several runs of one experiment stands for it. One that failed comes last: it was tried again since.
_RANKS = {"complete": 3, "running": 2, "interrupted": 1, "no-space": 1}

_log = logging.getLogger(__name__)


class RunIndex:
    """The runs below some folders by recipe hash. A run's environment never changes, so each is read once.

    A run with a file that cannot be read is left out, with a warning: as if it had not been trained.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(dict.fromkeys(roots))
        self._seen: set[Path] = set()
        self._runs: dict[str, list[RunFolder]] = {}
        self._left_out: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in the runs that came since."""
        for path in (path for root in self.roots for path in run_folders(root)):
            if path not in self._seen:
                self._seen.add(path)
                self._add(RunFolder(path))

    def runs(self, recipe_hash: str) -> Sequence[RunFolder]:
        """All runs of that experiment, in the order of the folders and by name."""
        return [run for run in self._runs.get(recipe_hash, ()) if self._is_readable(run)]

    def all_runs(self) -> list[RunFolder]:
        """Every run that can be read."""
        return [run for recipe_hash in self._runs for run in self.runs(recipe_hash)]

    def _add(self, run: RunFolder) -> None:
        try:
            self._runs.setdefault(run.recipe_hash, []).append(run)
        except CnnlabError as error:
            self._leave_out(run, error)

    def _is_readable(self, run: RunFolder) -> bool:
        try:
            _ = run.recipe, run.status, run.metrics, run.result
        except CnnlabError as error:
            self._leave_out(run, error)
            return False
        return True

    def _leave_out(self, run: RunFolder, error: CnnlabError) -> None:
        if run.path not in self._left_out:
            self._left_out.add(run.path)
            _log.warning("warning: run %s is passed over: %s", run.id, error)


def furthest(runs: Iterable[RunFolder]) -> RunFolder | None:
    """The run that got furthest: complete, else running, else stopped, else failed; of several the longest."""
    return max(runs, key=lambda run: (_RANKS.get(run.status.state, 0), len(run.metrics)), default=None)
