"""The trainings of one command: starts cells on free slots, and reads from disk how each ended."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cnnlab.core.errors import CnnlabError, Interrupted, StorageError
from cnnlab.inspect.settings import OnStep
from cnnlab.launch.launcher import Failure, Job, Launcher, Slot
from cnnlab.launch.options import Options
from cnnlab.runs import RunFolder, runs_root
from cnnlab.runs.earlier import RunIndex, furthest
from cnnlab.runs.ownership import FolderLock
from cnnlab.study.arms import Cell
from cnnlab.study.folder import StudyFolder, is_passing
from cnnlab.study.record import CellRecord, CellState, StudyRuns, read_cell
from cnnlab.training.signals import StopRequest, stop_on_signals

_PAUSE = 0.05
_ATTEMPTS = 2

Watching = Callable[[RunFolder, str], AbstractContextManager[OnStep]]
"""Entered while one run is measured: the run, and the name of the measurement."""


class StudyWatcher:
    """Methods that are called while a study runs. Each does nothing; override those you need."""

    def on_begin(self, runs: StudyRuns, todo: Sequence[CellRecord], workers: int, threads: int) -> None:
        """All checks have passed; the first training is next."""

    def on_start(self, record: CellRecord, attempt: int) -> None:
        """A cell is started or continued."""

    def on_end(self, cell: Cell, outcome: str) -> None:
        """A training has ended: `complete`, or why not."""

    def on_tick(self) -> None:
        """Called a few times a second."""

    def on_close(self) -> None:
        """The last training has ended."""


@dataclass(frozen=True)
class StudyOptions:
    """How a study is executed. `run` are the options of every worker; its `runs` is the folder of new runs.

    `also`: more folders with runs to use, never written. `workers` None: as the study defines. `retry`: train failed
    cells again.
    """

    run: Options = field(default_factory=Options)
    also: tuple[Path, ...] = ()
    workers: int | Literal["auto"] | None = None
    retry: bool = False

    def __post_init__(self) -> None:
        problems = [f"--also {folder}: no such folder" for folder in self.also if not folder.is_dir()]
        if self.workers not in (None, "auto") and not (isinstance(self.workers, int) and self.workers >= 1):
            problems.append(f"--workers: received {self.workers!r}, expected 1, 2, ... or auto")
        if problems:
            raise CnnlabError(*problems)

    @property
    def root(self) -> Path:
        """The folder of new runs."""
        return runs_root(self.run.runs)

    @property
    def trained_states(self) -> tuple[CellState, ...]:
        """The states of the cells that are to be trained."""
        return ("missing", "stopped", "failed") if self.retry else ("missing", "stopped")


@dataclass
class _Active:
    """A cell that is being trained. `before`: when the runs of its recipe were last updated before the start."""

    record: CellRecord
    job: Job
    attempt: int
    lock: FolderLock
    before: dict[Path, str]


@dataclass
class Session:
    """The trainings of one command; the caller holds the lock of the study folder.

    `cells` are taken one by one, whenever a slot is free. `on_ended` is called for a cell that is finished or has
    failed, not for one that was stopped or refused: it is trained again.
    """

    folder: StudyFolder
    cells: Iterator[Cell]
    slots: Sequence[Slot]
    options: StudyOptions
    watcher: StudyWatcher
    launcher: Launcher
    on_ended: Callable[[Cell], None] = lambda cell: None
    active: dict[Slot, _Active] = field(default_factory=dict)
    again: deque[tuple[Cell, int]] = field(default_factory=deque)
    refusals: list[CnnlabError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = RunIndex([self.options.root, *self.options.also])

    def train(self) -> None:
        """Train until all cells have ended or a signal asks to stop; no training runs after that.

        Raises as `run_study`.
        """
        with stop_on_signals() as stop:
            try:
                self._loop(stop)
            except KeyboardInterrupt:
                raise Interrupted("stopped at once; repeat the command to continue", 130) from None
            finally:
                for slot, active in self.active.items():
                    self.launcher.end(slot)
                    active.lock.release()
                self.launcher.close()
                self.watcher.on_close()
        if stop:
            raise Interrupted("stopped, all is saved; repeat the command to continue", stop.exit_code)
        if self.refusals:
            raise self.refusals[0]

    def _loop(self, stop: StopRequest) -> None:
        asked_to_stop = False
        while True:
            try:
                # A disk that refuses one run refuses all of them.
                if not stop and not any(isinstance(error, StorageError) for error in self.refusals):
                    self._start_on_free_slots()
                if not self.active:
                    return
                self._remove_finished(bool(stop))
            except StorageError as error:
                self.refusals.append(error)
            if stop and not asked_to_stop:
                asked_to_stop = True
                for slot in self.active:
                    self.launcher.stop(slot)
            self.watcher.on_tick()
            time.sleep(_PAUSE)

    def _start_on_free_slots(self) -> None:
        for slot in self.slots:
            while slot not in self.active:
                cell, attempt = self.again.popleft() if self.again else (next(self.cells, None), 1)
                if cell is None:
                    return
                lock = self.folder.lock_cell(cell)
                try:
                    if started := self._start(cell, attempt, slot, lock):
                        self.active[slot] = started
                        self.watcher.on_start(started.record, attempt)
                finally:
                    if lock is not None and slot not in self.active:
                        lock.release()

    def _start(self, cell: Cell, attempt: int, slot: Slot, lock: FolderLock | None) -> _Active | None:
        """Start a training, unless another study has trained the cell or a killed worker had finished it."""
        self.index.refresh()
        record = read_cell(cell, self.index, self.folder)
        if lock is None or record.state == "running":
            self.watcher.on_end(cell, "another process trains it")
        elif record.state not in self.options.trained_states:
            self._end(cell, record.cause or record.state)
        else:
            self.folder.forget_failure(cell)
            job = self._job(record, slot)
            before = {run.path: run.status.updated for run in self.index.runs(cell.recipe.hash)}
            self.launcher.start(slot, job)
            return _Active(record, job, attempt, lock, before)
        return None

    def _job(self, record: CellRecord, slot: Slot) -> Job:
        run, cell, chosen = record.run, record.cell, self.options.run
        # Only runs in the first folder are written; a run that diverged would diverge again.
        if run is not None and (run.path.parent != self.index.roots[0] or run.status.state == "diverged"):
            run = None
        # A continued run keeps its number of threads, so it ends bitwise as if it had never stopped.
        threads = chosen.threads or (None if run else slot.threads)
        return Job(
            name=str(cell),
            recipe=cell.recipe.model_dump(mode="json", exclude_none=True),
            resume=run.path if run else None,
            options=replace(
                chosen, runs=self.options.root, device=slot.device, threads=threads, workers=len(self.slots)
            ),
            command=tuple(sys.argv),
            failure=self.folder.failure_path(cell),
            log=self.folder.log(cell),
        )

    def _remove_finished(self, stopping: bool) -> None:
        """Remove the trainings that have ended, and record their outcome."""
        for slot, active in list(self.active.items()):
            words = self.launcher.poll(slot)
            if words is not None:
                del self.active[slot]
                active.lock.release()
                self._record_outcome(active, words, stopping)

    def _record_outcome(self, active: _Active, words: str, stopping: bool) -> None:
        """Read from disk how a training ended, and act on it. `words` of its process are used only as text."""
        cell, failure = active.record.cell, self.folder.failure(active.record.cell)
        self.index.refresh()
        runs = self.index.runs(cell.recipe.hash)
        run = furthest(one for one in runs if active.before.get(one.path) != one.status.updated)
        state, cause = (run.status.state, run.status.cause) if run else ("", "")
        if state == "complete":
            self._end(cell, "complete")
        elif failure is not None and is_passing(failure):
            self._refuse(cell, failure)
        elif state == "no-space":
            self._refuse(cell, Failure(cause, StorageError.exit_code))
        elif state == "diverged":  # a result, stored in its run folder
            self.folder.forget_failure(cell)
            self._end(cell, cause)
        elif failure is not None or state in ("failed", "oom"):
            self._end(cell, failure.cause if failure else cause)
        elif stopping:
            self.watcher.on_end(cell, "stopped")
        else:
            self._continue_once(active, words or cause or f"its worker ended without a message: see {active.job.log}")

    def _end(self, cell: Cell, outcome: str) -> None:
        self.watcher.on_end(cell, outcome)
        self.on_ended(cell)

    def _refuse(self, cell: Cell, failure: Failure) -> None:
        """For an outcome that the recipe did not cause: the next `run` trains the cell again."""
        self.folder.forget_failure(cell)
        self.watcher.on_end(cell, failure.cause)
        kind = StorageError if failure.exit_code == StorageError.exit_code else CnnlabError
        error = kind(f"{cell}: {failure.cause}")
        error.exit_code = failure.exit_code
        self.refusals.append(error)

    def _continue_once(self, active: _Active, cause: str) -> None:
        """A worker was killed: its run is continued the first time, and fails the second time."""
        cell = active.record.cell
        if active.attempt < _ATTEMPTS:
            self.again.append((cell, active.attempt + 1))
            self.watcher.on_end(cell, f"{cause}; it is continued")
        else:
            Failure(cause, 1).write(self.folder.failure_path(cell), str(cell))
            self._end(cell, cause)
