"""The list form of layers in TOML and JSON: `[{conv = {kernel = 5, channels = 8}}, "relu"]`.

Every entry is a table with one key, the layer's name, or a string in the text form.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnlab.arch.kinds import kinds_of, required_of
from cnnlab.arch.layers import LAYERS, MAX_NESTING, NAME_OF, SYNONYMS, TOO_DEEP, Layer, Residual
from cnnlab.arch.text import changed_options, read_layers
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.suggest import did_you_mean


def list_layers(layers: Sequence[Layer]) -> list[dict[str, dict[str, Any]]]:
    """The canonical list: one table per layer, without defaults, sizes as a number or [height, width]."""
    return [{NAME_OF[type(layer)]: _fields(layer)} for layer in layers]


def _fields(layer: Layer) -> dict[str, Any]:
    required = {name: getattr(layer, name) for name in required_of(type(layer))}
    body = {"body": list_layers(layer.body)} if isinstance(layer, Residual) else {}
    values = body | required | changed_options(layer)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def layers_of_list(entries: object, place: str = "layer ", depth: int = 0) -> tuple[Layer, ...]:
    """Read a list, inside of `depth` residuals. Raises ArchitectureError with all problems and their places."""
    if depth > MAX_NESTING:
        raise ArchitectureError(TOO_DEEP)
    if isinstance(entries, str):
        return read_layers(entries)
    if not isinstance(entries, Sequence):
        raise ArchitectureError(f"{place.rstrip(' .')}: received {entries!r}, expected a list of layers")
    layers: list[Layer] = []
    problems: list[str] = []
    for index, entry in enumerate(entries):
        try:
            layers.extend(_layers_of_entry(entry, f"{place}{index}", depth))
        except ArchitectureError as error:
            problems.extend(error.problems)
    if problems:
        raise ArchitectureError(*problems)
    return tuple(layers)


def _layers_of_entry(entry: object, place: str, depth: int) -> tuple[Layer, ...]:
    if isinstance(entry, str):
        return _with_place(place, lambda: read_layers(entry))
    tables = list(entry.items()) if isinstance(entry, Mapping) else []
    if len(tables) != 1 or not isinstance(tables[0][1], Mapping):
        raise ArchitectureError(
            f"{place}: received {entry!r}, expected a text or a table such as {{linear = {{features = 10}}}}"
        )
    written, values = tables[0]
    name = SYNONYMS.get(written, written)
    if name not in LAYERS:
        raise ArchitectureError(f"{place}: unknown layer {written!r}{did_you_mean(written, LAYERS)}")
    declaration = LAYERS[name]
    required = (*(("body",) if declaration is Residual else ()), *required_of(declaration))
    valid = [*required, *(field for field in kinds_of(declaration) if field not in required)]
    problems = [f"{place} ({name}): {field!r} is missing" for field in required if field not in values]
    for field in values:
        if field not in valid:
            hint = did_you_mean(field, valid) if valid else "; it takes none"
            problems.append(f"{place} ({name}): unknown option {field!r}{hint}")
    if problems:
        raise ArchitectureError(*problems)
    if declaration is Residual:
        values = {**values, "body": layers_of_list(values["body"], f"{place}.body.", depth + 1)}
    return _with_place(place, lambda: (declaration(**values),))


def _with_place(place: str, make: Callable[[], tuple[Layer, ...]]) -> tuple[Layer, ...]:
    """What `make` returns; the place is added to its problems."""
    try:
        return make()
    except ArchitectureError as error:
        raise ArchitectureError(*(f"{place}: {problem}" for problem in error.problems)) from None
