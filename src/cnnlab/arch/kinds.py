"""Types of layer fields: a `Kind` checks a value, reads it from a word and writes it as a word.

Layers declare `stride: Annotated[Size, SIZE] = 1`. Text, list and Python form and the options of named
architectures use the same kinds, so they accept the same values and give the same error messages.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

Size = int | tuple[int, int]
"""Height and width: one number where they are equal (canonical), else a pair (height, width)."""


@dataclass(frozen=True)
class Kind:
    """A set of values: its description, check (canonical value or ValueError), reader and writer."""

    expected: str
    check: Callable[[Any], Any]
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str

    def accept(self, name: str, value: object) -> Any:
        """The canonical form of `value`. Raises ValueError with name, value and expectation."""
        try:
            return self.check(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: received {value!r}, expected {self.expected}") from error

    def accept_word(self, name: str, word: str) -> Any:
        """The value written as `word`. Raises ValueError as `accept` does."""
        try:
            return self.check(self.read(word))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: received {word!r}, expected {self.expected}") from error


def pair(size: Size) -> tuple[int, int]:
    """(height, width) of a size."""
    return (size, size) if isinstance(size, int) else size


def _read_kinds(declaration: Any) -> dict[str, Kind]:
    """Name to kind of the fields of a layer class, or of the options of a named architecture's function."""
    hints = get_type_hints(declaration, include_extras=True)
    kinds = {name: getattr(hint, "__metadata__", (None,))[0] for name, hint in hints.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, Kind)}


def _read_required(declaration: Any) -> tuple[str, ...]:
    """Names of `kinds_of` without a default, in order."""
    parameters = inspect.signature(declaration).parameters
    return tuple(name for name in kinds_of(declaration) if parameters[name].default is inspect.Parameter.empty)


# With types, because mypy confuses the hash of a class with that of its instances and rejects `@cache` here.
kinds_of: Callable[[Any], dict[str, Kind]] = cache(_read_kinds)
required_of: Callable[[Any], tuple[str, ...]] = cache(_read_required)


def write_size(size: Size) -> str:
    """`2` for (2, 2), `1x7` for (1, 7)."""
    return "x".join(map(str, size)) if isinstance(size, tuple) else str(size)


def choice(*words: str) -> Kind:
    """One of these words."""

    def check(value: object) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Kind(f"one of {', '.join(words)}", check, read=str)


def _whole(value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError
    return value


def _size(value: Any, least: int) -> Size:
    if not isinstance(value, list | tuple):
        return _whole(value, least)
    height, width = (_whole(side, least) for side in value)
    return height if height == width else (height, width)


def _number(value: Any, least: float, below: float, without: float | None = None) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < below or value == without:
        raise ValueError
    return float(value)


def _at_most(value: Any, most: float) -> Any:
    if value > most:
        raise ValueError
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value or not all(letter.isalnum() or letter == "-" for letter in value):
        raise ValueError
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _read_size(word: str) -> Any:
    return [int(side) for side in word.split("x")] if "x" in word else int(word)


def _read_pad(word: str) -> Any:
    return word if word == "same" else _read_size(word)


def _read_truth(word: str) -> Any:
    return {"true": True, "false": False}.get(word.lower())


COUNT = Kind("a whole number of at least 1", lambda value: _whole(value, 1), read=int)
SIZE = Kind("a size such as 3 or 3x1", lambda value: _size(value, 1), _read_size, write_size)
KERNEL = Kind(SIZE.expected, SIZE.check, _read_size, lambda size: write_size(pair(size)))
STRIDE_OR_KERNEL = Kind(SIZE.expected, lambda value: None if value is None else _size(value, 1), _read_size, write_size)
MARGIN = Kind("a size such as 0, 1 or 1x0", lambda value: _size(value, 0), _read_size, write_size)
PAD = Kind(
    "a size such as 0, 1 or 1x0, or 'same'",
    lambda value: value if value == "same" else _size(value, 0),
    _read_pad,
    write_size,
)
PROBABILITY = Kind("a number from 0 to below 1", lambda value: _number(value, 0, 1), float, repr)
SLOPE = Kind("a number from 0 to 1e6", lambda value: _at_most(_number(value, 0, math.inf), 1e6), float, repr)
OPTIONAL_SLOPE = Kind(SLOPE.expected, lambda value: None if value is None else SLOPE.check(value), float, repr)
FACTOR = Kind("a number other than 0", lambda value: _number(value, -math.inf, math.inf, without=0), float, repr)
POSITIVE = Kind("a number above 0", lambda value: _number(value, 0, math.inf, without=0), float, repr)
MOMENTUM = Kind("a number above 0, up to 1", lambda value: POSITIVE.check(_at_most(value, 1)), float, repr)
WORD = Kind("a word", _word, read=str)
FLAG = Kind("true or false", _truth, read=_read_truth)
