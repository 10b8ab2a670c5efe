"""Named tensors out of a file that `torch.save` wrote, without being able to run anything in it.

Such a file is a pickle, and a pickle is a program. torch's restricted reader (`weights_only`) builds tensors, plain
containers and numbers and refuses every other name before it is imported.
"""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnnlab.core.errors import WeightsError
from cnnlab.engines.weights import Arrays

_WRAPPED = "state_dict"  # where training scripts put the weights, beside epoch and best accuracy
_PARALLEL = "module."  # what torch.nn.DataParallel puts before every name


def read_arrays(path: Path) -> Arrays:
    """The tensors of a state dict, or of a dictionary that has one under `state_dict`, as arrays.

    Names lose the prefix `module.`. Raises WeightsError; whatever the file says, nothing in it is executed.
    """
    content = _load(path)
    if isinstance(content, Mapping) and isinstance(content.get(_WRAPPED), Mapping):
        content = content[_WRAPPED]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(
            f"{path}: received {_article(content)}, expected named tensors, or a dictionary with `{_WRAPPED}`"
        )
    strange = [
        f"{path}: {name!r} is {_article(value)}" for name, value in content.items() if not _plain(name, value)
    ]
    if strange:
        raise WeightsError(*strange, "expected a name and an ordinary tensor for each; is this a state dict?")
    return {name.removeprefix(_PARALLEL): as_array(value) for name, value in content.items()}


def as_array(tensor: Tensor) -> NDArray[Any]:
    """The same numbers in NumPy, in memory of their own; bfloat16, which NumPy lacks, as float32."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return np.array((tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy())


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of other pickle protocols, which fail below with a reason of ours
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; expected a file of weights") from error
    except Exception as error:  # a damaged or hostile file can break the reader in any way
        # torch's own text advises to read the file without protection: none of it is passed on but the name.
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found:
            raise WeightsError(
                f"{path} holds more than weights: it asks for {found[1]!r}; nothing was executed. "
                "Do not open it otherwise unless you trust its author; ask for a file with the state dict alone"
            ) from error
        raise WeightsError(
            f"{path} is damaged or no file of weights that torch.save wrote: download it again, "
            f"or check that it is the right file ({type(error).__name__})"
        ) from error


def _plain(name: Any, value: Any) -> bool:
    """Whether this is a name and a dense tensor with numbers in memory."""
    if not isinstance(name, str) or not isinstance(value, Tensor):
        return False
    return value.layout is torch.strided and value.device.type == "cpu" and not value.is_quantized


def _article(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of an unusual kind ({value.layout}, {value.device}, {value.dtype})"
    return f"a {type(value).__name__}"
