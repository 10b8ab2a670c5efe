"""`shapes`: the embedded data set. Ten classes of drawn shapes, 32x32 colour, made from a seed in a second.

Position, size, rotation, colours, shading and noise vary, and there are small parts of other shapes, so a linear
model is not sufficient; with only 5,000 training images augmentation helps.

Shape letters: images N H W C; every mask function takes coordinates u, v (N H W), in which the shape fills
about -1..1, and returns a value that is positive inside and falls by about 1 per unit of length.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cnnlab.core.seeding import derive_generator
from cnnlab.data.dataset import Decoded, Split
from cnnlab.data.sources.found import Found

Plane = npt.NDArray[np.floating[Any]]

SIZE = 32
NUM_TRAIN = 5_000
NUM_TEST = 1_000
SEED = 0
VERSION = 2  # part of the digest: increase it if the drawing changes


def _polygon(u: Plane, v: Plane, num_sides: int) -> Plane:
    """A regular polygon with a corner at the top: distance to the nearest edge."""
    angles = [2 * np.pi * (side + 0.5) / num_sides - np.pi / 2 for side in range(num_sides)]
    apothem = np.cos(np.pi / num_sides)
    edges = [apothem - (u * np.cos(angle) + v * np.sin(angle)) for angle in angles]
    nearest: Plane = np.minimum.reduce(edges)
    return nearest


def _bar(along: Plane, across: Plane, length: float, width: float) -> Plane:
    bar: Plane = np.minimum(length - np.abs(along), width - np.abs(across))
    return bar


def _star(u: Plane, v: Plane) -> Plane:
    radius, angle = np.hypot(u, v), np.arctan2(u, -v)
    arms: Plane = 0.7 * (0.62 + 0.32 * np.cos(5 * angle) - radius)
    return arms


SHAPES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "disc": lambda u, v: 0.85 - np.hypot(u, v),
    "ring": lambda u, v: 0.22 - np.abs(np.hypot(u, v) - 0.68),
    "square": lambda u, v: 0.72 - np.maximum(np.abs(u), np.abs(v)),
    "frame": lambda u, v: 0.2 - np.abs(np.maximum(np.abs(u), np.abs(v)) - 0.6),
    "triangle": lambda u, v: _polygon(u, v, 3),
    "hexagon": lambda u, v: _polygon(u, v, 6) * np.float32(0.9),
    "cross": lambda u, v: np.maximum(_bar(v, u, 0.85, 0.26), _bar(u, v, 0.85, 0.26)),
    "star": _star,
    "crescent": lambda u, v: np.minimum(0.85 - np.hypot(u, v), np.hypot(u - 0.45, v) - 0.62),
    "tee": lambda u, v: np.maximum(_bar(v, u, 0.8, 0.24), _bar(u, v + 0.6, 0.8, 0.24)),
}
CLASSES = tuple(SHAPES)


def _column(generator: np.random.Generator, low: float, high: float, count: int) -> Plane:
    """One number per image, shaped to broadcast over N H W."""
    return generator.uniform(low, high, size=(count, 1, 1)).astype(np.float32)


def _masks(labels: npt.NDArray[np.int64], x: Plane, y: Plane, radius: Plane, angle: Plane) -> Plane:
    """Coverage 0..1 (N H W) of one shape per image, antialiased over one pixel."""
    axis = np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2
    dx, dy = axis[np.newaxis, np.newaxis, :] - x, axis[np.newaxis, :, np.newaxis] - y
    u = (dx * np.cos(angle) + dy * np.sin(angle)) / radius
    v = (dy * np.cos(angle) - dx * np.sin(angle)) / radius
    coverage = np.empty(u.shape, dtype=np.float32)
    for label, name in enumerate(CLASSES):
        members = labels == label
        coverage[members] = SHAPES[name](u[members], v[members])
    return np.clip(coverage * radius + 0.5, 0, 1)


def _colours(generator: np.random.Generator, count: int) -> tuple[Plane, Plane]:
    """Background and foreground, N 1 1 3 in 0..1; the foreground is brighter in 85% of the images."""
    background = generator.uniform(0.1, 0.6, size=(count, 1, 1, 3))
    contrast = generator.uniform(0.12, 0.4, size=(count, 1, 1, 1))
    sign = np.where(generator.random((count, 1, 1, 1)) < 0.85, 1, -1)
    tint = generator.uniform(-0.15, 0.15, size=(count, 1, 1, 3))
    return background.astype(np.float32), (background + sign * contrast + tint).astype(np.float32)


def _distractors(generator: np.random.Generator, count: int) -> Plane:
    """Coverage of two small shapes per image, at the border and partly outside."""
    scraps = np.zeros((count, SIZE, SIZE), dtype=np.float32)
    for _ in range(2):
        direction = _column(generator, 0, 2 * np.pi, count)
        distance = _column(generator, 11, 17, count)
        labels = generator.integers(0, len(CLASSES), size=count)
        x, y = np.cos(direction) * distance, np.sin(direction) * distance
        radius, angle = _column(generator, 3, 5, count), _column(generator, 0, 2 * np.pi, count)
        scraps = np.maximum(scraps, _masks(labels, x, y, radius, angle))
    return scraps


def draw_split(count: int, seed: int, split: str) -> Split:
    """`count` images uint8 N 32 32 3 and balanced labels in random order, from (seed, split)."""
    generator = derive_generator(seed, f"shapes/{split}")
    labels = generator.permutation(np.arange(count, dtype=np.int64) % len(CLASSES))
    x, y = _column(generator, -3.5, 3.5, count), _column(generator, -3.5, 3.5, count)
    radius, angle = _column(generator, 6.5, 11, count), _column(generator, -0.35, 0.35, count)
    shape = _masks(labels, x, y, radius, angle)[..., np.newaxis]
    background, foreground = _colours(generator, count)
    scraps = _distractors(generator, count)[..., np.newaxis] * (1 - shape)
    ramp = np.linspace(-1, 1, SIZE, dtype=np.float32)
    slope_x, slope_y = _column(generator, -0.12, 0.12, count), _column(generator, -0.12, 0.12, count)
    shading = slope_x * ramp[np.newaxis, np.newaxis, :] + slope_y * ramp[np.newaxis, :, np.newaxis]
    picture = background + (foreground - background) * (shape + 0.8 * scraps) + shading[..., np.newaxis]
    picture += generator.standard_normal(picture.shape, dtype=np.float32) * 0.14
    return Split((np.clip(picture, 0, 1) * 255).astype(np.uint8), labels)


def draw(num_train: int = NUM_TRAIN, num_test: int = NUM_TEST, seed: int = SEED) -> Decoded:
    """The whole data set. Equal arguments give equal bytes."""
    return Decoded(draw_split(num_train, seed, "train"), draw_split(num_test, seed, "test"), CLASSES)


def find_shapes() -> Found:
    """The embedded set as a source without files."""
    return Found("embedded", None, (), draw, f"shapes/v{VERSION}/seed={SEED}/{NUM_TRAIN}+{NUM_TEST}")
