"""Reading a run folder, also one that is being written, stopped, copied or old. It writes nothing, without torch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from cnnlab.core.errors import RunError
from cnnlab.core.suggest import did_you_mean
from cnnlab.recipe import Recipe
from cnnlab.runs import checkpoints, layout, metrics, ownership
from cnnlab.runs.checkpoints import Checkpoint, Which
from cnnlab.runs.environment import Environment
from cnnlab.runs.tensors import from_bytes
from cnnlab.runs.values import FileValue, read_object

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AVERAGED, _TRAINED = "averaged_model.", "model."

_log = logging.getLogger(__name__)


class Status(FileValue):
    """The state of a run: one of `writer.STATES`, the cause as text, and when it was written (UTC)."""

    state: str
    cause: str
    updated: str

    def __str__(self) -> str:
        return f"{self.state} ({self.cause})" if self.cause else self.state


class RunResult(FileValue):
    """Accuracy and loss per split of the network of the best epoch; sizes; seconds per clock; peak memory in bytes."""

    FORMAT: ClassVar[int] = 1

    format: int = FORMAT
    best_epoch: int
    epochs: int
    accuracy: dict[str, float]
    loss: dict[str, float]
    parameters: int
    macs: int
    seconds: dict[str, float]
    peak_memory: int

    @property
    def total_seconds(self) -> float:
        """All clocks together."""
        return sum(self.seconds.values())

    def __getitem__(self, name: str) -> Any:
        """`result["accuracy"]` is `result.accuracy`, for programs that expect a dictionary."""
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)


class Predictions(NamedTuple):
    """Stored outputs: logits (N, K), labels (N,), and the images' positions in the source (N,)."""

    logits: "NDArray[np.float32]"
    labels: "NDArray[np.int64]"
    indices: "NDArray[np.int64]"


class Predicted(NamedTuple):
    """The predicted class of each image (N,), the true one (N,), and the images' positions (N,)."""

    classes: "NDArray[np.int64]"
    labels: "NDArray[np.int64]"
    indices: "NDArray[np.int64]"


@dataclass(frozen=True)
class RunFolder:
    """A run on disk. Recipe and environment never change; everything else is read at every access."""

    path: Path

    def __post_init__(self) -> None:
        if not layout.is_run_folder(self.path):
            raise RunError(f"no run folder at {self.path}; `cnnlab runs ls` lists the runs")

    @property
    def id(self) -> str:
        return self.path.name

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, validated. Raises RecipeError."""
        return Recipe.load(self.path / layout.RECIPE)

    @cached_property
    def environment(self) -> Environment:
        """Data, machine, versions and how it was run. Raises RunError where the file is damaged."""
        return Environment.read(self.path / layout.ENVIRONMENT)

    @property
    def total_epochs(self) -> int:
        """The epochs of the whole training. Raises RunError where a number of steps is given and no data yet."""
        train = self.recipe.train
        if isinstance(train.epochs, int):
            return train.epochs
        return train.total_epochs(train.steps_per_epoch(self.environment.data.images["train"]))

    @property
    def is_assembled(self) -> bool:
        """False for a run in the background before its choices and checks are done, also when it ended then.

        Any other run without its environment is damaged: only a run in the background has a log.
        """
        began = (self.path / layout.COMPLETE).exists() or self.metrics
        early = (self.path / layout.LOG).exists() and not began
        return not early or (self.path / layout.ENVIRONMENT).exists()

    @property
    def recipe_hash(self) -> str:
        """The identity of the experiment. Raises RunError, RecipeError."""
        return self.environment.recipe_hash if self.is_assembled else self.recipe.hash

    @property
    def created(self) -> str:
        """When the run began, UTC; its text sorts by time. Raises RunError."""
        return self.environment.created if self.is_assembled else self.status.updated

    @property
    def metrics(self) -> list[metrics.Row]:
        """One row per epoch; a line that is still being written is ignored."""
        return metrics.read_epochs(self.path / layout.METRICS)

    @property
    def status(self) -> Status:
        """The recorded status, corrected: `complete` needs its marker, `running` an owner. Raises RunError."""
        status = self._recorded_status()
        if status.state == "running" and not ownership.is_owned(self.path):
            status = self._recorded_status()  # it may have ended between the two reads
            if status.state == "running":
                return Status(state="interrupted", cause="owner gone", updated=status.updated)
        return status

    def _recorded_status(self) -> Status:
        """The status in the files; `complete` without its marker is still `running`."""
        status = Status.read(self.path / layout.STATUS)
        if (self.path / layout.COMPLETE).exists():
            return Status(state="complete", cause="", updated=status.updated)
        if status.state not in ("running", "complete"):
            return status
        cause = "" if self.is_assembled else "starting"
        return Status(state="running", cause=cause, updated=status.updated)

    @property
    def progress(self) -> dict[str, int] | None:
        """`epoch` (from 1), `step_in_epoch` and `steps_per_epoch` of a running training, about a second old."""
        path = self.path / layout.PROGRESS
        try:
            values = read_object(path) if path.exists() else {}
        except RunError:
            return None  # the run has just ended and removed it
        counts = [values.get(key) for key in ("epoch", "step_in_epoch", "steps_per_epoch")]
        return values if all(isinstance(count, int) and count > 0 for count in counts) else None

    @property
    def result(self) -> RunResult | None:
        """The final figures; None until the run is complete. Raises RunError where the file is damaged."""
        return RunResult.read(self.path / layout.RESULT) if (self.path / layout.COMPLETE).exists() else None

    def check_same_data(self, digest: str) -> None:
        """Raises RunError where the run was trained on data with another digest."""
        before = self.environment.data.digest
        if before != digest:
            raise RunError(
                f"run {self.id} was trained on other data (digest {before[:16]}, now {digest[:16]}); "
                "point --data-dir at the original data, or train its recipe anew in another folder of runs"
            )

    @property
    def complete_result(self) -> RunResult:
        """The final figures. Raises RunError for a run that is not complete."""
        result = self.result
        if result is None:
            raise RunError(f"run {self.id} is {self.status}; `cnnlab resume` completes it")
        return result

    def checkpoint(self, which: Which = "last") -> Checkpoint:
        """The checkpoint, or with a warning the newest intact one where it is damaged. Raises RunError without any."""
        return checkpoints.load(self.path / layout.CHECKPOINTS, which)

    def scored_weights(self) -> "dict[str, NDArray[Any]]":
        """The arrays of the network that represents the run in every score, prediction, export and measurement.

        It is the best checkpoint by val, the last one without val; averaged weights where the run has them. Raises
        RunError.
        """
        which: Which = "best" if self.recipe.data.val else "last"
        arrays = checkpoints.load(self.path / layout.CHECKPOINTS, which, (_AVERAGED, _TRAINED)).arrays
        return {name.partition(".")[2]: arrays[name] for name in sorted(arrays)}

    @property
    def has_weights(self) -> bool:
        """Whether a checkpoint exists; runs that were packed for storage (`bench/results.py`) have none."""
        return checkpoints.any_saved(self.path / layout.CHECKPOINTS)

    def logits(self, split: str) -> Predictions:
        """The stored predictions of `split`. Raises RunError when they are missing or damaged."""
        arrays = self._outputs(split)
        if "logits" not in arrays:
            raise RunError(f"run {self.id} was packed: of {split} it keeps the predicted classes, not the logits")
        return Predictions(arrays["logits"], arrays["labels"], arrays["indices"])

    def predicted(self, split: str) -> Predicted:
        """The predicted classes of `split`, which packed runs have too. Raises RunError as `logits`."""
        arrays = self._outputs(split)
        classes = arrays["classes"] if "classes" in arrays else arrays["logits"].argmax(axis=1)
        return Predicted(classes, arrays["labels"], arrays["indices"])

    def _outputs(self, split: str) -> "dict[str, NDArray[Any]]":
        """The arrays in the file of `split`: labels, indices, and logits or classes."""
        path = layout.predictions_path(self.path, split)
        if not path.exists():
            stored = [file.stem for file in sorted(path.parent.glob("*.safetensors"))]
            has = f"it has {', '.join(stored)}" if stored else "it has none"
            raise RunError(f"run {self.id} has no predictions of {split!r}; {has}")
        try:
            arrays = from_bytes(path.read_bytes())
        except ValueError as error:
            raise RunError(f"{path} is damaged: {error}; restore it from a copy, or train the run again") from error
        if not {"labels", "indices"} <= arrays.keys() or not {"logits", "classes"} & arrays.keys():
            raise RunError(f"{path} is damaged: it contains {', '.join(sorted(arrays))}; restore it from a copy")
        return arrays

    def places(self, split: str) -> "NDArray[np.int64]":
        """The positions in the source's train split of the images of `split`, train or val. Raises RunError."""
        import numpy as np

        path = self.path / layout.SPLITS
        stored = read_object(path)
        try:
            return np.array(stored[split], dtype=np.int64)
        except (KeyError, ValueError, TypeError) as error:
            raise RunError(f"{path} is damaged: expected places of {split!r}; restore it from a copy") from error

    def measurement(self, name: str) -> dict[str, Any] | None:
        """The result of `cnnlab inspect RUN <name>`; None where it does not exist. Raises RunError when damaged."""
        path = layout.measurement_path(self.path, name)
        return read_object(path) if path.exists() else None


def run_folders(root: Path) -> list[Path]:
    """Paths of all run folders directly under `root`, by name."""
    return sorted(path for path in root.iterdir() if layout.is_run_folder(path)) if root.is_dir() else []


def find_run(root: Path, text: str) -> RunFolder:
    """The run that `text` names: a path, an id under `root`, its unique beginning, or `last` (created last).

    `last` ignores damaged runs, with a warning for each. Raises RunError with the most similar id, or with all ids that
    begin with `text`.
    """
    if layout.is_run_folder(Path(text).absolute()):
        return RunFolder(Path(text))
    paths = run_folders(root)
    if not paths:
        raise RunError(
            f"no runs in {root}; `cnnlab train` makes one, --runs or {layout.ROOT_VARIABLE} names the folder"
        )
    if text == "last":
        return _last(paths)
    matches = [path for path in paths if path.name == text] or [path for path in paths if path.name.startswith(text)]
    match matches:
        case [path]:
            return RunFolder(path)
        case []:
            raise RunError(f"no run {text!r} in {root}{did_you_mean(text, [path.name for path in paths])}")
        case _:
            names = ", ".join(path.name for path in matches)
            raise RunError(f"{text!r} begins {len(matches)} runs: {names}; write more of the one you mean")


def _last(paths: Sequence[Path]) -> RunFolder:
    found: list[tuple[str, RunFolder]] = []
    problems = []
    for run in map(RunFolder, paths):
        try:
            _ = run.status  # a run with a damaged status is no answer to `last`
            found.append((run.created, run))
        except (OSError, ValueError) as error:
            problems.append(f"run {run.id} is ignored: {error}")
    if not found:
        raise RunError(f"all runs in {paths[0].parent} are damaged; restore one from a copy", *problems)
    for problem in problems:
        _log.warning("warning: %s", problem)
    return max(found, key=lambda pair: pair[0])[1]
