"""Named architectures. `NAMED` is the whole list: functions, and the entries of `texts.toml`.

A function takes the number of classes and keyword options, each annotated with its kind. Its architecture fits
any number of input channels.
"""

import tomllib
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

from cnnlab.arch.architecture import Architecture, parse
from cnnlab.arch.kinds import COUNT, kinds_of
from cnnlab.arch.layers import LAYERS
from cnnlab.arch.named.resnet import resnet
from cnnlab.arch.named.simplenn import simplenn
from cnnlab.arch.shapes import Shape
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.suggest import did_you_mean

Builder = Callable[..., Architecture]


def _from_text(layers: str, num_classes: int) -> Architecture:
    return parse(layers.replace("{classes}", str(num_classes)))


def _texts() -> dict[str, Builder]:
    entries = tomllib.loads(files(__name__).joinpath("texts.toml").read_text(encoding="utf-8"))
    return {name: partial(_from_text, entry["layers"]) for name, entry in entries.items()}


NAMED: dict[str, Builder] = {
    "simplenn": simplenn,
    "resnet20": resnet(20),
    "resnet32": resnet(32),
    "resnet44": resnet(44),
    "resnet56": resnet(56),
    "resnet110": resnet(110),
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
        if not words and name not in LAYERS and name.replace("-", "").isalnum():
            raise ArchitectureError(f"unknown architecture or layer {name!r}{did_you_mean(name, [*NAMED, *LAYERS])}")
        architecture = parse(text)
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
    architecture = NAMED[name](num_classes=num_classes, **values)
    architecture.trace(input_shape)
    return architecture


def _checked(name: str, options: dict[str, Any], accept: Callable[..., Any]) -> dict[str, Any]:
    builder = NAMED[name]
    kinds = {} if isinstance(builder, partial) else kinds_of(builder)
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
