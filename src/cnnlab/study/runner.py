"""Trains the missing cells of a study, several in parallel; an error of one does not stop the others.

All state is in run folders, so a killed study continues where it was: finished cells are found by the hash of their
recipes, stopped ones continue from their last checkpoint. A training that diverges is a result: it is kept with its
cause and trained again only with `--retry`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from cnnlab.core.errors import RunError
from cnnlab.core.files import storage_errors
from cnnlab.engines.protocol import engine_module
from cnnlab.launch.launcher import Launcher, Slot
from cnnlab.launch.local import LocalLauncher, local_slots
from cnnlab.runs import RunFolder
from cnnlab.runs.ownership import FolderLock
from cnnlab.study.arms import Cell
from cnnlab.study.definition import Study
from cnnlab.study.folder import StudyFolder
from cnnlab.study.record import CellRecord, StudyRuns, read_study
from cnnlab.study.session import Session, StudyOptions, StudyWatcher


def run_study(
    study: Study,
    options: StudyOptions,
    watcher: StudyWatcher,
    *,
    seeds: Sequence[int] | None = None,
    launcher: Launcher | None = None,
) -> StudyRuns:
    """Train every cell that is neither finished nor failed; returns the state of the study after that.

    `seeds` are the ones to train now, None for all; new ones are added to the study. `launcher` None: worker
    processes on this machine.

    Raises CnnlabError for user mistakes before anything runs, StorageError if the disk refuses, and Interrupted after
    Ctrl-C or SIGTERM, when all trainings have saved and stopped.
    """
    folder = StudyFolder.of(options.root, study.name)
    with study_lock(folder):
        if new := [seed for seed in seeds or () if seed not in study.seeds]:
            folder.add_seeds((arm.name, seed) for arm in study.arms() for seed in new)
        runs = read_study(study, options.root, options.also)
        records = [one for one in runs.records if seeds is None or one.cell.seed in seeds]
        return run_cells(runs, records, options, watcher, launcher=launcher)


def run_cells(
    runs: StudyRuns,
    records: Sequence[CellRecord],
    options: StudyOptions,
    watcher: StudyWatcher,
    *,
    launcher: Launcher | None = None,
    is_needed: Callable[[Cell], bool] = lambda cell: True,
) -> StudyRuns:
    """Train some cells of a study; the caller holds its lock. `is_needed` is called before each start."""
    todo = [record for record in records if record.state in options.trained_states]
    # Seed by seed, those of the definition first: a study that is stopped early has replicates of all arms.
    order = list(dict.fromkeys([*runs.study.seeds, *sorted(record.cell.seed for record in todo)]))
    todo.sort(key=lambda record: order.index(record.cell.seed))
    if todo:
        finished = [run for seeds in runs.finished.values() for run in seeds.values()]
        slots = prepare(runs.study, [record.cell for record in todo], len(todo), finished, options)
        watcher.on_begin(runs, todo, len(slots), slots[0].threads)
        cells = _needed((record.cell for record in todo), is_needed, watcher)
        Session(runs.folder, cells, slots, options, watcher, launcher or LocalLauncher()).train()
    return read_study(runs.study, options.root, options.also)


def _needed(cells: Iterable[Cell], is_needed: Callable[[Cell], bool], watcher: StudyWatcher) -> Iterator[Cell]:
    for cell in cells:
        if is_needed(cell):
            yield cell
        else:
            watcher.on_end(cell, "not needed any more")


@contextmanager
def study_lock(folder: StudyFolder) -> Iterator[None]:
    """The lock of a running study: a second process is refused at once. Raises RunError, StorageError."""
    with storage_errors(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder.path, "study")
    try:
        yield
    finally:
        lock.release()


def wanted_workers(study: Study, options: StudyOptions) -> int | Literal["auto"]:
    """The option, else the study's own setting."""
    return study.workers if options.workers is None else options.workers


def prepare(
    study: Study, cells: Sequence[Cell], count: int, finished: Sequence[RunFolder], options: StudyOptions
) -> tuple[Slot, ...]:
    """The slots for `count` trainings, after checks of the device and of the data that `cells` need.

    Raises as `EngineModule.free_memory` and `Options.load` do, RunError if the `finished` runs saw other data.
    """

    device, memory = engine_module(options.run.engine).free_memory(options.run.device)
    digests = {}
    for source, size in dict.fromkeys((cell.recipe.data.source, cell.recipe.data.size) for cell in cells):
        # Downloaded, verified and decoded once, before the workers start; they share the result.
        digests[source] = options.run.load(source, size).digest
    _check_same_data(finished, digests)
    return local_slots(wanted_workers(study, options), count, options.run.threads, memory, device)


def _check_same_data(finished: Sequence[RunFolder], digests: Mapping[str, str]) -> None:
    """Raises RunError if finished runs saw other data than new ones would: they could not be compared."""
    others: dict[str, list[str]] = {}
    for run in finished:
        source, digest = run.recipe.data.source, run.environment.data.digest
        if digests.get(source, digest) != digest:
            others.setdefault(source, []).append(run.id)
    if others:
        raise RunError(
            *(
                f"{source} has other data now (digest {digests[source][:16]}) than those that were trained on: "
                f"{', '.join(ids)}; point --data-dir at the original data, leave out a folder (--also), or train again "
                "in another one (--runs)"
                for source, ids in others.items()
            )
        )
