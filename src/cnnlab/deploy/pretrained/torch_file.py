"""Named tensors from a file of `torch.save`, without executing anything in it.

Such a file is a pickle, and a pickle is a program. torch's restricted reader (`weights_only`) builds tensors, plain
containers and numbers and rejects every other name before importing it.
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

_WRAPPED = "state_dict"  # where training scripts put the weights, next to epoch and best accuracy
_PARALLEL = "module."  # torch.nn.DataParallel puts this before every name


def read_arrays(path: Path) -> Arrays:
    """The tensors of a state dict, or of a dictionary that has one under `state_dict`, as arrays.

    The prefix `module.` is removed from names. Nothing in the file is executed. Raises WeightsError.
    """
    content = _load(path)
    if isinstance(content, Mapping) and isinstance(content.get(_WRAPPED), Mapping):
        content = content[_WRAPPED]
    if not isinstance(content, Mapping) or not content:
        raise WeightsError(
            f"{path}: received {_article(content)}, expected named tensors, or a dictionary with `{_WRAPPED}`"
        )
    strange = [f"{path}: {name!r} is {_article(value)}" for name, value in content.items() if not _plain(name, value)]
    if strange:
        raise WeightsError(*strange, "expected a name and an ordinary tensor for each; is this a state dict?")
    return {name.removeprefix(_PARALLEL): as_array(value) for name, value in content.items()}


def as_array(tensor: Tensor) -> NDArray[Any]:
    """A copy in NumPy; bfloat16, which NumPy lacks, as float32."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return np.array((tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy())


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other pickle protocols fail below with our own message
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; expected a file of weights") from error
    except Exception as error:  # a damaged or malicious file can break the reader in any way
        # torch's own message advises to read the file without protection: only the name in it is used.
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found:
            raise WeightsError(
                f"{path} contains more than weights: it calls {found[1]!r}; nothing was executed. "
                "Do not open it in another way unless you trust its author; ask for a file with its state dict only"
            ) from error
        raise WeightsError(
            f"{path} is damaged or not a file of weights from torch.save: download it again, "
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
