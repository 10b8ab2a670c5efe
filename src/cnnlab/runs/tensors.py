"""Named arrays in the safetensors format: how checkpoints and predictions are stored.

Written here, array by array, so that a state of gigabytes is never copied as a whole; read by the safetensors library.
Format: https://huggingface.co/docs/safetensors (a length, a JSON header, the memory of the arrays).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Arrays = Mapping[str, "np.ndarray[Any, Any]"]

_DTYPES = {
    "uint64": "U64", "int64": "I64", "float64": "F64", "float32": "F32", "uint32": "U32", "int32": "I32",
    "float16": "F16", "uint16": "U16", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
"""In the order of their arrays in a file: the library's, by falling width, so that all arrays are aligned."""


def pieces(arrays: Arrays, metadata: dict[str, str] | None = None) -> Iterator[bytes | memoryview]:
    """The file in pieces: the header, then the memory of one array after the other.

    Any shapes (also 0-d and empty), any dtype of NumPy's own numbers.
    """
    import numpy as np

    places = {dtype: place for place, dtype in enumerate(_DTYPES)}
    names = sorted(arrays, key=lambda name: (places[arrays[name].dtype.name], name))
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name in names:
        array = arrays[name]
        start, end = end, end + array.nbytes
        shape = list(array.shape)
        header[name] = {"dtype": _DTYPES[array.dtype.name], "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in names:
        if arrays[name].size:
            yield np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data  # no copy of what is in order


def to_bytes(arrays: Arrays, metadata: dict[str, str] | None = None) -> bytes:
    """The file as one value."""
    return b"".join(pieces(arrays, metadata))


def from_bytes(content: bytes) -> "dict[str, np.ndarray[Any, Any]]":
    """Writable arrays. Raises ValueError when the content is not safetensors."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def from_file(path: Path, prefixes: Sequence[str] = ("",)) -> "dict[str, np.ndarray[Any, Any]]":
    """Writable arrays of a file: those whose names have the first of the prefixes that any name has.

    Raises OSError, and ValueError when the file is not safetensors.
    """
    import numpy as np
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            names = list(file.keys())
            prefix = next((one for one in prefixes if any(name.startswith(one) for name in names)), prefixes[-1])
            return {name: np.array(file.get_tensor(name)) for name in names if name.startswith(prefix)}
    except SafetensorError as error:
        raise ValueError(str(error)) from error
