"""Named arrays as safetensors bytes and back: how checkpoints and predictions are stored."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


def to_bytes(arrays: Arrays, metadata: dict[str, str] | None = None) -> bytes:
    """Any shapes (also 0-d and empty), any dtype of NumPy's own numbers."""
    import numpy as np
    from safetensors.numpy import save

    # safetensors copies raw memory, so it needs C order; `ascontiguousarray` would add an axis to 0-d arrays.
    return save({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata)


def from_bytes(content: bytes) -> "dict[str, np.ndarray[Any, Any]]":
    """Writable arrays. Raises ValueError when the content is not safetensors."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
