"""A network ready to answer, from wherever it lies: a run or a model file."""

from pathlib import Path

from cnnlab.core.errors import WeightsError
from cnnlab.deploy.model_file import SUFFIX, read_model
from cnnlab.deploy.predictor import Predictor
from cnnlab.runs import find_run, runs_root


def load_predictor(place: str | Path, runs: Path | None = None) -> Predictor:
    """The network of a model file (`*.safetensors`), else of the run that `load_run` finds: its best by val.

    Raises WeightsError for a file that is not a model file, RunError for a run that is not there or damaged.
    """
    if is_model_file(place):
        return read_model(Path(place))
    if Path(place).is_file():
        raise WeightsError(
            f"{place}: expected a run or a model file, {SUFFIX}; "
            "`cnnlab import-weights FILE` makes a model file of published weights"
        )
    return Predictor.from_run(find_run(runs_root(runs), str(place)))


def is_model_file(place: str | Path) -> bool:
    """Whether `place` means a model file rather than a run."""
    return Path(place).suffix == SUFFIX
