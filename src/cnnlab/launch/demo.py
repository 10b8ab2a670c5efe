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

SEEDS = (1,)


def variants(seed: int) -> dict[str, Recipe]:
    """A linear model, a network of convolutions, and the same network with augmentation."""
    linear = {"arch": {"name": "softmax-regression"}, "optim": {"lr": 0.01}}
    augment = {"crop": {"padding": 4}, "flip": {"p": 0.5}}
    return {
        "linear model": Recipe.named("demo", seed=seed, name="demo-linear", **linear),
        "SimpleNN": Recipe.named("demo", seed=seed, name="demo-simplenn"),
        "SimpleNN, crop and flip": Recipe.named("demo", seed=seed, name="demo-simplenn-aug", augment=augment),
    }


def run_demo(options: Options, tell: Callable[[str], None]) -> Path:
    """Train all variants and write `demo/comparison.md` and `.png` under the runs folder; returns that folder.

    Raises as `train` does.
    """
    from cnnlab.report.comparison import write_comparison  # matplotlib

    arms: dict[str, list[Run]] = {}
    for seed in SEEDS:
        for name, recipe in variants(seed).items():
            run = train(recipe, options)
            arms.setdefault(name, []).append(run)
            seconds = run.result.total_seconds
            tell(f"{name}, seed {seed}: test accuracy {run.accuracy('test'):.1%} in {seconds:.1f} s")
    folder = runs_root(options.runs) / "demo"
    write_comparison({name: [run.folder for run in runs] for name, runs in arms.items()}, folder)
    return folder
