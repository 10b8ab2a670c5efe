"""Published lists of random operations, with the numbers of torchvision's classes of the same names.

RandAugment: Cubuk, Zoph, Shlens and Le 2020. AutoAugment: Cubuk et al. 2019, the policy for CIFAR-10. TrivialAugment:
Müller and Hutter 2021, the wide space. A magnitude is one of 10 or 31 steps from the weakest to the strongest;
operations with a sign take it at random. Shifts are whole pixels (cut off).

Shape legend: N images, K operations per image.
"""

import numpy as np
from numpy.typing import NDArray

from cnnlab.augment.operations import Operation as Op
from cnnlab.augment.slots import Slots
from cnnlab.recipe.augmentation import RandAugment

_FOURTEEN = (
    *(Op.NONE, Op.SHEAR_X, Op.SHEAR_Y, Op.TRANSLATE_X, Op.TRANSLATE_Y, Op.ROTATE, Op.BRIGHTNESS, Op.SATURATION),
    *(Op.CONTRAST, Op.SHARPNESS, Op.POSTERIZE, Op.SOLARIZE, Op.AUTOCONTRAST, Op.EQUALIZE),
)
"""The operations of RandAugment and TrivialAugment."""

_FACTORS = (Op.BRIGHTNESS, Op.SATURATION, Op.CONTRAST, Op.SHARPNESS)
_SIGNED = (Op.SHEAR_X, Op.SHEAR_Y, Op.TRANSLATE_X, Op.TRANSLATE_Y, Op.ROTATE, *_FACTORS)
_NUM_CODES = max(Op) + 1

AUTOAUGMENT_BINS = 10
AUTOAUGMENT_CIFAR10: tuple[tuple[tuple[Op, float, int], tuple[Op, float, int]], ...] = (
    ((Op.INVERT, 0.1, 0), (Op.CONTRAST, 0.2, 6)),
    ((Op.ROTATE, 0.7, 2), (Op.TRANSLATE_X, 0.3, 9)),
    ((Op.SHARPNESS, 0.8, 1), (Op.SHARPNESS, 0.9, 3)),
    ((Op.SHEAR_Y, 0.5, 8), (Op.TRANSLATE_Y, 0.7, 9)),
    ((Op.AUTOCONTRAST, 0.5, 0), (Op.EQUALIZE, 0.9, 0)),
    ((Op.SHEAR_Y, 0.2, 7), (Op.POSTERIZE, 0.3, 7)),
    ((Op.SATURATION, 0.4, 3), (Op.BRIGHTNESS, 0.6, 7)),
    ((Op.SHARPNESS, 0.3, 9), (Op.BRIGHTNESS, 0.7, 9)),
    ((Op.EQUALIZE, 0.6, 0), (Op.EQUALIZE, 0.5, 0)),
    ((Op.CONTRAST, 0.6, 7), (Op.SHARPNESS, 0.6, 5)),
    ((Op.SATURATION, 0.7, 7), (Op.TRANSLATE_X, 0.5, 8)),
    ((Op.EQUALIZE, 0.3, 0), (Op.AUTOCONTRAST, 0.4, 0)),
    ((Op.TRANSLATE_Y, 0.4, 3), (Op.SHARPNESS, 0.2, 6)),
    ((Op.BRIGHTNESS, 0.9, 6), (Op.SATURATION, 0.2, 8)),
    ((Op.SOLARIZE, 0.5, 2), (Op.INVERT, 0.0, 0)),
    ((Op.EQUALIZE, 0.2, 0), (Op.AUTOCONTRAST, 0.6, 0)),
    ((Op.EQUALIZE, 0.2, 0), (Op.EQUALIZE, 0.6, 0)),
    ((Op.SATURATION, 0.9, 9), (Op.EQUALIZE, 0.6, 0)),
    ((Op.AUTOCONTRAST, 0.8, 0), (Op.SOLARIZE, 0.2, 8)),
    ((Op.BRIGHTNESS, 0.1, 3), (Op.SATURATION, 0.7, 0)),
    ((Op.SOLARIZE, 0.4, 5), (Op.AUTOCONTRAST, 0.9, 0)),
    ((Op.TRANSLATE_Y, 0.9, 9), (Op.TRANSLATE_Y, 0.7, 9)),
    ((Op.AUTOCONTRAST, 0.9, 0), (Op.SOLARIZE, 0.8, 3)),
    ((Op.EQUALIZE, 0.8, 0), (Op.INVERT, 0.1, 0)),
    ((Op.TRANSLATE_Y, 0.7, 9), (Op.AUTOCONTRAST, 0.9, 0)),
)
"""25 pairs of (operation, probability, magnitude), of which each image takes one."""


def randaugment_slots(
    generator: np.random.Generator, randaugment: RandAugment, num_images: int, height: int, width: int
) -> Slots:
    """`num_ops` operations of fourteen, each drawn anew, all with one magnitude."""
    shape = (num_images, randaugment.num_ops)
    table = _strengths(
        31, height, width, shear=0.3, shift=(150 / 331 * height, 150 / 331 * width), angle=30, factor=0.9
    )
    codes_NK = np.array(_FOURTEEN, np.int8)[generator.integers(len(_FOURTEEN), size=shape)]
    return Slots(codes_NK, _signed(generator, codes_NK, table[codes_NK, randaugment.magnitude]))


def trivialaugment_slots(generator: np.random.Generator, num_images: int, height: int, width: int) -> Slots:
    """One operation of fourteen with a random magnitude, up to the widest range."""
    table = _strengths(31, height, width, shear=0.99, shift=(32, 32), angle=135, factor=0.99, fewest_bits=2)
    codes_N1 = np.array(_FOURTEEN, np.int8)[generator.integers(len(_FOURTEEN), size=(num_images, 1))]
    return Slots(codes_N1, _signed(generator, codes_N1, table[codes_N1, generator.integers(31, size=(num_images, 1))]))


def autoaugment_slots(generator: np.random.Generator, num_images: int, height: int, width: int) -> Slots:
    """Two operations of one of the 25 pairs, each with its own probability."""
    bins = AUTOAUGMENT_BINS
    shift = (150 / 331 * height, 150 / 331 * width)
    table = _strengths(bins, height, width, shear=0.3, shift=shift, angle=30, factor=0.9)
    pairs = np.array(AUTOAUGMENT_CIFAR10)[generator.integers(len(AUTOAUGMENT_CIFAR10), size=num_images)]
    codes_NK = pairs[..., 0].astype(np.int8)
    values_NK = _signed(generator, codes_NK, table[codes_NK, pairs[..., 2].astype(np.int64)])
    happens_NK = generator.random(codes_NK.shape) < pairs[..., 1]
    return Slots(np.where(happens_NK, codes_NK, Op.NONE).astype(np.int8), values_NK)


def _strengths(
    bins: int,
    height: int,
    width: int,
    *,
    shear: float,
    shift: tuple[float, float],
    angle: float,
    factor: float,
    fewest_bits: int = 4,
) -> NDArray[np.float64]:
    """The number of each operation at each magnitude, codes x bins; of a factor, its distance from 1."""
    table = np.zeros((_NUM_CODES, bins))
    table[[Op.SHEAR_X, Op.SHEAR_Y]] = np.linspace(0, shear, bins)
    table[Op.TRANSLATE_Y], table[Op.TRANSLATE_X] = (np.linspace(0, most, bins) for most in shift)
    table[Op.ROTATE] = np.linspace(0, angle, bins)
    table[list(_FACTORS)] = np.linspace(0, factor, bins)
    table[Op.POSTERIZE] = 8 - np.round(np.arange(bins) / ((bins - 1) / (8 - fewest_bits)))
    table[Op.SOLARIZE] = np.linspace(255, 0, bins)
    return table


def _signed(
    generator: np.random.Generator, codes_NK: NDArray[np.int8], strengths_NK: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The numbers of the operations, with a random sign where they have one."""
    negative_NK = generator.random(codes_NK.shape) < 0.5
    values_NK = np.where(np.isin(codes_NK, _SIGNED) & negative_NK, -strengths_NK, strengths_NK)
    values_NK = np.where(np.isin(codes_NK, _FACTORS), 1 + values_NK, values_NK)
    shifts = np.isin(codes_NK, (Op.TRANSLATE_X, Op.TRANSLATE_Y))
    return np.where(shifts, np.trunc(values_NK), values_NK).astype(np.float32)
