"""What every layer has: checked fields, shapes, arrays and MACs; and containers, whose parts are layers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from cnnlab.arch.kinds import kinds_of
from cnnlab.arch.parameters import Parameter
from cnnlab.arch.shapes import Shape, Window
from cnnlab.core.errors import ArchitectureError

MAX_NESTING = 20
"""Largest depth of nested containers, so that recursive functions over layers are safe."""

TOO_DEEP = f"layers are nested deeper than {MAX_NESTING}; write some of them one after the other"


@dataclass(frozen=True)
class Layer:
    """Base of all layers: keeps the input's shape and has no weights. Fields are checked and made canonical."""

    name: ClassVar[str]
    """Its name in texts."""

    def __post_init__(self) -> None:
        problems = []
        for field, kind in kinds_of(type(self)).items():
            try:
                object.__setattr__(self, field, kind.accept(field, getattr(self, field)))
            except ValueError as problem:
                problems.append(f"{self.name}: {problem}")
        if problems:
            raise ArchitectureError(*problems)
        self._check()

    def _check(self) -> None:
        """Raise ArchitectureError if valid fields contradict each other."""

    @property
    def window(self) -> Window | None:
        """The window that this layer slides over the map, if any."""
        return None

    @property
    def reduction(self) -> tuple[int, int]:
        """(height, width): how many input positions one step of the output is."""
        return self.window.stride if self.window else (1, 1)

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`. Raises ArchitectureError if it does not fit."""
        return shape

    def arrays(self, shape: Shape) -> tuple[Parameter, ...]:
        """Its parameters for an input of `shape`, with names inside the layer. Without the parts of a container."""
        return ()

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates for one image of `shape`. Without the parts of a container."""
        return 0


Layers = tuple[Layer, ...]


@dataclass(frozen=True)
class Container(Layer):
    """A layer made of layers: each part receives the same input, and their outputs are joined.

    In texts it is `name(group; group; options)`; without `many` it has one group, and a `;` begins its options.
    """

    group_field: ClassVar[str]
    """The field with its group of layers, or with `many` the tuple of its groups."""
    many: ClassVar[bool] = False

    @property
    def groups(self) -> tuple[Layers, ...]:
        """The layers between the parentheses, without those in options."""
        value = getattr(self, self.group_field)
        return value if self.many else (value,)

    @property
    def written(self) -> Mapping[str, Layers]:
        """Part -> its layers, those that stand in the text."""
        if not self.many:
            return {self.group_field: self.groups[0]}
        return {str(index): group for index, group in enumerate(self.groups)}

    def parts(self, shape: Shape) -> Mapping[str, Mapping[str, Layer]]:
        """Part -> name in it -> layer, in the order of computation: `written`, and parts that `shape` determines."""
        return {name: numbered(layers) for name, layers in self.written.items()}

    @property
    def label(self) -> str:
        """How its own row, where the parts are joined, reads in a table."""
        raise NotImplementedError

    @property
    def nesting(self) -> int:
        """Depth of nested containers, including this one."""
        layers = (layer for part in self.written.values() for layer in part)
        return 1 + max((layer.nesting for layer in layers if isinstance(layer, Container)), default=0)

    @property
    def reduction(self) -> tuple[int, int]:
        return reduction_of(self.groups[0])

    def _check(self) -> None:
        if self.nesting > MAX_NESTING:
            raise ArchitectureError(TOO_DEEP)


def check_layers(owner: str, layers: object) -> Layers:
    """`layers` as a tuple. Raises ArchitectureError if it is empty or contains other values."""
    if not isinstance(layers, list | tuple) or not layers:
        raise ArchitectureError(f"{owner}: received {layers!r}, expected a sequence of at least one layer")
    if wrong := [item for item in layers if not isinstance(item, Layer)]:
        raise ArchitectureError(*(f"{owner}: received {item!r}, expected a layer" for item in wrong))
    return tuple(layers)


def shape_after(layers: Iterable[Layer], shape: Shape) -> Shape:
    """Shape of the output of layers in a row."""
    return reduce(lambda shape, layer: layer.output_shape(shape), layers, shape)


def reduction_of(layers: Iterable[Layer]) -> tuple[int, int]:
    """(height, width) of the total stride of layers in a row."""
    height, width = 1, 1
    for layer in layers:
        height, width = height * layer.reduction[0], width * layer.reduction[1]
    return height, width


def numbered(layers: Layers) -> dict[str, Layer]:
    """Layers by their position: "0", "1", ..."""
    return {str(index): layer for index, layer in enumerate(layers)}
