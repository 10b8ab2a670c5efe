"""Layers that set random values to 0 in training; which ones, the engine decides."""

from typing import cast

from cnnlab.arch import layers as L
from cnnlab.scratch.layers.base import Array, Layer, channels_last


class _Dropping(Layer):
    def forward(self, x: Array, training: bool) -> Array:
        p = cast(L.Dropout | L.DropPath, self.kind).p
        self.factors: Array | None = None
        if not training or p == 0:
            return x
        assert self.shared.kept is not None, "a network with dropout is trained with masks"
        kept = self._laid_out(self.shared.kept(self.weights.path.removesuffix("."), self._units, p), x)
        # With p = 1 nothing is kept, and the factor does not matter.
        self.factors = kept.astype(x.dtype) * x.dtype.type(1 / (1 - p) if p < 1 else 0)
        return x * self.factors

    @property
    def _units(self) -> int:
        raise NotImplementedError

    def _laid_out(self, kept: Array, x: Array) -> Array:
        raise NotImplementedError

    def backward(self, gradient: Array) -> Array:
        return gradient if self.factors is None else gradient * self.factors


class Dropout(_Dropping):
    """Each value alone; those that stay are divided by 1 - p ("inverted dropout")."""

    @property
    def _units(self) -> int:
        units = 1
        for side in self.shape:
            units *= side
        return units

    def _laid_out(self, kept: Array, x: Array) -> Array:
        return channels_last(kept, self.shape)


class DropPath(_Dropping):
    """All values of an image together: stochastic depth."""

    @property
    def _units(self) -> int:
        return 1

    def _laid_out(self, kept: Array, x: Array) -> Array:
        return kept  # n x 1: fits n x F, and H x W x n x C
