"""The demo: three variants on the embedded data set, and one page with their results.

One seed each, so that it takes less than a minute: it shows cnnlab, and proves nothing about the variants.
"""

from collections.abc import Callable
from pathlib import Path

from cnnlab.deploy.run import Run
from cnnlab.launch.one import train
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs import runs_root


def variants() -> dict[str, Recipe]:
    """A linear model, a network of convolutions, and the same network with augmentation."""
    linear = {"arch": {"name": "softmax-regression"}, "optim": {"lr": 0.01}}
    augment = {"crop": {"padding": 4}, "flip": {"p": 0.5}}
    return {
        "linear model": Recipe.named("demo", name="demo-linear", **linear),
        "SimpleNN": Recipe.named("demo", name="demo-simplenn"),
        "SimpleNN, crop and flip": Recipe.named("demo", name="demo-simplenn-aug", augment=augment),
    }


def run_demo(options: Options, show: Callable[[str], None]) -> Path:
    """Train all variants and write `demo/comparison.md` and `.png` under the runs folder; returns that folder.

    Raises as `train` does.
    """
    from cnnlab.report.comparison import write_comparison  # matplotlib

    runs: dict[str, Run] = {}
    for name, recipe in variants().items():
        run = runs[name] = train(recipe, options)
        seconds = run.result.total_seconds
        show(f"{name}, seed {recipe.seed}: test accuracy {run.accuracy('test'):.1%} in {seconds:.1f} s")
    folder = runs_root(options.runs) / "demo"
    write_comparison({name: [run.folder] for name, run in runs.items()}, folder)
    return folder
