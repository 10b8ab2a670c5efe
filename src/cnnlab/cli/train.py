"""`cnnlab train RECIPE`"""

from typing import TYPE_CHECKING, Annotated

import typer

from cnnlab.cli.execution import SeedOption, SetOption, takes

if TYPE_CHECKING:
    from cnnlab import Options


@takes("device", "threads", "compile", "data_dir", "runs", "download")
def train(
    recipe: Annotated[str, typer.Argument(help="A preset (see `cnnlab recipes ls`) or a TOML file.")],
    options: "Options",
    changes: SetOption = None,
    seed: SeedOption = None,
) -> None:
    """Train a recipe in a new run folder."""
    from cnnlab import Recipe
    from cnnlab.cli.watch import watcher

    overrides = [*(changes or []), *([f"seed={seed}"] if seed is not None else [])]
    value = Recipe.load(recipe, overrides)
    from cnnlab import train  # torch: only once the recipe is known to be good

    train(value, options, watcher())
