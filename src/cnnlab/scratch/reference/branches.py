"""Containers: the same input goes several ways. Backward each way returns a gradient for it, and these add up."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.arch.layers.base import numbered
from cnnlab.scratch.reference.activations import ACTIVATIONS
from cnnlab.scratch.reference.channels import Identity
from cnnlab.scratch.reference.layer import Array, Layer


def parts_of(kind: L.Container, arrays: Mapping[str, Array]) -> dict[str, dict[str, L.Layer]]:
    """Part -> name in it -> layer. Shortcut B is not written in the text: its channels are those of its weight."""
    parts = {name: numbered(layers) for name, layers in kind.written.items()}
    if isinstance(kind, L.Residual) and kind.shortcut == "B":
        channels = len(arrays["shortcut.conv.weight"])
        parts["shortcut"] = {"conv": L.Conv(1, channels, stride=kind.reduction, bias=False), "bn": L.BatchNorm()}
    return parts


class Residual(Layer[L.Residual]):
    """activation(body(x) + shortcut(x)).

    d (a + b) / d a = 1: body and shortcut both receive the gradient of their sum. Through an identity it passes
    unchanged, however small it becomes in the body; this is why residual networks can be deep.
    """

    def __init__(self, kind: L.Residual, weights: Mapping[str, Array], parts: Mapping[str, Layer[Any]]) -> None:
        super().__init__(kind, weights, parts)
        self.body = parts["body"]
        self.shortcut = parts.get("shortcut", ShortcutA(kind) if kind.shortcut == "A" else Identity(L.Identity()))
        after = kind.after
        self.activation = Identity(L.Identity()) if after is None else ACTIVATIONS[type(after)](after)

    def forward(self, x: Array, training: bool) -> Array:
        body = self.body.forward(x, training)
        if isinstance(self.shortcut, ShortcutA):
            self.shortcut.channels = body.shape[1]
        return self.activation.forward(body + self.shortcut.forward(x, training), training)

    def backward(self, gradient: Array) -> Array:
        gradient_sum = self.activation.backward(gradient)
        return self.body.backward(gradient_sum) + self.shortcut.backward(gradient_sum)


class ShortcutA(Layer[L.Residual]):
    """Every s-th row and column, and new channels of zeros, half of them before the old channels and half after."""

    channels: int
    """Of the output, as many as the body has."""

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        rows, columns = self.kind.reduction
        before = (self.channels - x_NCHW.shape[1]) // 2
        self.shape = x_NCHW.shape
        self.old = slice(before, before + x_NCHW.shape[1])
        taken_NCYX = x_NCHW[:, :, ::rows, ::columns]
        y_NCYX = np.zeros((len(x_NCHW), self.channels, *taken_NCYX.shape[2:]))
        y_NCYX[:, self.old] = taken_NCYX
        return y_NCYX

    def backward(self, gradient_NCYX: Array) -> Array:
        rows, columns = self.kind.reduction
        gradient_x = np.zeros(self.shape)
        gradient_x[:, :, ::rows, ::columns] = gradient_NCYX[:, self.old]
        return gradient_x


class Concat(Layer[L.Concat]):
    """The channels of all branches, one branch after the other. Backward each branch gets those that it made."""

    def forward(self, x: Array, training: bool) -> Array:
        outputs = [branch.forward(x, training) for branch in self.parts.values()]
        self.ends = np.cumsum([output.shape[1] for output in outputs])
        return np.concatenate(outputs, axis=1)

    def backward(self, gradient: Array) -> Array:
        gradients = np.split(gradient, self.ends[:-1], axis=1)
        return total([branch.backward(own) for branch, own in zip(self.parts.values(), gradients, strict=True)])


class Sum(Layer[L.Sum]):
    """The sum of all branches. Backward each branch gets the whole gradient."""

    def forward(self, x: Array, training: bool) -> Array:
        return total([branch.forward(x, training) for branch in self.parts.values()])

    def backward(self, gradient: Array) -> Array:
        return total([branch.backward(gradient) for branch in self.parts.values()])


def total(arrays: list[Array]) -> Array:
    """Their sum, as a new array."""
    summed: Array = np.sum(arrays, axis=0)
    return summed
