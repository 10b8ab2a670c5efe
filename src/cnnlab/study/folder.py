"""A study's own folder, `studies/NAME` next to the runs: state that is not in run folders.

seeds.json            seeds added to those of the definition, by arm
failures/HASH.json    why a cell's training could not be completed, also where it left no run folder; written by the
                      process that trains it, or by the study after a cell was killed twice
looks.jsonl           the interim analyses of `settle`; if there are any, claims are tested by sequential tests
logs/NAME.log         output of the training of a cell
lock                  held by the process that runs the study
../.cells/HASH/lock   held by the study that trains a cell
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cnnlab.core.errors import DataError, RunError, StorageError
from cnnlab.core.files import storage_errors, write_json
from cnnlab.launch.launcher import Failure
from cnnlab.runs import layout
from cnnlab.runs.metrics import Row, append_row, read_rows
from cnnlab.runs.ownership import FolderLock
from cnnlab.study.arms import Cell

# Missing data, a full disk, a run in use: not caused by the recipe, and possibly repaired by the next attempt.
_PASSING = (DataError.exit_code, StorageError.exit_code, RunError.exit_code)


def is_passing(failure: Failure) -> bool:
    """Whether the cell is trained again without `--retry`."""
    return failure.exit_code in _PASSING


@dataclass(frozen=True)
class StudyFolder:
    """Files are read at every access, and created when first needed."""

    path: Path

    @classmethod
    def of(cls, root: Path, study: str) -> "StudyFolder":
        """The folder of a study next to the runs in `root`."""
        return cls(root / "studies" / study)

    def added_seeds(self) -> dict[str, list[int]]:
        """Arm -> seeds that are not in the definition. Raises RunError where the file is damaged."""
        path = self.path / "seeds.json"
        if not path.exists():
            return {}
        try:
            value = json.loads(path.read_bytes())
            return {str(arm): [int(seed) for seed in seeds] for arm, seeds in value.items()}
        except (ValueError, AttributeError, TypeError):
            raise RunError(f"{path} is damaged: expected seeds by arm; repair or remove it") from None

    def add_seeds(self, cells: Iterable[tuple[str, int]]) -> None:
        """Store added seeds, each with its arm. Raises StorageError."""
        known = self.added_seeds()
        for arm, seed in cells:
            known[arm] = list(dict.fromkeys([*known.get(arm, ()), seed]))
        write_json(self.path / "seeds.json", known)

    def failure(self, cell: Cell) -> Failure | None:
        """Why the cell could not be trained, if that is stored. Raises RunError where the file is damaged."""
        return Failure.read(self.failure_path(cell))

    def forget_failure(self, cell: Cell) -> None:
        """Remove the stored failure, so that the cell is trained again. Raises StorageError."""
        path = self.failure_path(cell)
        with storage_errors(path):
            path.unlink(missing_ok=True)

    @property
    def interim_analyses(self) -> list[Row]:
        """The interim analyses of `settle`, in order."""
        return read_rows(self.path / "looks.jsonl")

    def add_interim_analysis(self, row: Row) -> None:
        """Store an interim analysis. Raises StorageError."""
        with storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        append_row(self.path / "looks.jsonl", row)

    def lock_cell(self, cell: Cell) -> FolderLock | None:
        """The lock to train a cell, shared by all studies next to these runs; None: another process holds it.

        A run folder has its own lock, but only seconds after a training has begun. Raises StorageError.
        """
        path = self.path.parent / ".cells" / cell.recipe.hash
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        try:
            return FolderLock(path, "cell")
        except RunError:
            return None

    def log(self, cell: Cell) -> Path:
        """File for the output of the cell's training."""
        return self.path / "logs" / f"{layout.run_id(cell.arm, cell.seed, cell.recipe.hash, 1)[:-2]}.log"

    def failure_path(self, cell: Cell) -> Path:
        """File for why the cell's training could not be completed."""
        return self.path / "failures" / f"{cell.recipe.hash}.json"
