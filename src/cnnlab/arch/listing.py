"""The list form of layers in TOML and JSON: `[{conv = {kernel = 5, channels = 8}}, "relu"]`.

Every entry is a table with one key, the layer's name, or a string in the text form. The layers of a residual are its
`body`, and possibly its `shortcut`; those of concat and sum are `branches`, a list of lists.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnlab.arch.kinds import kinds_of, required_of
from cnnlab.arch.layers import LAYERS, MAX_NESTING, TOO_DEEP, Container, Layer, Layers, own_name, unknown_layer
from cnnlab.arch.text import changed_options, is_layers, read_layers
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.suggest import did_you_mean


def list_layers(layers: Sequence[Layer]) -> list[dict[str, dict[str, Any]]]:
    """The canonical list: one table per layer, without defaults, sizes as a number or [height, width]."""
    return [{layer.name: _fields(layer)} for layer in layers]


def _fields(layer: Layer) -> dict[str, Any]:
    values = {name: getattr(layer, name) for name in required_of(type(layer))} | changed_options(layer)
    if isinstance(layer, Container):
        values = {layer.group_field: getattr(layer, layer.group_field)} | values
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    """A field of JSON types."""
    if is_layers(value):
        return list_layers(value)
    return list(map(_plain, value)) if isinstance(value, tuple) else value


def layers_of_list(entries: object, place: str = "layer ", depth: int = 0) -> Layers:
    """Read a list, inside of `depth` containers. Raises ArchitectureError with all problems and their places."""
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


def _layers_of_entry(entry: object, place: str, depth: int) -> Layers:
    if isinstance(entry, str):
        return _with_place(place, lambda: read_layers(entry))
    tables = list(entry.items()) if isinstance(entry, Mapping) else []
    if len(tables) != 1 or not isinstance(tables[0][1], Mapping):
        raise ArchitectureError(
            f"{place}: received {entry!r}, expected a text or a table such as {{linear = {{features = 10}}}}"
        )
    written, values = tables[0]
    name = own_name(written)
    if name not in LAYERS:
        raise ArchitectureError(f"{place}: {unknown_layer(written, LAYERS)}")
    declaration = LAYERS[name]
    group_field = (declaration.group_field,) if issubclass(declaration, Container) else ()
    required = (*group_field, *required_of(declaration))
    valid = [*required, *(field for field in kinds_of(declaration) if field not in required)]
    problems = [f"{place} ({name}): {field!r} is missing" for field in required if field not in values]
    for field in values:
        if field not in valid:
            hint = did_you_mean(field, valid) if valid else "; it takes none"
            problems.append(f"{place} ({name}): unknown option {field!r}{hint}")
    if problems:
        raise ArchitectureError(*problems)
    if issubclass(declaration, Container):
        values = _read_groups(declaration, values, place, depth)
    return _with_place(place, lambda: (declaration(**values),))


def _read_groups(declaration: type[Container], values: Mapping[str, Any], place: str, depth: int) -> dict[str, Any]:
    """The fields of a container, with layers in place of lists."""
    field = declaration.group_field
    written = values[field]
    if declaration.many and not isinstance(written, str) and isinstance(written, Sequence):
        groups = (layers_of_list(each, f"{place}.{index}.", depth + 1) for index, each in enumerate(written))
        return {**values, field: tuple(groups)}
    read = {field: layers_of_list(written, f"{place}.{field}.", depth + 1)} if not declaration.many else {}
    lists = {name: value for name, value in values.items() if name != field and isinstance(value, list | tuple)}
    read |= {name: layers_of_list(value, f"{place}.{name}.", depth + 1) for name, value in lists.items()}
    return {**values, **read}


def _with_place(place: str, make: Callable[[], Layers]) -> Layers:
    """What `make` returns; the place is added to its problems."""
    try:
        return make()
    except ArchitectureError as error:
        raise ArchitectureError(*(f"{place}: {problem}" for problem in error.problems)) from None
