"""Chains of operations: which operation each image gets in each slot, and with which number.

Shape legend: N images, K slots.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.operations import Operation
from cnnlab.recipe.augmentation import Augment, Jitter


class Slots(NamedTuple):
    """`codes_NK`: an `Operation` each. `values_NK`: its number."""

    codes_NK: NDArray[np.int8]
    values_NK: NDArray[np.float32]


def joined(slots: Sequence[Slots]) -> Slots:
    """One chain after the other."""
    codes, values = zip(*slots, strict=True)
    return Slots(np.concatenate(codes, axis=1), np.concatenate(values, axis=1))


def jitter_slots(generator: np.random.Generator, jitter: Jitter, num_images: int) -> Slots:
    """Brightness, contrast, saturation and hue in random order, uniform, as torchvision's ColorJitter.

    Changes of strength 0 are left out.
    """
    strengths = (
        (Operation.BRIGHTNESS, jitter.brightness),
        (Operation.CONTRAST, jitter.contrast),
        (Operation.SATURATION, jitter.saturation),
        (Operation.HUE, jitter.hue),
    )
    present = [(code, strength) for code, strength in strengths if strength]
    values_NK = np.empty((num_images, len(present)))
    for column, (code, strength) in enumerate(present):
        low, high = (-strength, strength) if code is Operation.HUE else (max(0.0, 1 - strength), 1 + strength)
        values_NK[:, column] = generator.uniform(low, high, num_images)
    codes_NK = np.broadcast_to(np.array([code for code, _ in present], np.int8), values_NK.shape)
    order_NK = generator.random(values_NK.shape).argsort(axis=1)
    ordered_NK = np.take_along_axis(values_NK, order_NK, axis=1).astype(np.float32)
    return Slots(np.take_along_axis(codes_NK, order_NK, axis=1), ordered_NK)


class Single(NamedTuple):
    """An operation that happens with probability `p`, with a number uniform on `low` .. `high`."""

    name: str
    operation: Operation
    p: float
    low: float = 0.0
    high: float = 0.0


def chance_slot(generator: np.random.Generator, single: Single, num_images: int) -> Slots:
    """One operation for some of the images."""
    chosen_N1 = generator.random((num_images, 1)) < single.p
    values_N1 = generator.uniform(single.low, single.high, (num_images, 1))
    codes_N1 = np.where(chosen_N1, single.operation, Operation.NONE)
    return Slots(codes_N1.astype(np.int8), values_N1.astype(np.float32))


def single_operations(augment: Augment) -> list[Single]:
    """Those that a recipe asks for, in order."""
    single = []
    if grayscale := augment.grayscale:
        single.append(Single("grayscale", Operation.GRAYSCALE, grayscale.p))
    if equalize := augment.equalize:
        single.append(Single("equalize", Operation.EQUALIZE, equalize.p))
    if posterize := augment.posterize:
        single.append(Single("posterize", Operation.POSTERIZE, posterize.p, posterize.bits, posterize.bits))
    if solarize := augment.solarize:
        single.append(Single("solarize", Operation.SOLARIZE, solarize.p, solarize.threshold, solarize.threshold))
    if blur := augment.blur:
        single.append(Single("blur", Operation.BLUR, blur.p, *blur.sigma))
    if noise := augment.noise:
        single.append(Single("noise", Operation.NOISE, noise.p, 255 * noise.std, 255 * noise.std))
    return single
