"""The stored runs of an experiment: those with an equal recipe hash, in any folder and under any name."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from cnnlab.core.errors import CnnlabError
from cnnlab.runs.reader import RunFolder, run_folders

# Which of several runs represents an experiment. Failed ones come last: others were tried after them.
_RANKS = {"complete": 3, "running": 2, "interrupted": 1, "no-space": 1}

_log = logging.getLogger(__name__)


class RunIndex:
    """The runs in some folders by recipe hash. A run's environment never changes, so each is read once.

    A run with a file that cannot be read is ignored, with a warning.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self.roots = tuple(dict.fromkeys(roots))
        self._seen: set[Path] = set()
        self._runs: dict[str, list[RunFolder]] = {}
        self._ignored: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Add the runs that are new since."""
        for path in (path for root in self.roots for path in run_folders(root)):
            if path not in self._seen:
                self._seen.add(path)
                run = RunFolder(path)
                try:
                    self._runs.setdefault(run.recipe_hash, []).append(run)
                except CnnlabError as error:
                    self._ignore(run, error)

    def runs(self, recipe_hash: str) -> Sequence[RunFolder]:
        """All runs of that experiment, in the order of the folders and by name."""
        return [run for run in self._runs.get(recipe_hash, ()) if self._is_readable(run)]

    def all_runs(self) -> list[RunFolder]:
        """Every run that can be read."""
        return [run for recipe_hash in self._runs for run in self.runs(recipe_hash)]

    def _is_readable(self, run: RunFolder) -> bool:
        try:
            _ = run.recipe, run.status, run.metrics, run.result
        except CnnlabError as error:
            self._ignore(run, error)
            return False
        return True

    def _ignore(self, run: RunFolder, error: CnnlabError) -> None:
        if run.path not in self._ignored:
            self._ignored.add(run.path)
            _log.warning("warning: run %s is ignored: %s", run.id, error)


def furthest(runs: Iterable[RunFolder]) -> RunFolder | None:
    """The most advanced run: complete, else running, else stopped, else failed; of several the longest."""
    return max(runs, key=lambda run: (_RANKS.get(run.status.state, 0), len(run.metrics)), default=None)
