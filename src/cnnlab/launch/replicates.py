"""A recipe with one or several seeds: finished runs are kept, stopped ones continued, missing ones trained."""

from collections.abc import Sequence
from contextlib import suppress

from cnnlab.core.errors import CnnlabError, DataError, Interrupted
from cnnlab.data import load
from cnnlab.deploy.run import Run
from cnnlab.launch.one import resume, train
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.recipe.seeds import seed_problems
from cnnlab.runs import runs_root
from cnnlab.runs.earlier import RunIndex, furthest
from cnnlab.training.hooks import Watcher


def train_seeds(recipe: Recipe, seeds: Sequence[int], options: Options, watcher: Watcher | None = None) -> list[Run]:
    """A complete run of `recipe` for each seed, in their order.

    Raises CnnlabError for invalid seeds, and as `train_or_continue`.
    """
    if problems := seed_problems(seeds):
        raise CnnlabError(*problems)
    try:
        return [train_or_continue(recipe.with_seed(seed), options, watcher) for seed in seeds]
    except Interrupted as stopped:
        raise Interrupted(f"{stopped}; the same command again goes on with all seeds", stopped.exit_code) from None


def train_or_continue(recipe: Recipe, options: Options, watcher: Watcher | None = None) -> Run:
    """The complete run of this recipe in the runs folder; else the stopped one, continued; else a new one.

    Raises as `train` and `resume`, and RunError where the finished run used other data than the present.
    """
    earlier = furthest(RunIndex([runs_root(options.runs)]).runs(recipe.hash))
    if earlier is None:
        return train(recipe, options, watcher)
    if earlier.result is None:
        return resume(earlier, options, watcher)
    data = earlier.recipe.data
    with suppress(DataError):  # the finished run needs no data
        earlier.check_same_data(load(data.source, options.data_dir, size=data.size).digest)
    return Run(earlier)
