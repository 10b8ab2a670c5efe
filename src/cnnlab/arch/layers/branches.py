"""Containers: residuals, sums and concatenations of branches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from cnnlab.arch.kinds import OPTIONAL_SLOPE, Kind, choice
from cnnlab.arch.layers.activations import ACTIVATIONS, LeakyReLU
from cnnlab.arch.layers.base import Container, Layer, Layers, check_layers, numbered, shape_after
from cnnlab.arch.layers.normalisations import BatchNorm
from cnnlab.arch.layers.weighted import Conv
from cnnlab.arch.shapes import Shape, require_map, show_shape
from cnnlab.core.errors import ArchitectureError

_SHORTCUTS = ("identity", "A", "B")


def _shortcut(value: object) -> str | Layers:
    if isinstance(value, list | tuple):
        return check_layers("shortcut", value)
    if value not in _SHORTCUTS:
        raise ValueError
    return str(value)


SHORTCUT = Kind(f"one of {', '.join(_SHORTCUTS)}, or layers in parentheses", _shortcut, read=str)


@dataclass(frozen=True)
class Residual(Container):
    """activation(body(x) + shortcut(x)), He et al. 2016.

    Shortcuts: `identity`; `A` takes every s-th row and column and adds channels of zeros, half of them before
    the old channels, half after; `B` is a 1x1 convolution with stride s, without bias, and a batch
    normalisation; or any layers. s is the stride of the body. `slope` is that of a leaky-relu as `activation`.
    """

    name: ClassVar[str] = "residual"
    group_field: ClassVar[str] = "body"
    body: Layers
    shortcut: Annotated[str | Layers, SHORTCUT] = "identity"
    activation: Annotated[str, choice("none", *ACTIVATIONS)] = "relu"
    slope: Annotated[float | None, OPTIONAL_SLOPE] = None

    def _check(self) -> None:
        object.__setattr__(self, "body", check_layers("residual", self.body))
        super()._check()
        if self.slope is not None and self.activation != LeakyReLU.name:
            raise ArchitectureError(
                f"residual: received slope {self.slope:g} with activation {self.activation}, expected leaky-relu"
            )

    @property
    def own_shortcut(self) -> Layers:
        """The layers of the shortcut where it is given as layers."""
        return () if isinstance(self.shortcut, str) else self.shortcut

    @property
    def after(self) -> Layer | None:
        """The activation as a layer."""
        if self.activation == "none":
            return None
        return LeakyReLU(self.slope) if self.slope is not None else ACTIVATIONS[self.activation]()

    @property
    def label(self) -> str:
        shortcut = f"shortcut {self.shortcut}" if isinstance(self.shortcut, str) else "shortcut"
        return f"add {shortcut}" + (f", {self.activation}" if self.activation != "none" else "")

    @property
    def written(self) -> Mapping[str, Layers]:
        return {"body": self.body, **({"shortcut": self.own_shortcut} if self.own_shortcut else {})}

    def parts(self, shape: Shape) -> Mapping[str, Mapping[str, Layer]]:
        return {"body": numbered(self.body), "shortcut": self.projection(shape)}

    def projection(self, shape: Shape) -> Mapping[str, Layer]:
        """The shortcut's layers by name: `conv` and `bn` of option B, nothing for `identity` and `A`."""
        if self.shortcut != "B":
            return numbered(self.own_shortcut)
        channels = shape_after(self.body, shape)[0]
        return {"conv": Conv(1, channels, stride=self.reduction, bias=False), "bn": BatchNorm()}

    def output_shape(self, shape: Shape) -> Shape:
        body = shape_after(self.body, shape)
        shortcut = self._shortcut_shape(shape, body[0])
        if body != shortcut:
            which = self.shortcut if isinstance(self.shortcut, str) else "of its own layers"
            raise ArchitectureError(
                f"the body makes {show_shape(body)}, shortcut {which} makes {show_shape(shortcut)}, "
                "which cannot be added; change padding, channels or stride of the body, or the shortcut"
            )
        return body

    def _shortcut_shape(self, shape: Shape, body_channels: int) -> Shape:
        if self.shortcut == "identity":
            return shape
        if self.own_shortcut:
            return shape_after(self.own_shortcut, shape)
        channels, *sides = require_map(shape)
        height, width = (-(-side // step) for side, step in zip(sides, self.reduction, strict=True))
        if self.shortcut == "A" and body_channels < channels:
            raise ArchitectureError(
                f"shortcut A can only add channels, but the body goes from {channels} to {body_channels}; "
                "use shortcut B"
            )
        return body_channels, height, width


@dataclass(frozen=True)
class _Branches(Container):
    """Common part of both containers of equal branches."""

    group_field: ClassVar[str] = "branches"
    many: ClassVar[bool] = True
    branches: tuple[Layers, ...]

    def _check(self) -> None:
        if not isinstance(self.branches, list | tuple) or len(self.branches) < 2:
            raise ArchitectureError(
                f"{self.name}: received {self.branches!r}, expected at least two branches: {self.name}(a; b)"
            )
        checked = tuple(check_layers(f"{self.name}, a branch", branch) for branch in self.branches)
        object.__setattr__(self, "branches", checked)
        super()._check()

    @property
    def label(self) -> str:
        return f"{self.name} of {len(self.branches)} branches"

    def _shapes(self, shape: Shape) -> list[Shape]:
        return [shape_after(branch, shape) for branch in self.branches]

    def _misfit(self, shapes: list[Shape], expected: str) -> ArchitectureError:
        made = ", ".join(map(show_shape, shapes))
        return ArchitectureError(f"its branches make {made}, expected {expected}")


@dataclass(frozen=True)
class Concat(_Branches):
    """The channels of all branches, one branch after the other."""

    name: ClassVar[str] = "concat"

    def output_shape(self, shape: Shape) -> Shape:
        shapes = self._shapes(shape)
        if len({each[1:] for each in shapes}) > 1:
            raise self._misfit(shapes, "maps of one height and width")
        return (sum(each[0] for each in shapes), *shapes[0][1:])


@dataclass(frozen=True)
class Sum(_Branches):
    """The sum of all branches."""

    name: ClassVar[str] = "sum"

    def output_shape(self, shape: Shape) -> Shape:
        shapes = self._shapes(shape)
        if len(set(shapes)) > 1:
            raise self._misfit(shapes, "equal shapes")
        return shapes[0]
