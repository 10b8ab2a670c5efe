"""Load a trained network from a run or a model file."""

from pathlib import Path
from typing import Any

from cnnlab.core.errors import WeightsError
from cnnlab.deploy.model_file import SUFFIX, TrainedNetwork, open_model
from cnnlab.deploy.predictor import Predictor
from cnnlab.runs import RunFolder, find_run, runs_root


def load_predictor(place: str | Path, runs: Path | None = None) -> Predictor:
    """The network of a model file (`*.safetensors`), else of the run that `load_run` finds: its best by val.

    Raises WeightsError for a file that is not a model file, RunError for a run that is missing or damaged.
    """
    return load_network(place, runs).predictor


def load_network(place: str | Path, runs: Path | None = None) -> TrainedNetwork:
    """As `load_predictor`, with the network's origin: that in the model file, or the run."""
    if is_model_file(place):
        return open_model(Path(place))
    if Path(place).is_file():
        raise WeightsError(
            f"{place}: expected a run or a model file, {SUFFIX}; "
            "`cnnlab import-weights FILE` makes a model file of published weights"
        )
    run = find_run(runs_root(runs), str(place))
    return TrainedNetwork(Predictor.from_run(run), origin_of(run))


def origin_of(run: RunFolder) -> dict[str, Any]:
    """The run of a network, as a model file stores it."""
    return {"run": run.id, "recipe_hash": run.environment.recipe_hash, "created": run.created}


def is_model_file(place: str | Path) -> bool:
    """Whether `place` is a model file rather than a run."""
    return Path(place).suffix == SUFFIX
