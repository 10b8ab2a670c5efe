"""Named architectures. `NAMED` is the whole list: functions, and the entries of `texts/*.toml`.

A function takes the number of classes and keyword options, each annotated with its kind. A text contains
`{classes}`, and a parameter for each of its `options`. Both fit any number of input channels.
"""

import inspect
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from typing import Any

from cnnlab.arch.architecture import Architecture, parse
from cnnlab.arch.kinds import COUNT, POSITIVE, WORD, Kind, kinds_of
from cnnlab.arch.layers import LAYERS, own_name
from cnnlab.arch.named.resnet import resnet
from cnnlab.arch.named.simplenn import simplenn
from cnnlab.arch.shapes import Shape
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.suggest import did_you_mean


@dataclass(frozen=True)
class NamedArchitecture:
    """How to build it, and its options: their kinds and defaults."""

    build: Callable[..., Architecture]
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """All options; those given have passed their kinds."""
        return {**self.defaults, **{name: self.kinds[name].accept(name, value) for name, value in options.items()}}


def _of_function(build: Callable[..., Architecture]) -> NamedArchitecture:
    parameters = inspect.signature(build).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY}
    return NamedArchitecture(build, kinds_of(build), defaults)


_KINDS = {int: COUNT, float: POSITIVE, str: WORD}


def _of_text(layers: str, options: Mapping[str, Any]) -> NamedArchitecture:
    kinds = {name: _KINDS[type(default)] for name, default in options.items()}
    return NamedArchitecture(partial(_fill, layers, options), kinds, options)


def _fill(layers: str, defaults: Mapping[str, Any], num_classes: int, **options: Any) -> Architecture:
    return parse(layers, {**defaults, **options, "classes": num_classes})


def _texts() -> dict[str, NamedArchitecture]:
    places = sorted(files(__name__).joinpath("texts").iterdir(), key=lambda place: place.name)
    tables = (tomllib.loads(place.read_text(encoding="utf-8")) for place in places if place.name.endswith(".toml"))
    entries = {name: entry for table in tables for name, entry in table.items()}
    return {name: _of_text(entry["layers"], entry.get("options", {})) for name, entry in entries.items()}


NAMED: dict[str, NamedArchitecture] = {
    "simplenn": _of_function(simplenn),
    **{f"resnet{depth}": _of_function(resnet(depth)) for depth in (20, 32, 44, 56, 110)},
    **_texts(),
}


def named(name: str, input_shape: Shape = (3, 32, 32), num_classes: int = 10, **options: object) -> Architecture:
    """The architecture with this name, checked for `input_shape`, (channels, height, width).

    Raises ArchitectureError for an unknown name, for wrong options (all together) or for a too small input.
    """
    if name not in NAMED:
        raise ArchitectureError(f"unknown architecture {name!r}{did_you_mean(name, NAMED)}")
    values = _checked(name, options, lambda kind, option, value: kind.accept(option, value))
    return _build(name, input_shape, num_classes, values)


def resolve(text: str, input_shape: Shape = (3, 32, 32), num_classes: int = 10) -> Architecture:
    """Read a line: a name with options, `resnet20 shortcut=B`, or layers. Raises as `named` and `parse` do."""
    name, *words = text.split() or [""]
    if name not in NAMED:
        if not words and own_name(name) not in LAYERS and name.replace("-", "").isalnum():
            raise ArchitectureError(f"unknown architecture or layer {name!r}{did_you_mean(name, [*NAMED, *LAYERS])}")
        architecture = parse(text, {"classes": num_classes} if "{" in text else {})
        architecture.trace(input_shape)
        return architecture
    options = dict(word.partition("=")[::2] for word in words)
    values = _checked(name, options, lambda kind, option, value: kind.accept_word(option, str(value)))
    return _build(name, input_shape, num_classes, values)


def _build(name: str, input_shape: Shape, num_classes: int, values: dict[str, Any]) -> Architecture:
    try:
        num_classes = COUNT.accept("num_classes", num_classes)
    except ValueError as problem:
        raise ArchitectureError(f"{name}: {problem}") from None
    try:
        architecture = NAMED[name].build(num_classes=num_classes, **values)
    except ArchitectureError as error:  # for example a width that makes 19.2 channels; one layer is enough to say so
        options = "".join(f" {option}={value}" for option, value in values.items())
        raise ArchitectureError(f"{name}{options}: {error.problems[0]}") from None
    architecture.trace(input_shape)
    return architecture


def _checked(name: str, options: dict[str, Any], accept: Callable[..., Any]) -> dict[str, Any]:
    kinds = NAMED[name].kinds
    problems, values = [], {}
    for option, value in options.items():
        if option not in kinds:
            hint = did_you_mean(option, kinds) if kinds else "; it has none"
            problems.append(f"{name}: unknown option {option!r}{hint}")
            continue
        try:
            values[option] = accept(kinds[option], option, value)
        except ValueError as problem:
            problems.append(f"{name}: {problem}")
    if problems:
        raise ArchitectureError(*problems)
    return values
