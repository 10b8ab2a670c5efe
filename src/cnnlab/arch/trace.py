"""Shapes, parameters, MACs and receptive field of every layer, for one input shape.

Receptive field: (height, width) of the input region that one output value depends on; jump: distance in the
input between neighbouring outputs. A window k with stride s changes them to field + (k - 1) * jump and jump * s.
Padding counts, so a field can be larger than the input. Source: Araujo, Norris and Sim, "Computing
receptive fields of convolutional neural networks", Distill 2019.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from typing import Any

from cnnlab.arch.layers import Container, GlobalAvgPool, Layer, Linear, SqueezeExcite
from cnnlab.arch.layers.base import numbered
from cnnlab.arch.parameters import Parameter
from cnnlab.arch.shapes import Shape, show_shape
from cnnlab.arch.text import write_layer
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.tables import table_lines


@dataclass(frozen=True)
class Row:
    """One layer. The parts of a container have rows before its own row, which has no cost."""

    path: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape
    arrays: tuple[Parameter, ...]
    macs: int
    receptive_field: tuple[int, int]
    jump: tuple[int, int]

    @property
    def weights(self) -> int:
        """Number of weights of convolutions and linear layers, and of scales of normalisations."""
        return sum(each.size for each in self.arrays if each.role in ("weight", "scale"))

    @property
    def biases(self) -> int:
        """Number of biases, and of shifts of normalisations."""
        return sum(each.size for each in self.arrays if each.role in ("bias", "shift"))

    @property
    def parameters(self) -> int:
        """Number of trained values of this layer."""
        return self.weights + self.biases

    @property
    def label(self) -> str:
        """The layer in a table: its canonical text, for a container without its parts."""
        return self.layer.label if isinstance(self.layer, Container) else write_layer(self.layer)

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells of the printed table; a count of 0 is blank."""
        counts = (f"{count:,}" if count else "" for count in (self.weights, self.biases, self.macs))
        field = show_shape(self.receptive_field)
        return (self.path, self.label, show_shape(self.output_shape), *counts, field)


@dataclass(frozen=True)
class Trace:
    """All rows in the order of computation, for one image of `input_shape`."""

    input_shape: Shape
    rows: tuple[Row, ...]

    @property
    def output_shape(self) -> Shape:
        """Shape after the last layer: (classes,) for a classifier."""
        return self.rows[-1].output_shape

    @property
    def arrays(self) -> tuple[Parameter, ...]:
        """All arrays of the network, in the order of the layers."""
        return tuple(each for row in self.rows for each in row.arrays)

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions and linear layers for one image; one MAC is two FLOPs."""
        return sum(row.macs for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Everything in the table, as JSON types."""
        rows = [
            asdict(row) | {"layer": write_layer(row.layer), "weights": row.weights, "biases": row.biases}
            for row in self.rows
        ]
        return {
            "input_shape": self.input_shape,
            "output_shape": self.output_shape,
            "parameters": self.parameters,
            "macs": self.macs,
            "layers": rows,
        }

    def table(self) -> str:
        """Rows and totals as aligned text."""
        columns = ("", "layer", "output", "weights", "biases", "MACs", "receptive field")
        first = ("", "input", show_shape(self.input_shape), "", "", "", "")
        head, rule, *body = table_lines(columns, [first, *(row.cells for row in self.rows)], words=3)
        totals = f"{self.parameters:,} parameters, {self.macs:,} MACs for one image (1 MAC = 2 FLOPs)"
        return "\n".join([head, rule, *body, rule, totals])


def trace_layers(layers: Sequence[Layer], input_shape: Shape) -> Trace:
    """Trace `layers` for `input_shape`, (channels, height, width) or (features,).

    Raises ArchitectureError with the layer, its input shape and what does not fit.
    """
    if len(input_shape) not in (1, 3) or not all(isinstance(n, int) and n > 0 for n in input_shape):
        raise ArchitectureError(
            f"input: received {tuple(input_shape)!r}, expected (channels, height, width) or (features,), all at least 1"
        )
    shape = tuple(input_shape)
    rows, _ = _walk(numbered(tuple(layers)), shape, _View((1, 1), (1, 1), (1, 1)).on(shape), "")
    return Trace(shape, tuple(rows))


@dataclass(frozen=True)
class _View:
    """Receptive field and jump of one value, and the (height, width) of the map that it belongs to or came from."""

    field: tuple[int, int]
    jump: tuple[int, int]
    extent: tuple[int, int]

    def on(self, shape: Shape) -> "_View":
        """The view for a result of `shape`. Flattening keeps field and extent."""
        return replace(self, extent=(shape[1], shape[2])) if len(shape) == 3 else self

    def after(self, layer: Layer) -> "_View":
        """The view of an output of `layer`."""
        if isinstance(layer, GlobalAvgPool | Linear):
            return _View(self._widen(self.extent), self.jump, (1, 1))
        if isinstance(layer, SqueezeExcite):  # each channel's factor depends on the whole map
            return replace(self, field=self._widen(self.extent))
        if layer.window is None:
            return self
        jump = (self.jump[0] * layer.window.stride[0], self.jump[1] * layer.window.stride[1])
        return _View(self._widen(layer.window.kernel), jump, self.extent)

    def wider(self, other: "_View") -> "_View":
        """The view of a value that depends on both: the larger side of both fields."""
        field = (max(self.field[0], other.field[0]), max(self.field[1], other.field[1]))
        return replace(self, field=field)

    def _widen(self, kernel: tuple[int, int]) -> tuple[int, int]:
        height, width = (f + (k - 1) * j for f, k, j in zip(self.field, kernel, self.jump, strict=True))
        return height, width


def _walk(layers: Mapping[str, Layer], shape: Shape, view: _View, prefix: str) -> tuple[list[Row], _View]:
    """The rows of named layers in a row, and the view after the last."""
    rows: list[Row] = []
    for name, layer in layers.items():
        more, view = _rows_of(layer, shape, view, f"{prefix}{name}")
        rows += more
        shape = rows[-1].output_shape
    return rows, view


def _rows_of(layer: Layer, shape: Shape, view: _View, path: str) -> tuple[list[Row], _View]:
    """The rows of one layer (of a container: its parts, then itself), and the view after it."""
    parts: list[Row] = []
    after = view.after(layer)
    walks: list[tuple[list[Row], _View]] = []
    if isinstance(layer, Container):
        # Before the output shape is computed from them, so that an error names the innermost layer.
        walks = [_walk(numbered(part), shape, view, f"{path}.{name}.") for name, part in layer.written.items()]
    try:
        output_shape = layer.output_shape(shape)
        arrays = tuple(replace(each, name=f"{path}.{each.name}") for each in layer.arrays(shape))
    except ArchitectureError as error:
        place = f"layer {path} ({write_layer(layer)}) receives {show_shape(shape)}"
        raise ArchitectureError(*(f"{place}: {problem}" for problem in error.problems)) from None
    if isinstance(layer, Container):
        added = {name: part for name, part in layer.parts(shape).items() if name not in layer.written}
        walks += [_walk(part, shape, view, f"{path}.{name}.") for name, part in added.items()]
        parts = [row for rows, _ in walks for row in rows]
        after = reduce(_View.wider, [end for _, end in walks])
    row = Row(path, layer, shape, output_shape, arrays, layer.macs(shape), after.field, after.jump)
    return [*parts, row], after.on(output_shape)
