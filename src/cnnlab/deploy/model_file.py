"""A model file: one safetensors file with a whole network, readable without its run.

Tensors have the names of the layers (`engines/torch/network.py`). The safetensors metadata contain one JSON text under
the key `cnnlab`: the architecture, the shape and normalisation of images, the classes, and the origin. Reading a file
executes nothing in it, and every tensor is compared with the architecture first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from cnnlab.arch import Architecture, parse
from cnnlab.core.errors import ArchitectureError, WeightsError
from cnnlab.core.files import write_atomic
from cnnlab.deploy.predictor import Predictor
from cnnlab.deploy.pretrained.torch_file import as_array
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.weights import Arrays, fitted
from cnnlab.runs.tensors import to_bytes

SUFFIX = ".safetensors"
KEY = "cnnlab"
FORMAT: Literal[1] = 1

_Length = Annotated[int, Field(ge=1)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Card(BaseModel):
    """The JSON text of the metadata."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    format: Literal[1] = FORMAT
    architecture: Annotated[str, AfterValidator(lambda text: str(parse(text)))]
    input_shape: tuple[_Length, _Length, _Length]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    mean: tuple[_Finite, ...]
    std: tuple[_Positive, ...]
    origin: dict[str, Any]


class TrainedNetwork(NamedTuple):
    """A network and its origin."""

    predictor: Predictor
    origin: dict[str, Any]


def write_model(path: Path, predictor: Predictor, origin: Mapping[str, Any]) -> None:
    """Write the whole network or nothing. `origin` is any JSON object. Raises StorageError."""
    card = _Card(
        architecture=str(predictor.architecture),
        input_shape=predictor.image_shape,
        classes=predictor.classes,
        mean=predictor.normalisation.mean,
        std=predictor.normalisation.std,
        origin=dict(origin),
    )
    write_atomic(path, to_bytes(predictor.network.weights(), {KEY: card.model_dump_json()}))


def read_model(path: Path) -> Predictor:
    """The network of a model file. Raises WeightsError with all problems of the file."""
    return open_model(path).predictor


def open_model(path: Path) -> TrainedNetwork:
    """The network of a model file, and its origin. Raises WeightsError with all problems of the file."""
    metadata, arrays = _read(path)
    if KEY not in metadata:
        raise WeightsError(
            f"{path} is a safetensors file but no model file of cnnlab: its metadata lack the key {KEY!r}; "
            "`cnnlab export RUN model.safetensors` and `cnnlab import-weights FILE` write model files"
        )
    card, architecture = _checked(path, metadata[KEY])
    try:
        weights = fitted(architecture, card.input_shape, arrays)
    except WeightsError as error:
        raise WeightsError(
            f"{path}: its tensors do not fit its architecture; it is damaged or was changed", *error.problems
        ) from None
    normalisation = Normalisation(card.mean, card.std)
    predictor = Predictor(architecture, card.classes, normalisation, card.input_shape, weights)
    return TrainedNetwork(predictor, card.origin)


def _read(path: Path) -> tuple[dict[str, str], Arrays]:
    """Metadata, and arrays that are copies. Raises WeightsError."""
    try:
        with safe_open(path, framework="pt") as file:
            arrays = {name: as_array(file.get_tensor(name)) for name in file.offset_keys()}
            return file.metadata() or {}, arrays
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file; expected a model file") from None
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} is not a safetensors file, or a damaged one: {error}") from error


def _checked(path: Path, text: str) -> tuple[_Card, Architecture]:
    """The card of a file and its architecture, if they fit each other. Raises WeightsError."""
    try:
        card = _Card.model_validate_json(text)
    except ValidationError as error:
        problems = [f"{path}: {KEY}.{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
        remedy = f"this cnnlab reads model files of format {FORMAT}; perhaps a newer one wrote this file"
        raise WeightsError(*problems, remedy) from None
    architecture = parse(card.architecture)
    try:
        outputs = architecture.trace(card.input_shape).output_shape
    except ArchitectureError as error:
        raise WeightsError(*(f"{path}: {problem}" for problem in error.problems)) from None
    problems = [
        f"{path}: {len(values)} numbers in {name}, {card.input_shape[0]} channels"
        for name, values in (("mean", card.mean), ("std", card.std))
        if len(values) != card.input_shape[0]
    ]
    if outputs != (len(card.classes),):
        problems.append(f"{path}: {len(card.classes)} classes, but the architecture's output is {outputs}")
    if problems:
        raise WeightsError(*problems)
    return card, architecture
