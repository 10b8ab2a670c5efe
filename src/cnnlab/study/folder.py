"""A study's own folder, `studies/NAME` beside the runs: what the run folders cannot say.

seeds.json            seeds that were added to the definition's, arm by arm
failures/HASH.json    cells that failed without a run folder that says so: refused before it began, or killed twice
looks.jsonl           every look of `settle`; once there is one, claims are judged by tests that allow for it
logs/NAME.log         what the worker of a cell printed
lock                  who runs the study now
../.cells/HASH/lock   who trains a cell now, for whatever study
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.core.errors import RunError
from cnnlab.core.files import storage_errors, write_json
from cnnlab.runs import layout
from cnnlab.runs.metrics import Row, append_row, read_rows
from cnnlab.runs.ownership import RunLock
from cnnlab.study.arms import Cell

STUDIES = "studies"


@dataclass(frozen=True)
class Failure:
    """Why a cell cannot be trained, in words, and the exit code that its kind of error has."""

    cause: str
    exit_code: int


@dataclass(frozen=True)
class StudyFolder:
    """The files are read at every access; nothing is written before the first of them is needed."""

    path: Path

    @classmethod
    def of(cls, root: Path, study: str) -> "StudyFolder":
        """The folder of a study beside the runs in `root`."""
        return cls(root / STUDIES / study)

    def added_seeds(self) -> dict[str, list[int]]:
        """Arm -> seeds that are no part of the definition. Raises RunError where the file is damaged."""
        path = self.path / "seeds.json"
        if not path.exists():
            return {}
        try:
            value = json.loads(path.read_bytes())
            return {str(arm): [int(seed) for seed in seeds] for arm, seeds in value.items()}
        except (ValueError, AttributeError, TypeError):
            raise RunError(f"{path} is damaged: expected seeds by arm; mend or remove it") from None

    def add_seeds(self, arms: Mapping[str, Sequence[int]]) -> None:
        """Remember seeds for some arms. Raises StorageError."""
        known = self.added_seeds()
        for arm, seeds in arms.items():
            known[arm] = list(dict.fromkeys([*known.get(arm, ()), *seeds]))
        write_json(self.path / "seeds.json", known)

    def failure(self, cell: Cell) -> Failure | None:
        """Why the cell failed, if that stands here. Raises RunError where the file is damaged."""
        path = self._failure_path(cell)
        if not path.exists():
            return None
        try:
            value = json.loads(path.read_bytes())
            return Failure(str(value["cause"]), int(value["exit_code"]))
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{path} is damaged: expected a cause; remove it") from None

    def keep_failure(self, cell: Cell, failure: Failure) -> None:
        """Remember why a cell failed. Raises StorageError."""
        value = {"arm": cell.arm, "seed": cell.seed, "cause": failure.cause, "exit_code": failure.exit_code}
        write_json(self._failure_path(cell), value)

    def forget_failure(self, cell: Cell) -> None:
        """The cell is to be tried again. Raises StorageError."""
        path = self._failure_path(cell)
        with storage_errors(path):
            path.unlink(missing_ok=True)

    @property
    def looks(self) -> list[Row]:
        """What `settle` saw, look by look."""
        return read_rows(self.path / "looks.jsonl")

    def add_look(self, row: Row) -> None:
        """Remember that the claims were looked at. Raises StorageError."""
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        append_row(self.path / "looks.jsonl", row)

    def claim(self, cell: Cell) -> RunLock | None:
        """The right to train a cell, among all studies beside these runs; None: another process has it.

        A run folder would tell too, but only seconds after a training has begun. Raises StorageError.
        """
        path = self.path.parent / ".cells" / cell.recipe.hash
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        try:
            return RunLock(path, "cell")
        except RunError:
            return None

    def log(self, cell: Cell) -> Path:
        """Where the cell's worker writes what it has to say."""
        return self.path / "logs" / f"{layout.run_id(cell.arm, cell.seed, cell.recipe.hash, 1)[:-2]}.log"

    def _failure_path(self, cell: Cell) -> Path:
        return self.path / "failures" / f"{cell.recipe.hash}.json"
