"""Pooling: windows or whole maps become one value."""

import numpy as np

from cnnlab.arch import layers as L
from cnnlab.scratch.reference.layer import Array, Layer
from cnnlab.scratch.reference.windows import fold, unfold


class MaxPool(Layer[L.MaxPool]):
    """The largest value of each window. It alone gets the gradient: a small change of another value changes nothing.

    Of equal values the first, row by row, counts as the largest, as in torch. The gradient may go to any of them, but
    not to all: it would be multiplied.
    """

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        self.shape = x_NCHW.shape[1:]
        windows = unfold(x_NCHW, self.kind.window, padding=-np.inf, beyond=-np.inf)
        flat = windows.reshape(*windows.shape[:4], -1)
        first = flat.argmax(axis=4)
        self.is_chosen = (np.arange(flat.shape[4]) == first[..., None]).reshape(windows.shape)
        largest: Array = flat.max(axis=4)
        return largest

    def backward(self, gradient_NCYX: Array) -> Array:
        return fold(self.is_chosen * gradient_NCYX[..., None, None], self.kind.window, self.shape)


class AvgPool(Layer[L.AvgPool]):
    """The mean of each window: every value gets the same share, 1 / count, of the gradient.

    The count includes the zeros of the padding, but not what a window with `ceil` has beyond them, as in torch.
    """

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        self.shape = x_NCHW.shape[1:]
        ones = np.ones((1, 1, *x_NCHW.shape[2:]))
        self.counts_YX: Array = unfold(ones, self.kind.window, padding=1, beyond=0).sum(axis=(4, 5))[0, 0]
        sums_NCYX: Array = unfold(x_NCHW, self.kind.window, padding=0).sum(axis=(4, 5))
        means_NCYX: Array = sums_NCYX / self.counts_YX
        return means_NCYX

    def backward(self, gradient_NCYX: Array) -> Array:
        shares_NCYX = gradient_NCYX / self.counts_YX
        every = np.broadcast_to(shares_NCYX[..., None, None], (*shares_NCYX.shape, *self.kind.window.kernel))
        return fold(every, self.kind.window, self.shape)


class GlobalAvgPool(Layer[L.GlobalAvgPool]):
    """The mean of each channel over the whole map: every position gets 1 / (H * W) of the gradient."""

    def forward(self, x_NCHW: Array, training: bool) -> Array:
        self.shape = x_NCHW.shape
        return np.asarray(x_NCHW.mean(axis=(2, 3)))

    def backward(self, gradient_NC: Array) -> Array:
        _, _, height, width = self.shape
        return np.broadcast_to(gradient_NC[:, :, None, None] / (height * width), self.shape)
