"""Averaged weights, which are scored in place of the trained ones: an exponential mean, or the mean of epochs (SWA)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.scratch.optimizers import lerp, saved
from cnnlab.scratch.parameters import Parameters, on_host


class Average:
    """A second set of values for the vectors of `parameters` and, last, for their running statistics."""

    def __init__(self, parameters: Parameters) -> None:
        self.xp, self.current = parameters.xp, parameters.averaged()
        self.vectors = [vector.copy() for vector in self.current]
        self.count = 0

    @property
    def is_kept(self) -> bool:
        """Whether there is an average yet."""
        return self.count > 0

    def follow(self, decay: float) -> None:
        """Exponential mean: keep the part `decay` of the average."""
        self.count += 1
        self._move(1 - decay)

    def include(self) -> None:
        """Arithmetic mean of all values included so far."""
        self.count += 1
        self._move(1 / self.count)

    def _move(self, share: float) -> None:
        with np.errstate(all="ignore"):
            for mean, current in zip(self.vectors, self.current, strict=True):
                lerp(mean, current, share, self.xp)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the network has the averaged values where there are any; afterwards its own again."""
        if not self.is_kept:
            yield
            return
        kept = [vector.copy() for vector in self.current]
        self._set(self.vectors)
        try:
            yield
        finally:
            self._set(kept)

    def _set(self, values: list[Any]) -> None:
        for current, value in zip(self.current, values, strict=True):
            current[...] = value

    def state(self) -> dict[str, NDArray[Any]]:
        """The averages and their count, under the names of the torch engine's state."""
        found = {f"average.{index}": on_host(vector) for index, vector in enumerate(self.vectors)}
        return found | ({"progress.averaged": np.asarray(self.count)} if self.is_kept else {})

    def load_state(self, state: Mapping[str, NDArray[Any]], without: int = 0) -> None:
        """Continue from `state`; `without`: the count where it stores none. Raises WeightsError if it does not fit."""
        self.vectors = [saved(one, state, f"average.{index}", self.xp) for index, one in enumerate(self.current)]
        self.count = int(state.get("progress.averaged", np.asarray(without)))
