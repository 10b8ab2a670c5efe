"""Whether named tensors fit a network; where they do not, an explanation layer by layer."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from cnnlab.arch import Architecture
from cnnlab.arch.shapes import Shape, show_shape
from cnnlab.core.errors import WeightsError
from cnnlab.engines.torch.network import build


def fitted(
    architecture: Architecture,
    input_shape: Shape,
    tensors: Mapping[str, Tensor],
    file_names: Mapping[str, str] | None = None,
) -> nn.Sequential:
    """The network with these tensors as its weights, float32 on the CPU.

    `tensors` bear our names; `file_names` says what a file calls those whose names differ there. Raises WeightsError
    with every tensor that is missing, too many, of another shape or kind, or not finite, and the layer it belongs to.
    Numbers of half precision are widened.
    """
    tensors = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    with torch.device("meta"):  # shapes without memory: a file that does not fit costs nothing
        model = build(architecture, input_shape)
    problems = list(_misfits(architecture, input_shape, model.state_dict(), tensors, file_names or {}))
    if problems:
        raise WeightsError(*problems)
    model.load_state_dict({name: value.contiguous() for name, value in tensors.items()}, assign=True)
    return model


def _misfits(
    architecture: Architecture,
    input_shape: Shape,
    expected: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    file_names: Mapping[str, str],
) -> Iterator[str]:
    labels = {row.path: row.label for row in architecture.trace(input_shape).rows}
    for name, wanted in expected.items():
        in_file = file_names.get(name, name)
        if name not in given:
            received = "is missing"
        elif given[name].shape != wanted.shape:
            received = f"has {_shape(given[name])}"
        elif given[name].dtype != wanted.dtype:
            received = f"is {_kind(given[name])}"
        elif not given[name].isfinite().all():
            received = "holds NaN or infinity"
        else:
            continue
        layer = _layer_of(name, labels)
        needs = f"{name.removeprefix(f'{layer}.')} {_shape(wanted)} of {_kind(wanted)}"
        yield f"layer {layer} ({labels[layer]}) needs {needs}; in the file {in_file} {received}"
    for name in given:
        if name not in expected:
            yield f"no layer takes {file_names.get(name, name)}, {_shape(given[name])} in the file"


def _layer_of(name: str, paths: Mapping[str, str]) -> str:
    """The path of the layer that a tensor belongs to: the longest that its name begins with."""
    while name not in paths:
        name = name.rpartition(".")[0]
    return name


def _shape(tensor: Tensor) -> str:
    return show_shape(tuple(tensor.shape)) if tensor.ndim else "one number"


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
