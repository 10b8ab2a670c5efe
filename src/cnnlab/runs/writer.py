"""Writing a run folder: one owner, every file complete or absent, the completion marker last."""

import errno
import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from cnnlab.core.errors import DivergedError, Interrupted, MemoryExceededError, RunError, StorageError
from cnnlab.core.files import sha256_of, storage_errors, sync_folder, write_atomic, write_json
from cnnlab.recipe import Recipe
from cnnlab.runs import checkpoints, layout, metrics
from cnnlab.runs.checkpoints import Checkpoint, Which
from cnnlab.runs.environment import Environment, now
from cnnlab.runs.ownership import FolderLock, TakenOverError
from cnnlab.runs.reader import RunFolder, RunResult
from cnnlab.runs.tensors import Arrays, to_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

State = Literal["running", "interrupted", "diverged", "failed", "oom", "no-space", "complete"]
STATES: tuple[State, ...] = get_args(State)

_log = logging.getLogger(__name__)


class RunWriter:
    """The only writer of a run. Use it as a context manager: an early exit records its cause.

    Every method raises StorageError when a write fails; the run is then as before the call (`checkpoints.save` has one
    exception). It raises TakenOverError where another process took the run over while this one did not answer.
    """

    def __init__(self, path: Path, lock: FolderLock) -> None:
        """Use `create`, `reopen` or `inherit`."""
        self.path = path
        self._lock = lock
        self._stopped = False

    @classmethod
    def create(cls, root: Path, recipe: Recipe, environment: Environment | None = None) -> "RunWriter":
        """Start a new run under `root`, which appears complete: recipe, environment, status `running`, locked.

        Without `environment` the run is `starting` until `write_environment`. Raises StorageError, before anything
        else happens, when `root` cannot be written.
        """
        with storage_errors(root):
            root.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(dir=root, prefix=".new-"))
            lock = None
            try:
                lock = FolderLock(draft)
                write_atomic(draft / layout.RECIPE, recipe.to_toml())
                write_atomic(draft / layout.METRICS, "")
                if environment is None:
                    write_atomic(draft / layout.LOG, "")
                else:
                    _write_environment(draft, recipe, environment)
                _write_status(draft, "running", "")
                draft.chmod(0o755)  # mkdtemp makes folders private
                return cls(_publish(draft, root, recipe), lock)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                if lock:
                    lock.release()
                raise

    @classmethod
    def reopen(cls, path: Path) -> "RunWriter":
        """Open a stopped run to continue it; temporary files of a crash are removed.

        Raises RunError when the run is missing, complete or in use, naming the process.
        """
        RunFolder(path)  # raises where it is missing
        if (path / layout.COMPLETE).exists():
            raise RunError(f"run {path.name} is complete, there is nothing to resume; train its recipe again instead")
        lock = FolderLock(path)
        try:
            _forget_session(path)
            checkpoints.sweep(path / layout.CHECKPOINTS)
            _sweep_temporary(path)
            metrics.remove_incomplete_line(path / layout.METRICS)
            _write_status(path, "running", "")
        except BaseException:
            lock.release()
            raise
        return cls(path, lock)

    @classmethod
    def inherit(cls, path: Path, descriptor: int) -> "RunWriter":
        """Take the run that the parent process passed to this one, see `leave_to_child`."""
        return cls(path, FolderLock.inherit(descriptor))

    def leave_to_child(self, start: Callable[[int], None]) -> None:
        """Call `start` with a descriptor; the child process that inherits it becomes the owner of the run."""
        self._lock.leave_to_child(start)
        self._stopped = True

    def write_environment(self, environment: Environment) -> None:
        """Add the environment to a run that began without it: all is chosen and checked, the first step is next."""
        _write_environment(self.path, RunFolder(self.path).recipe, environment)

    def write_progress(self, progress: Mapping[str, Any]) -> None:
        """Write how many steps of the current epoch are done. Only for watching: a power cut may lose it."""
        write_atomic(self.path / layout.PROGRESS, json.dumps(dict(progress)) + "\n", durable=False)

    @property
    def is_asked_to_stop(self) -> bool:
        return (self.path / layout.STOP).exists()

    def write_splits(self, indices: "Mapping[str, NDArray[np.int64]]") -> None:
        """Write which images of the source's train split are in which split, by position, as JSON."""
        self._check_owner()
        positions = {split: indices_N.tolist() for split, indices_N in indices.items()}
        write_atomic(self.path / layout.SPLITS, json.dumps(positions) + "\n")

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one row to `metrics.jsonl`: an epoch (from 1), its step, losses, rates, seconds by clock."""
        self._check_owner()
        metrics.append_row(self.path / layout.METRICS, row)

    def truncate_metrics(self, epochs: int) -> None:
        """Remove the rows after epoch `epochs`, which a resume from an earlier checkpoint repeats."""
        self._check_owner()
        metrics.keep_epochs(self.path / layout.METRICS, epochs)

    def save_checkpoint(self, arrays: Arrays, meta: Mapping[str, Any], *, best: bool = False) -> str:
        """Save the state as `last`, and with `best` also as `best`; `meta` is JSON with `step`. Returns its name."""
        self._check_owner()
        folder = self.path / layout.CHECKPOINTS
        return checkpoints.save(folder, arrays, meta, best=best, before_pointing=self._check_owner)

    def load_checkpoint(self, which: Which = "last") -> Checkpoint:
        """As `RunFolder.checkpoint`. Where `last` is damaged, the returned one becomes `last`."""
        folder = self.path / layout.CHECKPOINTS
        checkpoint = checkpoints.load(folder, which)
        if which == "last":
            self._check_owner()
            checkpoints.point(folder, "last", checkpoint.name)
        return checkpoint

    def write_predictions(
        self,
        split: str,
        logits_NK: "NDArray[np.float32]",
        labels_N: "NDArray[np.int64]",
        indices_N: "NDArray[np.int64]",
    ) -> None:
        """Store a split's logits; `indices_N`, the images' positions in the source, make runs comparable in pairs."""
        if not len(logits_NK) == len(labels_N) == len(indices_N):
            raise ValueError(
                f"predictions of {split}: received {len(logits_NK)} logits, {len(labels_N)} labels and "
                f"{len(indices_N)} indices, expected equal numbers"
            )
        self._check_owner()
        content = to_bytes({"logits": logits_NK, "labels": labels_N, "indices": indices_N})
        write_atomic(layout.predictions_path(self.path, split), content)

    def finish(self, result: RunResult) -> None:
        """Write `result.json`, then status `complete`, then the marker `COMPLETE`, and release the run.

        The marker lists the SHA-256 of the run's files, in the format of `sha256sum --check`.
        """
        self._check_owner()
        write_json(self.path / layout.RESULT, result.to_json())
        _write_status(self.path, "complete", "")
        digests = _digests(self.path)
        self._check_owner()
        write_atomic(self.path / layout.COMPLETE, digests)
        self._release()

    def stop(self, state: State, cause: str) -> None:
        """Record why the run ends before it is complete, and release it: it can then be reopened."""
        if state not in STATES or state in ("running", "complete"):
            raise ValueError(f"a run cannot stop as {state!r}")
        try:
            self._check_owner()
            _write_status(self.path, state, cause)
        finally:
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._stopped:
            return
        try:
            self.stop(_state_after(error), f"{kind.__name__}: {error}" if kind else "left before it was finished")
        except (StorageError, TakenOverError) as refused:
            if error is None:
                raise
            if not isinstance(error, TakenOverError):  # the first error is reported
                _log.warning("warning: %s", refused)

    def _check_owner(self) -> None:
        self._lock.check(self.path)

    def _release(self) -> None:
        self._stopped = True
        try:
            _forget_session(self.path)
        finally:
            self._lock.release()


def request_stop(run: RunFolder) -> None:
    """Ask the process that trains a run, on any machine with access to the folder, to save and stop.

    It does so between two steps; `watch` reports when. Raises RunError where no process trains it, StorageError.
    """
    if run.status.state != "running":
        raise RunError(f"run {run.id} is {run.status}; there is nothing to stop")
    write_atomic(run.path / layout.STOP, "", durable=False)


def write_measurement(run: RunFolder, name: str, values: Mapping[str, Any]) -> Path:
    """Store a measurement of a finished network as JSON, and replace an earlier one. The marker does not list it.

    Raises RunError for a run that is not complete, as its network still changes, and StorageError.
    """
    _ = run.complete_result
    path = layout.measurement_path(run.path, name)
    write_json(path, dict(values))
    return path


def _write_environment(run: Path, recipe: Recipe, environment: Environment) -> None:
    assert environment.recipe_hash == recipe.hash, "the environment is another recipe's"
    write_json(run / layout.ENVIRONMENT, environment.to_json())


def _forget_session(run: Path) -> None:
    """Remove the messages to and from the session that has ended."""
    for path in (run / layout.STOP, run / layout.PROGRESS):
        with storage_errors(path):
            path.unlink(missing_ok=True)


def _state_after(error: BaseException | None) -> State:
    match error:
        case DivergedError():
            return "diverged"
        case MemoryExceededError():
            return "oom"
        case StorageError(no_space=True):
            return "no-space"
        case None | Interrupted() | KeyboardInterrupt() | SystemExit():
            return "interrupted"
        case _:
            return "failed"


def _publish(draft: Path, root: Path, recipe: Recipe) -> Path:
    """Rename the draft to the first free run id; the rename decides between two processes with the same id."""
    number = 1
    while True:
        path = root / layout.run_id(recipe.name, recipe.seed, recipe.hash, number)
        try:
            draft.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            number += 1
        else:
            sync_folder(root)
            return path


def _write_status(run: Path, state: State, cause: str) -> None:
    write_json(run / layout.STATUS, {"state": state, "cause": cause, "updated": now()})


def _sweep_temporary(run: Path) -> None:
    with storage_errors(run):
        for folder in (run, run / layout.PREDICTIONS):
            for path in folder.glob(".*.tmp"):
                path.unlink()


def _digests(run: Path) -> str:
    names = (layout.RECIPE, layout.ENVIRONMENT, layout.METRICS, layout.RESULT)
    predictions = sorted((run / layout.PREDICTIONS).glob("*.safetensors"))
    files = [*(run / name for name in names), *predictions]
    return "".join(f"{sha256_of(path)}  {path.relative_to(run).as_posix()}\n" for path in files)
