"""Check that named arrays fit a network, and explain layer by layer where they do not."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.parameters import Parameter
from cnnlab.arch.shapes import Shape, show_shape
from cnnlab.core.errors import WeightsError

Arrays = dict[str, NDArray[Any]]


def fitted(
    architecture: Architecture,
    input_shape: Shape,
    arrays: Mapping[str, NDArray[Any]],
    file_names: Mapping[str, str] | None = None,
) -> Arrays:
    """The arrays as the network's weights, in its order; half precision becomes float32.

    `arrays` have our names; `file_names` has the names in the file where they differ. Raises WeightsError with every
    array that is missing, superfluous, of another shape or kind, or not finite, and with its layer.
    """
    trace = architecture.trace(input_shape)
    labels = {row.path: row.label for row in trace.rows}
    given = {
        name: value.astype(np.float32, copy=False) if value.dtype.kind == "f" else value
        for name, value in arrays.items()
    }
    problems = list(_misfits(trace.arrays, labels, given, file_names or {}))
    if problems:
        raise WeightsError(*problems)
    return {each.name: np.ascontiguousarray(given[each.name]).reshape(each.shape) for each in trace.arrays}


def _misfits(
    wanted: tuple[Parameter, ...],
    labels: Mapping[str, str],
    given: Mapping[str, NDArray[Any]],
    file_names: Mapping[str, str],
) -> Iterator[str]:
    for each in wanted:
        in_file = file_names.get(each.name, each.name)
        if each.name not in given:
            received = "is missing"
        elif given[each.name].shape != each.shape:
            received = f"has {_shape(given[each.name].shape)}"
        elif given[each.name].dtype != each.dtype:
            received = f"is {given[each.name].dtype}"
        elif not np.isfinite(given[each.name]).all():
            received = "contains NaN or infinity"
        else:
            continue
        layer = max((path for path in labels if each.name.startswith(f"{path}.")), key=len)
        needs = f"{each.name.removeprefix(f'{layer}.')} {_shape(each.shape)} of {each.dtype}"
        yield f"layer {layer} ({labels[layer]}) needs {needs}; in the file {in_file} {received}"
    known = {each.name for each in wanted}
    for name in (name for name in given if name not in known):
        yield f"no layer takes {file_names.get(name, name)}, {_shape(given[name].shape)} in the file"


def _shape(shape: tuple[int, ...]) -> str:
    return show_shape(shape) if shape else "one number"
