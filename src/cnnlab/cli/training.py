"""`cnnlab train`, `cnnlab resume` and `cnnlab demo`."""

from pathlib import Path

import cnnlab
from cnnlab import api
from cnnlab.cli.console import say
from cnnlab.cli.execution import takes


@takes("engine", "device", "threads", "compile", "data_dir", "runs", "download")
def train(recipe: str, options: "cnnlab.Options", changes: list[str] | None = None, seed: int | None = None) -> None:
    """Train a recipe in a new run folder.

    recipe: A preset (see `cnnlab recipes ls`) or a TOML file.
    seed: Seed of the training (same as --set seed=N).
    """
    from cnnlab.cli.watch import watcher

    overrides = [*(changes or []), *([f"seed={seed}"] if seed is not None else [])]
    value = cnnlab.Recipe.load(recipe, overrides)  # before `cnnlab.train` imports torch
    cnnlab.train(value, options, watcher())


@takes("device", "threads", "data_dir", "runs")
def resume(options: "cnnlab.Options", run: str = "last") -> None:
    """Continue a stopped run from its last checkpoint, as if it had never stopped.

    run [RUN]: Run folder, id, unique beginning of an id, or `last`.
    """
    from cnnlab.cli.watch import watcher

    found = cnnlab.load_run(run, options.runs)  # before `cnnlab.resume` imports torch
    cnnlab.resume(found, options, watcher())


def demo(runs: Path | None = None, threads: int | None = None) -> None:
    """Train three variants on the embedded data set `shapes`, compare them, print where the result is."""
    folder = api.training.run_demo(cnnlab.Options(runs=runs, threads=threads), say)
    say("")
    say((folder / "comparison.md").read_text("utf-8").partition("\n!")[0])
    say(f"table    {folder / 'comparison.md'}")
    say(f"figure   {folder / 'comparison.png'}")
    say("next     cnnlab runs ls; cnnlab train simplenn-aug (CIFAR-10)")
