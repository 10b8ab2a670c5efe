"""The architecture: a value made of layers, equal for its text, list and Python form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.arch.expressions import Value, fill_parameters, has_parameters, parameters_of
from cnnlab.arch.layers import Layer, check_layers
from cnnlab.arch.listing import layers_of_list, list_layers
from cnnlab.arch.shapes import Shape
from cnnlab.arch.text import read_layers, write_layers
from cnnlab.arch.trace import Trace, trace_layers
from cnnlab.core.errors import ArchitectureError


@dataclass(frozen=True)
class Architecture:
    """Layers in order; the last one computes the logits. `str()` is the canonical text.

    >>> str(parse("conv 5x5 8|relu|pool 2x2|flatten|linear 10"))
    'conv 5x5 8 | relu | pool 2 | flatten | linear 10'
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", check_layers("architecture", self.layers))

    def __str__(self) -> str:
        return write_layers(self.layers)

    @classmethod
    def from_list(cls, entries: Sequence[Any]) -> "Architecture":
        """Read the list form of TOML files. Raises ArchitectureError with all problems."""
        return cls(layers_of_list(entries))

    def to_list(self) -> list[dict[str, dict[str, Any]]]:
        """The canonical list form, of numbers, strings, lists and dictionaries only."""
        return list_layers(self.layers)

    def trace(self, input_shape: Shape) -> Trace:
        """Shapes, parameters, MACs and receptive fields for one image, (channels, height, width).

        Raises ArchitectureError naming the first layer that does not fit, the shape it receives and why.
        """
        return trace_layers(self.layers, input_shape)


def parse(text: str, parameters: Mapping[str, Value] | None = None) -> Architecture:
    """Read the text form, see `arch/text.py`. Raises ArchitectureError with all problems and their positions.

    With `parameters`, the text contains each of them in braces: `conv 3x3 {2 * width}`.
    """
    if parameters is None and not has_parameters(text):
        return Architecture(read_layers(text))
    parameters = parameters or {}
    if unused := set(parameters) - parameters_of(text) - {"classes"}:
        names = ", ".join(sorted(unused))
        raise ArchitectureError(f"received a value for {names}, expected {{{sorted(unused)[0]}}} in the layers")
    return Architecture(read_layers(fill_parameters(text, parameters)))
