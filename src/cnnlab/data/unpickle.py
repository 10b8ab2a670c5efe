"""Safe reader of pickled CIFAR batches: only byte arrays, lists, dicts, strings and numbers.

A pickle is a program. This unpickler accepts the three names of an ndarray of bytes, and maps them to classes of
ours; any other name is an error before an import or a call.
"""

import io
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.core.errors import DataError


class _Bytes:
    """Replaces an ndarray of uint8. State: version, shape, dtype, order, raw."""

    array: npt.NDArray[np.uint8] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran_order, raw = state
        if not isinstance(dtype, _ByteType) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array of something other than bytes")
        flat = np.frombuffer(raw, dtype=np.uint8)
        self.array = flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)


class _ByteType:
    """Replaces `dtype("u1")`; any other type is an error."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"an array of type {code!r}")

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment do not matter for single bytes."""


def _reconstruct(*_: Any) -> _Bytes:
    return _Bytes()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # its name since NumPy 2
    ("numpy", "ndarray"): _Bytes,  # here only an argument
    ("numpy", "dtype"): _ByteType,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"the forbidden name {module}.{name}")
        return _ALLOWED[module, name]


def read_batch(content: bytes, name: str) -> dict[bytes, Any]:
    """The dict of one pickled batch, keys as bytes, arrays uint8. Raises DataError."""
    try:
        batch = _Restricted(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged or malicious pickle raises many kinds of error
        raise DataError(
            f"{name} is not a CIFAR batch: it holds {error}; get the official file with `cnnlab data get`"
        ) from error
    if not isinstance(batch, dict):
        raise DataError(f"{name} is not a CIFAR batch: expected a dict, found {type(batch).__name__}")
    keys = (key.encode() if isinstance(key, str) else key for key in batch)
    values = (value.array if isinstance(value, _Bytes) else value for value in batch.values())
    return dict(zip(keys, values, strict=True))
