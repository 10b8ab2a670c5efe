"""The optimizers of the recipes over long vectors (see `parameters.py`), and their names in a checkpoint.

Each computes in place what torch's optimizer of the same name computes. NumPy goes through the vectors in blocks that
stay in the cache, because the many passes over a long vector would wait for memory; CuPy takes each vector at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.errors import WeightsError
from cnnlab.recipe import sections
from cnnlab.scratch.parameters import Array, Gradients, Parameters, on_host

BLOCK = 1 << 15
"""Numbers of a block. Five vectors of float32 then take 640 KiB, less than the second cache."""


class Optimizer:
    """Moves the vectors of `parameters`, and remembers for each what its update rule names.

    A subclass has the names of the vectors that it remembers and the update of one block.
    """

    counts_steps: ClassVar[bool] = True

    def __init__(self, parameters: Parameters, weight_decay: float, decay_norm_and_bias: bool) -> None:
        """`weight_decay` is that of the weights; the other arrays have it with `decay_norm_and_bias`."""
        self.xp, self.vectors = parameters.xp, parameters.vectors
        others = weight_decay if decay_norm_and_bias else 0.0
        decays = ((parameters.weights, weight_decay), (parameters.others, others))
        self.decays = [decay for vector, decay in decays if vector.size]
        self.steps = 0
        self.memory: list[dict[str, Array]] = []
        length = max((_block(vector, self.xp) for vector in self.vectors), default=0)
        self._spare = [self.xp.empty(length, dtype=parameters.dtype) for _ in range(2)]

    def names(self) -> tuple[str, ...]:
        """Names of the vectors that it remembers of each vector, as torch names them."""
        return ()

    def step(self, gradients: Gradients, lr: float) -> None:
        """Update the weights in place; the gradients stay as they are. NaN and infinity pass through silently."""
        if not self.memory:
            self.memory = [{name: self.xp.zeros_like(vector) for name in self.names()} for vector in self.vectors]
        self.steps += 1
        triples = zip(self.vectors, gradients.vectors, self.decays, self.memory, strict=True)
        with np.errstate(all="ignore"):
            for vector, gradient, decay, memory in triples:
                for part in _blocks(vector, self.xp):
                    first, second = (spare[: part.stop - part.start] for spare in self._spare)
                    remembered = {name: value[part] for name, value in memory.items()}
                    self._update(vector[part], gradient[part], float(lr), decay, remembered, first, second)

    def _update(
        self, w: Array, g: Array, lr: float, decay: float, memory: Mapping[str, Array], a: Array, b: Array
    ) -> None:
        """Update the block `w` by its gradient `g`, and `memory`; `a` and `b` are spare blocks of the same length."""
        raise NotImplementedError

    def _with_decay(self, w: Array, g: Array, decay: float, out: Array) -> Array:
        """The gradient plus that of the L2 penalty, in `out` where there is one."""
        if decay == 0:
            return g
        self.xp.multiply(w, decay, out=out)
        out += g
        return out

    def _mean_square(self, square: Array, g: Array, keep: float, spare: Array) -> None:
        """Keep the part `keep` of a running mean of g squared, and add the rest of the new one."""
        square *= keep
        self.xp.multiply(g, g, out=spare)
        spare *= 1 - keep
        square += spare

    def state(self) -> dict[str, NDArray[Any]]:
        """What it remembers, under the names of the torch engine's state; nothing before the first step."""
        found: dict[str, NDArray[Any]] = {}
        for index, memory in enumerate(self.memory):
            found |= {f"optim.{index}.{name}": on_host(value) for name, value in memory.items()}
            if self.counts_steps:
                found[f"optim.{index}.step"] = np.asarray(self.steps, np.float32)
        return found

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state`, whose other names are left alone. Raises WeightsError where it does not fit."""
        given = {name for name in state if name.startswith("optim.")}
        wanted = [f"optim.{index}.{name}" for index in range(len(self.vectors)) for name in self.names()]
        steps = [f"optim.{index}.step" for index in range(len(self.vectors))] if self.counts_steps else []
        if given and given != {*wanted, *steps}:
            listed = ", ".join(sorted(given)), ", ".join(sorted((*wanted, *steps))) or "none"
            raise WeightsError(f"state of the optimizer: received {listed[0]}; expected {listed[1]}")
        self.memory, self.steps = [], 0
        if not given:
            return
        for index, vector in enumerate(self.vectors):
            named = {name: f"optim.{index}.{name}" for name in self.names()}
            self.memory.append({name: saved(vector, state, key, self.xp) for name, key in named.items()})
        self.steps = int(state[steps[0]]) if steps else 1


class _Sgd(Optimizer):
    """Sutskever et al. 2013, equations 3 and 4, in torch's form: the rate multiplies the velocity."""

    counts_steps = False

    def __init__(self, parameters: Parameters, optim: sections.Sgd) -> None:
        super().__init__(parameters, optim.weight_decay, optim.decay_norm_and_bias)
        self.momentum, self.nesterov = optim.momentum, optim.nesterov

    def names(self) -> tuple[str, ...]:
        return ("momentum_buffer",) if self.momentum else ()

    def _update(
        self, w: Array, g: Array, lr: float, decay: float, memory: Mapping[str, Array], a: Array, b: Array
    ) -> None:
        move = self._with_decay(w, g, decay, a)
        if self.momentum:
            velocity = memory["momentum_buffer"]
            velocity *= self.momentum
            velocity += move
            if self.nesterov:
                self.xp.multiply(velocity, self.momentum, out=b)
                b += move
                move = b
            else:
                move = velocity
        self.xp.multiply(move, lr, out=a)
        w -= a


class _Adam(Optimizer):
    """Kingma and Ba 2015, algorithm 1; `decoupled` is Loshchilov and Hutter 2019, algorithm 2."""

    def __init__(self, parameters: Parameters, optim: sections.Adam | sections.AdamW) -> None:
        super().__init__(parameters, optim.weight_decay, optim.decay_norm_and_bias)
        self.betas, self.eps, self.decoupled = optim.betas, optim.eps, isinstance(optim, sections.AdamW)

    def names(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _update(
        self, w: Array, g: Array, lr: float, decay: float, memory: Mapping[str, Array], a: Array, b: Array
    ) -> None:
        beta1, beta2 = self.betas
        if self.decoupled:
            w *= 1 - lr * decay
        else:
            g = self._with_decay(w, g, decay, a)
        mean, square = memory["exp_avg"], memory["exp_avg_sq"]
        self._mean_square(square, g, beta2, b)
        self.xp.multiply(g, 1 - beta1, out=b)
        mean *= beta1
        mean += b
        self.xp.sqrt(square, out=a)
        a *= 1 / (1 - beta2**self.steps) ** 0.5
        a += self.eps
        self.xp.divide(mean, a, out=a)
        a *= lr / (1 - beta1**self.steps)
        w -= a


class _RmsProp(Optimizer):
    """Hinton 2012, lecture 6e; `centered` is Graves 2013, equation 40."""

    def __init__(self, parameters: Parameters, optim: sections.RmsProp) -> None:
        super().__init__(parameters, optim.weight_decay, optim.decay_norm_and_bias)
        self.optim = optim

    def names(self) -> tuple[str, ...]:
        further = (("momentum_buffer", self.optim.momentum > 0), ("grad_avg", self.optim.centered))
        return ("square_avg", *(name for name, is_used in further if is_used))

    def _update(
        self, w: Array, g: Array, lr: float, decay: float, memory: Mapping[str, Array], a: Array, b: Array
    ) -> None:
        xp, alpha = self.xp, self.optim.alpha
        g = self._with_decay(w, g, decay, a)
        square = memory["square_avg"]
        self._mean_square(square, g, alpha, b)
        if self.optim.centered:
            mean = memory["grad_avg"]
            xp.multiply(g, 1 - alpha, out=b)
            mean *= alpha
            mean += b
            xp.multiply(mean, mean, out=b)
            xp.subtract(square, b, out=b)
            xp.maximum(b, 0, out=b)  # a variance that rounding makes negative has no root
            xp.sqrt(b, out=b)
        else:
            xp.sqrt(square, out=b)
        b += self.optim.eps
        xp.divide(g, b, out=b)
        if self.optim.momentum:
            velocity = memory["momentum_buffer"]
            velocity *= self.optim.momentum
            velocity += b
            b[...] = velocity
        b *= lr
        w -= b


class _Adadelta(Optimizer):
    """Zeiler 2012, algorithm 1."""

    def __init__(self, parameters: Parameters, optim: sections.Adadelta) -> None:
        super().__init__(parameters, optim.weight_decay, optim.decay_norm_and_bias)
        self.rho, self.eps = optim.rho, optim.eps

    def names(self) -> tuple[str, ...]:
        return ("square_avg", "acc_delta")

    def _update(
        self, w: Array, g: Array, lr: float, decay: float, memory: Mapping[str, Array], a: Array, b: Array
    ) -> None:
        xp = self.xp
        g = self._with_decay(w, g, decay, a)
        square, moved = memory["square_avg"], memory["acc_delta"]
        self._mean_square(square, g, self.rho, b)
        xp.add(square, self.eps, out=b)
        xp.sqrt(b, out=b)
        xp.divide(g, b, out=a)
        xp.add(moved, self.eps, out=b)
        xp.sqrt(b, out=b)
        a *= b
        self._mean_square(moved, a, self.rho, b)
        a *= lr
        w -= a


def build_optimizer(optim: sections.Optimizer, parameters: Parameters) -> Optimizer:
    """The recipe's optimizer of these parameters; Lookahead, SAM and averages are built beside it."""
    match optim:
        case sections.Sgd():
            return _Sgd(parameters, optim)
        case sections.Adam() | sections.AdamW():
            return _Adam(parameters, optim)
        case sections.RmsProp():
            return _RmsProp(parameters, optim)
        case sections.Adadelta():
            return _Adadelta(parameters, optim)


class SlowWeights:
    """Lookahead: weights that follow the trained ones, which start again from them (Zhang et al. 2019)."""

    def __init__(self, settings: sections.Lookahead, parameters: Parameters) -> None:
        self.settings, self.xp, self.fast = settings, parameters.xp, parameters.vectors
        self.vectors = [vector.copy() for vector in self.fast]

    def after_step(self, updates: int) -> None:
        """`updates`: the steps done so far."""
        if updates % self.settings.steps == 0:
            for slow, fast in zip(self.vectors, self.fast, strict=True):
                lerp(slow, fast, self.settings.alpha, self.xp)
                fast[...] = slow

    def state(self) -> dict[str, NDArray[Any]]:
        """The slow weights, under the names of the torch engine's state."""
        return {f"lookahead.{index}": on_host(vector) for index, vector in enumerate(self.vectors)}

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from `state`. Raises WeightsError where it does not fit."""
        self.vectors = [saved(fast, state, f"lookahead.{index}", self.xp) for index, fast in enumerate(self.fast)]


class WorstPoint:
    """SAM: for a second gradient, weights that are moved along the first (Foret et al. 2021, equation 2)."""

    def __init__(self, settings: sections.Sam, parameters: Parameters) -> None:
        self.rho, self.xp, self.vectors = settings.rho, parameters.xp, parameters.vectors
        self._kept = [self.xp.empty_like(vector) for vector in self.vectors]

    @contextmanager
    def reached(self, gradients: Gradients) -> Iterator[None]:
        """Inside, the weights are moved by `rho` along `gradients`, which are cleared for others."""
        factor = self.rho / (total_norm(gradients.vectors, self.xp) + 1e-12)
        with np.errstate(all="ignore"):
            for vector, kept, gradient in zip(self.vectors, self._kept, gradients.vectors, strict=True):
                kept[...] = vector
                gradient *= factor.astype(vector.dtype)
                vector += gradient
        gradients.clear()
        try:
            yield
        finally:
            for vector, kept in zip(self.vectors, self._kept, strict=True):  # a copy: subtracting would round
                vector[...] = kept


def add_l1(gradients: Gradients, parameters: Parameters, factor: float) -> None:
    """Add the gradient of `factor` times the sum of absolute weights; biases and normalisation have no part in it."""
    xp, weights = parameters.xp, parameters.weights
    for part in _blocks(weights, xp):
        signs = xp.sign(weights[part])
        signs *= factor
        gradients.weights[part] += signs


def clip_norm(gradients: Gradients, limit: float) -> Array:
    """Scale all gradients down to the Euclidean norm `limit`, where they are longer; returns the norm before, float64.

    Pascanu et al. 2013, algorithm 1, with torch's 1e-6 against a division by 0.
    """
    xp = gradients.xp
    norm = total_norm(gradients.vectors, xp)
    with np.errstate(all="ignore"):
        factor = xp.minimum(limit / (norm + 1e-6), 1.0)
        for vector in gradients.vectors:
            vector *= factor.astype(vector.dtype)
    return norm


def total_norm(vectors: Sequence[Array], xp: Any) -> Array:
    """Euclidean norm of all vectors together, one float64 of `xp`; the sum over blocks is in float64."""
    total = xp.zeros((), np.float64)
    with np.errstate(all="ignore"):
        for vector in vectors:
            for part in _blocks(vector, xp):
                total = total + xp.dot(vector[part], vector[part])
        return xp.sqrt(total)


def lerp(start: Array, end: Array, share: float, xp: Any) -> None:
    """Move `start` the part `share` of the way to `end`, in place; with 1 it is `end` exactly, as in torch."""
    for part in _blocks(start, xp):
        way = end[part] - start[part]
        if share < 0.5:
            way *= share
            start[part] += way
        else:
            way *= 1 - share
            xp.subtract(end[part], way, out=start[part])


def saved(vector: Array, state: Mapping[str, NDArray[Any]], name: str, xp: Any) -> Array:
    """A copy of a saved vector for `vector`. Raises WeightsError for another shape."""
    received = np.shape(state[name]) if name in state else "nothing"
    if received != vector.shape:
        raise WeightsError(f"state of the training, {name}: received {received}, expected the shape {vector.shape}")
    return xp.array(state[name], dtype=vector.dtype)


def _block(vector: Array, xp: Any) -> int:
    size: int = vector.size
    return min(size, BLOCK) if xp is np else size


def _blocks(vector: Array, xp: Any) -> Iterator[slice]:
    """Consecutive pieces of a vector."""
    bounds = [*range(0, vector.size, max(1, _block(vector, xp))), vector.size]
    return (slice(start, stop) for start, stop in pairwise(bounds))
