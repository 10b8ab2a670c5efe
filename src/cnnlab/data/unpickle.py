"""A reader for pickled CIFAR batches that builds nothing but byte arrays, lists, dicts, strings and numbers.

A pickle is a program. This unpickler knows three names, those an ndarray of bytes is made of, and maps them
to stand-ins of ours; every other name, whatever module it is in, is refused before anything is imported or
called.
"""

import io
import pickle
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.core.errors import DataError


class _Bytes:
    """Stands for an ndarray of uint8 while the pickle is read. State: version, shape, dtype, order, raw."""

    array: npt.NDArray[np.uint8] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran_order, raw = state
        if not isinstance(dtype, _ByteType) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("an array of something other than bytes")
        flat = np.frombuffer(raw, dtype=np.uint8)
        self.array = flat.reshape(shape[::-1]).T if fortran_order else flat.reshape(shape)


class _ByteType:
    """Stands for `dtype("u1")`; any other type is refused."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"an array of type {code!r}")

    def __setstate__(self, state: Any) -> None:
        """The byte order and alignment of single bytes say nothing."""


class _Name:
    """Stands for the class `numpy.ndarray`, which is only ever an argument below."""


def _reconstruct(*_: Any) -> _Bytes:
    return _Bytes()


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # its name since NumPy 2
    ("numpy", "ndarray"): _Name,
    ("numpy", "dtype"): _ByteType,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"the forbidden name {module}.{name}")
        return _ALLOWED[module, name]


def read_batch(content: bytes, name: str) -> dict[bytes, Any]:
    """The dict of one pickled batch, keys as bytes, arrays uint8. Raises DataError; runs no foreign code."""
    try:
        batch = _Restricted(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a hostile or torn pickle fails in every way there is
        raise DataError(
            f"{name} is not a CIFAR batch: it holds {error}; get the official file with `cnnlab data get`"
        ) from error
    if not isinstance(batch, dict):
        raise DataError(f"{name} is not a CIFAR batch: expected a dict, found {type(batch).__name__}")
    plain = {}
    for key, value in batch.items():
        plain[key.encode() if isinstance(key, str) else key] = (
            value.array if isinstance(value, _Bytes) else value
        )
    return plain
