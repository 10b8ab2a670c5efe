"""`cnnlab train RECIPE`"""

from typing import Annotated

import typer

from cnnlab.cli.execution import (
    CompileOption,
    DataDirOption,
    DeviceOption,
    DownloadOption,
    RunsOption,
    SeedOption,
    SetOption,
    ThreadsOption,
    options,
)


def train(
    recipe: Annotated[str, typer.Argument(help="A preset (see `cnnlab recipes ls`) or a TOML file.")],
    changes: SetOption = None,
    seed: SeedOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    compile: CompileOption = "auto",
    data_dir: DataDirOption = None,
    runs: RunsOption = None,
    download: DownloadOption = True,
) -> None:
    """Train a recipe in a new run folder."""
    from cnnlab.cli.watch import watcher
    from cnnlab.recipe import Recipe

    overrides = [*(changes or []), *([f"seed={seed}"] if seed is not None else [])]
    value = Recipe.load(recipe, overrides)
    chosen = options(device, threads, compile, data_dir, runs, download)
    from cnnlab.launch import one  # torch: only once the recipe is known to be good

    one.train(value, chosen, watcher())
