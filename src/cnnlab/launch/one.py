"""One complete training: assemble, train, score the best network once on test, complete the run folder."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cnnlab.core.errors import DivergedError, Interrupted, MemoryExceededError
from cnnlab.deploy.predictor import Predictor
from cnnlab.deploy.run import Run
from cnnlab.engines.evaluation import accuracy, cross_entropy
from cnnlab.engines.memory import is_out_of_memory, peak_memory
from cnnlab.engines.protocol import Engine
from cnnlab.launch.assemble import Assembled, assemble
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder, RunResult, RunWriter, runs_root
from cnnlab.training.bookkeeping import Progress
from cnnlab.training.hooks import Row, Watcher
from cnnlab.training.loop import Loop
from cnnlab.training.signals import StopRequest, stop_on_signals

_SECONDS_BETWEEN_CHECKS = 0.5


def train(
    recipe: Recipe, options: Options | None = None, watcher: Watcher | None = None, stop: StopRequest | None = None
) -> Run:
    """Train a recipe in a new run folder. `stop.stop()`, from any thread, saves and stops, as signals do.

    Raises CnnlabError for what the user can correct, DivergedError, StorageError, MemoryExceededError, and Interrupted
    where it was stopped; `status.json` of the run folder then has the same cause, and the run can be resumed.
    """
    options, watcher = options or Options(), watcher or Watcher()
    root = runs_root(options.runs)
    with _memory_errors_explained():
        assembled = assemble(recipe, options)
    with RunWriter.create(root, recipe, assembled.environment) as writer:
        writer.write_splits({name: i for name, i in assembled.indices.items() if name != "test"})
        _run_to_end(writer, recipe, assembled, Progress(), options, watcher, stop)
    return Run(RunFolder(writer.path))


def resume(
    run: RunFolder | Run,
    options: Options | None = None,
    watcher: Watcher | None = None,
    stop: StopRequest | None = None,
) -> Run:
    """Continue a stopped run from its last checkpoint, as if it had never stopped.

    Bitwise equal on the same machine, versions and number of threads. Raises as `train`, and RunError where the run is
    complete, in use, or its data have changed.
    """
    with RunWriter.reopen(run.path) as writer:
        train_in(writer, options or Options(), watcher, stop)
    return Run(RunFolder(run.path))


def train_in(
    writer: RunWriter, options: Options, watcher: Watcher | None = None, stop: StopRequest | None = None
) -> None:
    """Train the run of `writer` to its end, from its last checkpoint or, without one, from the beginning."""
    run = RunFolder(writer.path)
    recipe, earlier = run.recipe, run.environment if run.is_assembled else None
    if earlier is not None:
        options = replace(options, engine=earlier.engine)
    with _memory_errors_explained():
        assembled = assemble(recipe, options, earlier=earlier)
    if earlier is None:  # the folder contains only the recipe
        writer.write_environment(assembled.environment)
        writer.write_splits({name: i for name, i in assembled.indices.items() if name != "test"})
    else:
        run.check_same_data(assembled.environment.data.digest)
    progress = Progress()
    if run.has_weights:
        checkpoint = writer.load_checkpoint("last")
        progress = Progress.from_json(checkpoint.meta["progress"])
        assembled.prepared.engine.start_epoch(progress.epoch)
        assembled.prepared.engine.load_state(checkpoint.arrays)
    writer.truncate_metrics(progress.epoch)
    _run_to_end(writer, recipe, assembled, progress, options, watcher or Watcher(), stop)


def _run_to_end(
    writer: RunWriter,
    recipe: Recipe,
    assembled: Assembled,
    progress: Progress,
    options: Options,
    watcher: Watcher,
    stop: StopRequest | None,
) -> None:
    folder = RunFolder(writer.path)
    watcher.on_assembled(folder, recipe, assembled.environment, assembled.notes)
    engine = assembled.prepared.engine
    with _memory_errors_explained(), stop_on_signals(stop) as stop:
        loop = Loop(
            recipe,
            engine,
            [_Recorder(writer, stop), watcher],
            stop,
            progress,
            check_every_step=assembled.prepared.device.kind == "cpu",
            checkpoint_seconds=options.checkpoint_seconds,
        )
        try:
            progress = loop.run()
        except Interrupted as stopped:
            raise Interrupted(f"{stopped}; continue with: cnnlab resume {writer.path}", stopped.exit_code) from None
        finally:
            watcher.on_end()
        engine.end_training()
        device = assembled.prepared.device.kind if options.device == "auto" else options.device
        result = _score(writer, folder, assembled, progress, device)
        from cnnlab.report.figures import learning_curves  # matplotlib: not before the first step

        learning_curves(folder.metrics, recipe.name, writer.path / "curves.png")
        writer.finish(result)
    watcher.on_result(folder, result)


class _Recorder(Watcher):
    """Writes the run folder, metrics first, then the state after them; reads requests to stop.

    A write that fails stops the training with a StorageError.
    """

    def __init__(self, writer: RunWriter, stop: StopRequest) -> None:
        self.writer, self.stop = writer, stop
        self.steps_per_epoch = 0
        self.checked_at = time.monotonic()

    def on_start(self, progress: Progress, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self._check_for_stop()

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        if time.monotonic() - self.checked_at >= _SECONDS_BETWEEN_CHECKS:
            self._check_for_stop()
            done = {"epoch": epoch, "step_in_epoch": step_in_epoch, "steps_per_epoch": self.steps_per_epoch}
            self.writer.write_progress(done)

    def on_epoch(self, row: Row) -> None:
        self.writer.append_metrics(row)
        self._check_for_stop()

    def on_save(self, engine: Engine, progress: Progress, best: bool) -> None:
        step = progress.epoch * self.steps_per_epoch + progress.step_in_epoch
        self.writer.save_checkpoint(engine.state(), {"step": step, "progress": progress.to_json()}, best=best)

    def _check_for_stop(self) -> None:
        self.checked_at = time.monotonic()
        if self.writer.is_asked_to_stop:
            self.stop.stop()


@contextmanager
def _memory_errors_explained() -> Iterator[None]:
    """Raises MemoryExceededError, with what to change, where the device or machine refuses memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        remedy = "try a smaller --set train.batch_size, or another --device"
        raise MemoryExceededError(f"out of memory while training; {remedy}") from error


def _score(writer: RunWriter, folder: RunFolder, assembled: Assembled, progress: Progress, device: str) -> RunResult:
    """Score the best network by val, as read from the disk, once on test; store its logits."""
    start = time.perf_counter()
    predictor = Predictor.from_run(folder, device)
    best_epoch = progress.best_epoch or progress.epoch
    best_row = folder.metrics[best_epoch - 1]
    accuracies, losses = {"train": best_row["train_accuracy"]}, {"train": best_row["train_loss"]}
    sources = {"val": assembled.dataset.train, "test": assembled.dataset.test}
    for name, source in sources.items():
        if source is None or name not in assembled.indices:
            continue
        indices = assembled.indices[name]
        logits, labels = predictor.logits(source.images[indices]), assembled.prepared.engine.labels(name)
        accuracies[name], losses[name] = accuracy(logits, labels), cross_entropy(logits, labels)
        if not math.isfinite(losses[name]):
            raise DivergedError(f"the loss on {name} of the network of epoch {best_epoch} is not finite")
        writer.write_predictions(name, logits, labels, indices)
    return RunResult(
        best_epoch=best_epoch,
        epochs=progress.epoch,
        accuracy=accuracies,
        loss=losses,
        parameters=assembled.trace.parameters,
        macs=assembled.trace.macs,
        seconds={**progress.total_seconds, "score": time.perf_counter() - start},
        peak_memory=peak_memory(),
    )
