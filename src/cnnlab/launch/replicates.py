"""One recipe under several seeds: what is finished is not trained again, what was stopped goes on."""

from collections.abc import Sequence

from cnnlab.core.errors import CnnlabError, DataError, Interrupted, RunError
from cnnlab.data import load
from cnnlab.deploy.run import Run
from cnnlab.launch.one import resume, train
from cnnlab.launch.options import Options
from cnnlab.launch.watch import Watcher
from cnnlab.recipe import Recipe
from cnnlab.recipe.seeds import seed_problems
from cnnlab.runs import RunFolder, runs_root
from cnnlab.runs.earlier import RunIndex, furthest


def train_seeds(
    recipe: Recipe, seeds: Sequence[int], options: Options, watcher: Watcher | None = None
) -> list[Run]:
    """A complete run of `recipe` for each seed, in their order.

    Raises CnnlabError for seeds that are no replicates, and as `train` and `resume` do; RunError if the runs that
    were found saw different data.
    """
    recipes = [recipe.with_seed(seed) for seed in _checked(seeds)]
    try:
        runs = [train_or_continue(each, options, watcher) for each in recipes]
    except Interrupted as stopped:
        again = f"{stopped}; the same command again goes on with all seeds"
        raise Interrupted(again, stopped.exit_code) from None
    digests = {run.folder.environment.data.digest for run in runs}
    if len(digests) > 1:
        names = ", ".join(run.folder.id for run in runs)
        raise RunError(
            f"these runs saw different data sets: {names}; give another --runs folder to train anew"
        )
    return runs


def train_or_continue(recipe: Recipe, options: Options, watcher: Watcher | None = None) -> Run:
    """The complete run of this very recipe in the runs folder; else the stopped one, continued; else a new one."""
    earlier = find_earlier(recipe, options)
    if earlier is None:
        return train(recipe, options, watcher)
    if earlier.result is None:
        return resume(earlier, options, watcher)
    _check_same_data(earlier, options)
    return Run(earlier)


def find_earlier(recipe: Recipe, options: Options) -> RunFolder | None:
    """The run with the recipe's hash that got furthest: complete, or else the one with the most epochs."""
    return furthest(RunIndex([runs_root(options.runs)]).runs(recipe.hash))


def _check_same_data(run: RunFolder, options: Options) -> None:
    """Raises RunError where the data that would be trained on now are not those of the finished run."""
    try:
        now = load(run.recipe.data.source, options.data_dir, size=run.recipe.data.size).digest
    except DataError:
        return  # the run is finished: it needs no data, and there are none here that could differ
    before = run.environment.data.digest
    if before != now:
        raise RunError(
            f"run {run.id} was trained on other data (digest {before[:16]}, now {now[:16]}); "
            "point --data-dir at the original data, or give another folder of runs to train anew"
        )


def _checked(seeds: Sequence[int]) -> Sequence[int]:
    if problems := seed_problems(seeds):
        raise CnnlabError(*problems)
    return seeds
