"""The workers of one command: each takes the next cell, and what follows from its end is decided here.

Every training is a process of its own and leaves a run folder; nothing is remembered here.
"""

import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from cnnlab.core.errors import EXIT_CODES, CnnlabError, DivergedError, Interrupted, StorageError
from cnnlab.launch.options import Options
from cnnlab.runs import RunFolder, runs_root
from cnnlab.runs.earlier import RunIndex
from cnnlab.runs.ownership import RunLock
from cnnlab.study.arms import Cell
from cnnlab.study.folder import Failure, StudyFolder
from cnnlab.study.record import CellRecord, CellState, StudyRuns, read_cell
from cnnlab.study.worker import Job
from cnnlab.study.workers import Crew, Process, start_worker
from cnnlab.training.signals import StopRequest, stop_on_signals

_PAUSE = 0.1
_ATTEMPTS = 2
# Exit codes of what is not the recipe's fault and may be mended meanwhile: the cell is tried again by the next `run`.
_DATA, _STORAGE, _IN_USE = 3, 5, 6

Start = Callable[[Job, Path], Process]


class StudyWatcher(Protocol):
    """What someone watching a study is told."""

    def on_begin(self, runs: StudyRuns, todo: Sequence[CellRecord], workers: int, threads: int) -> None:
        """Everything is checked; the first worker is next."""

    def on_start(self, record: CellRecord, attempt: int) -> None:
        """A worker begins a cell, or goes on with it."""

    def on_end(self, cell: Cell, outcome: str) -> None:
        """A worker has ended: `complete`, or why not."""

    def on_tick(self) -> None:
        """Called a few times a second."""

    def on_close(self) -> None:
        """The last worker has ended."""


class Feed(Protocol):
    """Where the cells to be trained come from, one whenever a worker is free."""

    def take(self) -> Cell | None:
        """The next one; None when there is no other."""

    def ended(self, cell: Cell) -> None:
        """The cell is finished or has failed. Not told of one that was stopped or refused: it is to be tried again."""


@dataclass(frozen=True)
class StudyOptions:
    """How a study is executed. `run` is for every worker; its `runs` is where new runs go.

    `also`: more folders with runs to use, never written. `workers` None: as the study says. `retry`: try failed
    cells again.
    """

    run: Options = field(default_factory=Options)
    also: tuple[Path, ...] = ()
    workers: int | Literal["auto"] | None = None
    retry: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.workers, int) and self.workers < 1:
            raise CnnlabError(f"--workers: received {self.workers}, expected 1 or more, or auto")

    @property
    def root(self) -> Path:
        """The folder new runs go to."""
        return runs_root(self.run.runs)


def wanted_states(options: StudyOptions) -> tuple[CellState, ...]:
    """The states of the cells that are to be trained."""
    return ("missing", "stopped", "failed") if options.retry else ("missing", "stopped")


def train_feed(
    folder: StudyFolder,
    feed: Feed,
    crew: Crew,
    options: StudyOptions,
    watcher: StudyWatcher,
    *,
    start: Start = start_worker,
) -> None:
    """Train all that the feed has to give, into a study folder whose lock the caller holds. Raises as `run_study`."""
    try:
        _Session(folder, feed, options, crew, watcher, start).train()
    finally:
        watcher.on_close()


@dataclass
class _Active:
    """A worker at work."""

    record: CellRecord
    process: Process
    attempt: int
    claim: RunLock


@dataclass
class _Session:
    """The workers of one `run`: one slot for each share of the cores."""

    folder: StudyFolder
    feed: Feed
    options: StudyOptions
    crew: Crew
    watcher: StudyWatcher
    start: Start
    active: dict[int, _Active] = field(default_factory=dict)
    again: deque[tuple[Cell, int]] = field(default_factory=deque)
    refusals: list[CnnlabError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = RunIndex([self.options.root, *self.options.also])

    def train(self) -> None:
        """Until all cells have ended, or a signal asks to stop; no worker is left behind in any case."""
        with stop_on_signals() as stop:
            try:
                self._loop(stop)
            except KeyboardInterrupt:
                raise Interrupted("stopped at once; repeat the command to go on", 130) from None
            finally:
                for worker in self.active.values():
                    worker.process.end()
                    worker.claim.release()
        if stop:
            raise Interrupted("stopped, all is saved; repeat the command to go on", stop.exit_code)
        if self.refusals:
            raise self.refusals[0]

    def _loop(self, stop: StopRequest) -> None:
        told = False
        while True:
            try:
                if not stop and not self._disk_refuses:
                    self._fill()
                if not self.active:
                    return
                self._collect(bool(stop))
            except StorageError as error:
                self.refusals.append(error)
            if stop and not told:
                told = True
                for worker in self.active.values():
                    worker.process.ask(signal.SIGTERM)
            self.watcher.on_tick()
            time.sleep(_PAUSE)

    @property
    def _disk_refuses(self) -> bool:
        """A disk that refuses one run refuses them all."""
        return any(isinstance(error, StorageError) for error in self.refusals)

    def _fill(self) -> None:
        """Start a worker on every free share of the cores."""
        for slot, cores in enumerate(self.crew.shares):
            while slot not in self.active:
                cell, attempt = self.again.popleft() if self.again else (self.feed.take(), 1)
                if cell is None:
                    return
                claim = self.folder.claim(cell)
                try:
                    if worker := self._begin(cell, attempt, cores, claim):
                        self.active[slot] = worker
                        self.watcher.on_start(worker.record, attempt)
                finally:
                    if claim is not None and slot not in self.active:
                        claim.release()

    def _begin(
        self, cell: Cell, attempt: int, cores: tuple[int, ...], claim: RunLock | None
    ) -> _Active | None:
        """Start a worker, unless the cell need not be trained as it stands now.

        Another study may have trained it meanwhile, a killed worker may have been done.
        """
        self.index.refresh()
        record = read_cell(cell, self.index, self.folder)
        if claim is None or record.state == "running":
            self.watcher.on_end(cell, "another process trains it")
        elif record.state not in wanted_states(self.options):
            self.watcher.on_end(cell, record.cause or record.state)
            self.feed.ended(cell)
        else:
            self.folder.forget_failure(cell)
            process = self.start(self._job(record, cores), self.folder.log(cell))
            return _Active(record, process, attempt, claim)
        return None

    def _collect(self, stopping: bool) -> None:
        """Take leave of the workers that have ended."""
        for slot, worker in list(self.active.items()):
            code = worker.process.poll()
            if code is not None:
                del self.active[slot]
                worker.claim.release()
                if self._is_to_go_on(worker, code, stopping):
                    self.again.append((worker.record.cell, worker.attempt + 1))

    def _job(self, record: CellRecord, cores: tuple[int, ...]) -> Job:
        run, chosen = self._to_resume(record), self.options.run
        return Job(
            recipe=record.cell.recipe.model_dump(mode="json", exclude_none=True),
            resume=str(run.path) if run else None,
            runs=str(self.options.root),
            device=chosen.device,
            # A run that goes on keeps its number of threads, so that it ends bitwise as if it had never stopped.
            threads=chosen.threads or (None if run else self.crew.threads),
            compile=chosen.compile,
            data_dir=str(chosen.data_dir) if chosen.data_dir else None,
            cores=cores,
            command=tuple(sys.argv),
        )

    def _to_resume(self, record: CellRecord) -> RunFolder | None:
        """The run to go on with, if it is ours to write. One that diverged would do so again."""
        run = record.run
        if run is None or run.path.parent != self.index.roots[0]:
            return None
        return None if run.status.state == "diverged" else run

    def _is_to_go_on(self, worker: _Active, code: int, stopping: bool) -> bool:
        """Draw the conclusions from a worker's end: true where it was killed for the first time."""
        cell, log = worker.record.cell, self.folder.log(worker.record.cell)
        if code == 0:
            self.watcher.on_end(cell, "complete")
            self.feed.ended(cell)
            return False
        cause = _cause(code, log)
        killed = code < 0 or code in (128 + signal.SIGINT, 128 + signal.SIGTERM)
        if killed and stopping:
            self.watcher.on_end(cell, "stopped")
            return False
        if killed and worker.attempt < _ATTEMPTS:
            self.watcher.on_end(cell, f"{cause}; going on with it")
            return True
        self.watcher.on_end(cell, cause)
        if code in (_DATA, _STORAGE, _IN_USE):
            kind = StorageError if code == _STORAGE else CnnlabError
            error = kind(f"{cell}: {cause}")
            error.exit_code = code
            self.refusals.append(error)
            return False
        if code != DivergedError.exit_code:
            self.folder.keep_failure(cell, Failure(cause, code if code > 0 else 1))
        self.feed.ended(cell)
        return False


def _cause(code: int, log: Path) -> str:
    """Why a worker ended, in one line: the signal that killed it, or the last line that it wrote."""
    if code < 0:
        return f"killed by {_signal_name(-code)}"
    if code > 128:
        return f"stopped by {_signal_name(code - 128)}"
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return f"{last.strip()} (a bug: see {log})" if code not in EXIT_CODES or code == 1 else last.strip()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names
        return f"signal {number}"
