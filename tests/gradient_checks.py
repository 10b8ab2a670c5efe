"""Gradients against finite differences in float64, and modules with a fault put into their text."""

import inspect
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np

STEP = 1e-6


def check_gradient(loss: Callable[[np.ndarray], float], x: np.ndarray, gradient: np.ndarray, tolerance=1e-6) -> None:
    """`gradient` is that of `loss` at `x`: each value of a small array, six random directions of a large one.

    (loss(x + h d) - loss(x - h d)) / 2 h is d * gradient up to h^2. The step is small enough that no value of the
    tests' seeds crosses a corner of ReLU or the border of another maximum.
    """
    assert gradient.shape == x.shape
    directions = np.eye(x.size) if x.size <= 30 else np.random.default_rng(0).normal(size=(6, x.size))
    for flat in directions:
        direction = flat.reshape(x.shape)
        numeric = (loss(x + STEP * direction) - loss(x - STEP * direction)) / (2 * STEP)
        exact = (direction * gradient).sum()
        scale = 1 + np.abs(direction * gradient).sum()
        assert abs(numeric - exact) <= tolerance * scale, f"numerically {numeric:.9g}, by the formula {exact:.9g}"


def with_fault(module: ModuleType, old: str, new: str) -> ModuleType:
    """A copy of `module` in which `old`, which stands in its text once, is `new`."""
    text = inspect.getsource(module)
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {module.__name__}, expected once"
    assert old != new
    faulty = ModuleType(f"{module.__name__}_with_fault")
    sys.modules[faulty.__name__] = faulty  # where classes of it look for their annotations
    try:
        exec(compile(text.replace(old, new), f"{module.__name__} with a fault", "exec"), faulty.__dict__)
    finally:
        del sys.modules[faulty.__name__]
    return faulty
