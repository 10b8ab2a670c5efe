"""A study's own folder, `studies/NAME` beside the runs: what the run folders cannot say.

seeds.json            seeds that were added to the definition's, arm by arm
failures/HASH.json    why a cell's training could not be completed, also where it left no run folder (written by whoever
                      trains it); or that it was killed twice
looks.jsonl           every interim analysis of `settle`; with one, claims are judged by tests that allow for it
logs/NAME.log         what the training of a cell printed
lock                  who runs the study now
../.cells/HASH/lock   who trains a cell now, for whatever study
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.core.errors import DataError, RunError, StorageError
from cnnlab.core.files import storage_errors, write_json
from cnnlab.launch.launcher import Failure
from cnnlab.runs import layout
from cnnlab.runs.metrics import Row, append_row, read_rows
from cnnlab.runs.ownership import FolderLock
from cnnlab.study.arms import Cell

STUDIES = "studies"


# Data that are lost, a disk that refuses, a run in use: no fault of the recipe, and may be mended meanwhile.
_PASSING = (DataError.exit_code, StorageError.exit_code, RunError.exit_code)


def is_passing(failure: Failure) -> bool:
    """Whether the cell is to be tried again without being asked to."""
    return failure.exit_code in _PASSING


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
        """Why the cell could not be trained, if that stands here. Raises RunError where the file is damaged."""
        return Failure.read(self.failure_path(cell))

    def keep_failure(self, cell: Cell, failure: Failure) -> None:
        """Remember why a cell failed. Raises StorageError."""
        failure.write(self.failure_path(cell), str(cell))

    def forget_failure(self, cell: Cell) -> None:
        """The cell is to be tried again. Raises StorageError."""
        path = self.failure_path(cell)
        with storage_errors(path):
            path.unlink(missing_ok=True)

    @property
    def interim_analyses(self) -> list[Row]:
        """What `settle` saw, analysis by analysis."""
        return read_rows(self.path / "looks.jsonl")

    def add_interim_analysis(self, row: Row) -> None:
        """Remember that the claims were judged. Raises StorageError."""
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        append_row(self.path / "looks.jsonl", row)

    def lock_cell(self, cell: Cell) -> FolderLock | None:
        """The right to train a cell, among all studies beside these runs; None: another process has it.

        A run folder would tell too, but only seconds after a training has begun. Raises StorageError.
        """
        path = self.path.parent / ".cells" / cell.recipe.hash
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        try:
            return FolderLock(path, "cell")
        except RunError:
            return None

    def log(self, cell: Cell) -> Path:
        """Where the cell's training writes what it has to say."""
        return self.path / "logs" / f"{layout.run_id(cell.arm, cell.seed, cell.recipe.hash, 1)[:-2]}.log"

    def failure_path(self, cell: Cell) -> Path:
        """Where the cell's training says why it could not be completed."""
        return self.path / "failures" / f"{cell.recipe.hash}.json"
