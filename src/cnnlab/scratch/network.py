"""An architecture's network on a team of threads: forward, backward, and gradients added up.

Shapes: B images of a part of the batch, H x W pixels, C channels, K classes. Images come as H x W x B x C.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.layers.base import numbered
from cnnlab.arch.shapes import Shape
from cnnlab.scratch.layers.base import Shared, Weights
from cnnlab.scratch.layers.branches import Chain
from cnnlab.scratch.losses import Share
from cnnlab.scratch.parameters import Gradients, Parameters
from cnnlab.scratch.team import Team

Array = NDArray[Any]
Masks = Callable[[int, int, str, int, float], Array]
"""(start, stop, layer's path, units, p) -> the dropout mask of these images of the epoch."""

_SMALLEST_SHARE = 2
"""Images; a part of the batch with fewer per thread is computed by one thread."""


class Passed(NamedTuple):
    """Of one part of the batch: its share of the mean loss, and its correct answers."""

    loss: float
    hits: int


class Network:
    """Replicas of one network, one for each thread, that share its weights."""

    def __init__(self, architecture: Architecture, shape: Shape, parameters: Parameters, team: Team) -> None:
        """`shape`: C x H x W of an image."""
        self.parameters, self.team = parameters, team
        self.gradients = parameters.gradients()
        values = parameters.by_name | parameters.statistics | parameters.counts
        self._shared = [Shared(parameters.dtype) for _ in range(team.size)]
        self._parts: list[Gradients] = [parameters.gradients() for _ in range(team.size)]
        layers = numbered(architecture.layers)
        self._chains = [
            Chain(layers, shape, Weights(values, part.by_name), shared)
            for shared, part in zip(self._shared, self._parts, strict=True)
        ]
        for chain in self._chains:
            chain.layers[0].is_first = True

    def backward(
        self,
        images: Callable[[int, int], Array],
        bounds: tuple[int, int],
        criterion: Callable[[int, Array, Array, int, int], Share],
        masks: Masks,
    ) -> Passed:
        """One pass over the images of `bounds`; its gradient is added to `gradients`.

        `images(start, stop)` makes them; `criterion(rank, logits_BK, images, start, stop)` gives their share of the
        loss. Both are called for the images of each thread, by that thread.
        """

        def task(rank: int, start: int, stop: int) -> Share:
            shared, chain = self._shared[rank], self._chains[rank]
            shared.kept = lambda path, units, p: masks(start, stop, path, units, p)
            batch = images(start, stop)
            share = criterion(rank, chain.forward(batch, training=True), batch, start, stop)
            chain.backward(share.gradient_BK)
            return share

        shares = self._together(task, *bounds, training=True)
        for part in self._parts[: len(shares)]:
            self.gradients.add(part)
        return Passed(float(sum(share.loss for share in shares)), int(sum(share.hits for share in shares)))

    def logits(self, images: Callable[[int, int], Array], start: int, stop: int) -> Array:
        """Logits of the images start..stop in evaluation mode."""

        def task(rank: int, start: int, stop: int) -> Array:
            return np.array(self._chains[rank].forward(images(start, stop), training=False))

        return np.concatenate(self._together(task, start, stop, training=False))

    def _together(self, task: Callable[[int, int, int], Any], start: int, stop: int, training: bool) -> list[Any]:
        """The task on equal shares of start..stop, on all threads or, for very few images, on one."""
        size = self.team.size if stop - start >= _SMALLEST_SHARE * self.team.size else 1
        ends = [start + (stop - start) * index // size for index in range(size + 1)]
        spans = list(pairwise(ends))
        for rank, shared in enumerate(self._shared):
            # Running statistics belong to the network: one thread records them.
            shared.records = rank == 0 and shared.records_wanted
            shared.total = _summing(self.team, rank) if size > 1 else _alone
        if size == 1:
            return [task(0, *spans[0])]
        return self.team.run(lambda rank: task(rank, *spans[rank]))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, training passes use the statistics of their batch and do not record them."""
        for shared in self._shared:
            shared.records_wanted = False
        try:
            yield
        finally:
            for shared in self._shared:
                shared.records_wanted = True

    def measure(self, images: Callable[[int, int], Array], start: int, stop: int, batches: int) -> None:
        """Record the statistics of the images start..stop, the `batches`-th of batches with equal weights.

        Batch normalisations use the statistics of their batch, the other layers are in evaluation mode.
        """
        for shared in self._shared:
            shared.measured = batches

        def task(rank: int, start: int, stop: int) -> None:
            self._chains[rank].forward(images(start, stop), training=False)

        try:
            self._together(task, start, stop, training=False)
        finally:
            for shared in self._shared:
                shared.measured = 0

    def drop_gradients(self) -> None:
        """Free the gradients; no step is possible any more."""
        self._parts.clear()
        del self.gradients

    def bytes(self) -> int:
        """Bytes of the work memory of all threads."""
        return sum(shared.memory.bytes for shared in self._shared)


def _alone(array: Array) -> Array:
    return array


def _summing(team: Team, rank: int) -> Callable[[Array], Array]:
    return lambda array: team.total(rank, array)
