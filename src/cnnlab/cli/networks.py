"""What a person names on the command line where a network is wanted: a run, a model file, or an architecture."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnlab.arch import NAMED, Architecture, resolve
from cnnlab.arch.layers import LAYERS, SYNONYMS
from cnnlab.arch.shapes import Shape, read_shape
from cnnlab.core.errors import ArchitectureError

if TYPE_CHECKING:
    from cnnlab.deploy.predictor import Predictor

_INPUT, _CLASSES = "3x32x32", 10


class Network(NamedTuple):
    """An architecture and its input; with `trained`, the network that a run or a model file holds."""

    architecture: Architecture
    input_shape: Shape
    trained: "Predictor | None"


def find_network(
    text: str, runs: Path | None = None, input_size: str | None = None, classes: int | None = None
) -> Network:
    """The network that `text` means; torch is imported for a run or a model file alone.

    Names of architectures and layers come first: a run whose id is one needs its path. `input_size` and `classes`
    are for architectures. Raises ArchitectureError, RunError and WeightsError.
    """
    if not _is_place(text, runs):
        input_shape = read_shape(input_size or _INPUT)
        return Network(_architecture(text, input_shape, classes or _CLASSES), input_shape, None)
    if input_size is not None or classes is not None:
        raise ArchitectureError(f"--input and --classes are for architectures; {text} has its own")
    from cnnlab.deploy.load import load_predictor

    predictor = load_predictor(text, runs)
    return Network(predictor.architecture, predictor.image_shape, predictor)


def _is_place(text: str, runs: Path | None) -> bool:
    from cnnlab.runs import layout, runs_root
    from cnnlab.runs.reader import run_folders

    if text == "last" or Path(text).suffix == ".safetensors" or layout.is_run_folder(Path(text).absolute()):
        return True
    if not text or text in NAMED or _is_layer(text):
        return False
    return any(folder.name.startswith(text) for folder in run_folders(runs_root(runs)))


def _architecture(text: str, input_shape: Shape, classes: int) -> Architecture:
    """As `resolve`; for a lone word that means nothing, the error says that it is no run either."""
    try:
        return resolve(text, input_shape, classes)
    except ArchitectureError as error:
        if len(text.split()) > 1 or text in NAMED or _is_layer(text):
            raise
        raise ArchitectureError(*error.problems, f"nor is {text!r} a run or a model file") from None


def _is_layer(word: str) -> bool:
    return word in LAYERS or word in SYNONYMS
