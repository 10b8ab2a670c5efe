"""Shows a training: a progress bar with the time left on a terminal, one plain line per epoch elsewhere."""

from collections.abc import Sequence
from typing import Any

from rich import progress as bars

from cnnlab.api import training
from cnnlab.api.training import Choice, Environment, Recipe, Row, RunFolder, RunResult
from cnnlab.cli.console import err, is_terminal, out, say

_MIB = 2**20


def watcher() -> "PlainWatcher":
    """With a progress bar on a terminal, lines only elsewhere."""
    return TerminalWatcher() if is_terminal() else PlainWatcher()


class PlainWatcher(training.Watcher):
    """Lines before and after the training, and one for each epoch."""

    def on_assembled(self, run: RunFolder, recipe: Recipe, environment: Environment, notes: Sequence[str]) -> None:
        self.epochs, self.total_steps = run.total_epochs, recipe.train.total_steps
        for line in description(run, recipe, environment):
            say(line)
        for note in notes:
            err.print(f"warning: {note}", markup=False)

    def on_epoch(self, row: Row) -> None:
        say(epoch_line(row, self.epochs))

    def on_result(self, run: RunFolder, result: RunResult) -> None:
        for line in summary(run, result):
            say(line)


class TerminalWatcher(PlainWatcher):
    """The plain lines above a progress bar over all steps of the training."""

    def on_start(self, progress: training.Progress, steps_per_epoch: int) -> None:
        self.steps_per_epoch = steps_per_epoch
        self.bar = bars.Progress(
            bars.TextColumn("epoch {task.fields[epoch]}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("steps, left"),
            bars.TimeRemainingColumn(elapsed_when_finished=True),
            console=out,
            transient=True,
        )
        done = progress.epoch * steps_per_epoch + progress.step_in_epoch
        total = self.total_steps(steps_per_epoch)
        self.task = self.bar.add_task("train", total=total, completed=done, epoch=progress.epoch + 1)
        self.bar.start()

    def on_step(self, epoch: int, step_in_epoch: int) -> None:
        done = (epoch - 1) * self.steps_per_epoch + step_in_epoch
        self.bar.update(self.task, completed=done, epoch=epoch)

    def on_save(self, engine: training.Engine, progress: training.Progress, best: bool) -> None:
        self.bar.refresh()

    def on_end(self) -> None:
        self.bar.stop()


def description(run: RunFolder, recipe: Recipe, environment: Environment) -> list[str]:
    """What is trained, on which data and device, and why device settings were chosen."""
    data, device, execution = environment.data, environment.device, environment.execution
    images = ", ".join(f"{count:,} {split}" for split, count in data.images.items())
    before, after = device.memory_before_model / _MIB, device.memory_after_model / _MIB
    precision, compiled, architecture = execution.precision, execution.compile, environment.architecture
    return [
        f"run        {run.path}",
        f"recipe     {recipe.name}, seed {recipe.seed}, hash {recipe.hash}",
        f"data       {data.name}: {images}; ready in {data.seconds_to_load:.2f} s",
        f"network    {architecture.parameters:,} parameters, {architecture.macs:,} MACs per image",
        f"device     {device.kind}: {device.name}, {execution.threads} CPU threads; "
        f"memory in use {before:,.0f} MiB before the model moved, {after:,.0f} MiB after",
        f"precision  {precision.value} ({_because(precision)})",
        f"compile    {'on' if compiled.value else 'off'} ({_because(compiled)})",
        f"first loss {environment.initial_loss:.3f} before training",
    ]


def _because(choice: Choice[Any]) -> str:
    measured = ", ".join(f"{name} {ms:.1f} ms" for name, ms in choice.milliseconds.items())
    return f"{choice.reason}: {measured}" if measured else choice.reason


def epoch_line(row: Row, epochs: int) -> str:
    """One epoch as a line."""
    parts = [f"epoch {row['epoch']:>3}/{epochs}"]
    for split in ("train", "val", "test"):
        if f"{split}_loss" in row:
            parts.append(f"{split} loss {row[f'{split}_loss']:.4f} acc {row[f'{split}_accuracy']:6.2%}")
    parts.append(f"lr {row['lr']:.2g}")
    parts.append(f"{row['images_per_second']:,.0f} images/s")
    left = (epochs - row["epoch"]) * row["elapsed_seconds"] / row["epoch"]
    parts.append(f"{row['elapsed_seconds']:.0f} s, about {left:.0f} s left")
    return "  ".join(parts)


def summary(run: RunFolder, result: RunResult) -> list[str]:
    """The result, and what to do next."""
    accuracies = ", ".join(f"{split} {value:.2%}" for split, value in result.accuracy.items())
    seconds = ", ".join(f"{phase} {value:.1f} s" for phase, value in result.seconds.items())
    return [
        f"best epoch {result.best_epoch} of {result.epochs}: {accuracies}",
        f"time       {seconds}",
        f"curves     {run.path / 'curves.png'}",
        f"next       cnnlab runs show {run.path}; cnnlab predict {run.path} photo.png",
    ]
