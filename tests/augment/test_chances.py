"""Random numbers of the methods against their stated distributions."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from cnnlab.augment import draw_epoch
from cnnlab.augment.erase import erased_boxes
from cnnlab.augment.mix import mixing
from cnnlab.augment.operations import Operation as Op
from cnnlab.augment.policies import AUTOAUGMENT_CIFAR10, autoaugment_slots, randaugment_slots, trivialaugment_slots
from cnnlab.augment.slots import jitter_slots
from cnnlab.core.seeding import derive_generator
from cnnlab.recipe.augmentation import (
    Affine,
    Augment,
    Blur,
    CutMix,
    Equalize,
    Erase,
    Grayscale,
    Jitter,
    Mixup,
    Noise,
    Posterize,
    RandAugment,
    Rotate,
    Solarize,
)

MANY = 40_000
LUCK = 1e-4


def generator():
    return derive_generator(1, "test", 0)


def uniform(values, low, high):
    return stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > LUCK


def test_jitter_is_uniform_and_in_random_order() -> None:
    codes, values = jitter_slots(generator(), Jitter(brightness=0.2, contrast=1.5, saturation=0.3, hue=0.1), MANY)
    ranges = {Op.BRIGHTNESS: (0.8, 1.2), Op.CONTRAST: (0, 2.5), Op.SATURATION: (0.7, 1.3), Op.HUE: (-0.1, 0.1)}
    assert (np.sort(codes, axis=1) == sorted(ranges)).all(), "each once"
    for code, (low, high) in ranges.items():
        assert uniform(values[codes == code], low, high)
    _, counts = np.unique(codes, axis=0, return_counts=True)
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > LUCK
    assert jitter_slots(generator(), Jitter(hue=0.1), 5).codes_NK.tolist() == [[Op.HUE]] * 5


def test_affine_shears_along_the_rows() -> None:
    matrices = draw_epoch(Augment(affine=Affine(shear=30)), 1, 0, MANY, 20, 30, 3).matrices_NG23[:, 0]
    assert (matrices[:, 1] == [0, 1, 0]).all(), "rows stay where they are"
    assert uniform(np.degrees(np.arctan(matrices[:, 0, 1])), -30, 30)


def test_bilinear_in_one_of_two_steps_makes_one_interpolation_of_both() -> None:
    augment = Augment(rotate=Rotate(), affine=Affine(degrees=9, interpolation="bilinear"))
    draws = draw_epoch(augment, 1, 0, 5, 20, 30, 3)
    assert draws.bilinear
    assert draws.matrices_NG23.shape == (5, 1, 2, 3)
    nearest = draw_epoch(Augment(rotate=Rotate(), affine=Affine(degrees=9)), 1, 0, 5, 20, 30, 3)
    assert not nearest.bilinear
    assert nearest.matrices_NG23.shape == (5, 2, 2, 3)


def test_affine_draws_are_uniform_and_shifts_whole_pixels() -> None:
    affine = Affine(degrees=30, translate=(0.1, 0.2), scale=(0.5, 1.5))
    matrices = draw_epoch(Augment(affine=affine), 1, 0, MANY, 20, 30, 3).matrices_NG23[:, 0]
    scale = 1 / np.sqrt(matrices[:, 0, 0] ** 2 + matrices[:, 1, 0] ** 2)
    assert uniform(scale, 0.5, 1.5)
    assert uniform(np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0])), -30, 30)
    forward = np.linalg.inv(matrices[:, :, :2])
    centre = np.array([15.0, 10.0])
    shift = -np.einsum("nij,nj->ni", forward, matrices[:, :, 2] + matrices[:, :, :2] @ centre - centre)
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)
    assert set(np.rint(shift[:, 0])) == set(range(-3, 4))
    assert set(np.rint(shift[:, 1])) == set(range(-4, 5))


@pytest.mark.parametrize("ratio", [(0.3, 3.3), (1.0, 1.0), (2.0, 4.0)])
def test_erasing_has_the_stated_area_ratio_and_places(ratio) -> None:
    boxes = erased_boxes(generator(), Erase(p=0.5, scale=(0.1, 0.2), ratio=ratio), MANY, 200, 200)
    top, left, bottom, right = boxes.T
    erased = bottom > top
    assert abs(erased.mean() - 0.5) < 0.015
    height, width = (bottom - top)[erased], (right - left)[erased]
    # Sides are whole pixels, of 100 or so: within a few percent.
    assert stats.kstest(height * width / 40_000, stats.uniform(0.1, 0.1).cdf).statistic < 0.04
    if ratio[0] < ratio[1]:
        spread = math.log(ratio[1] / ratio[0])
        logs = np.log(height / width)
        assert stats.kstest(logs, stats.uniform(math.log(ratio[0]), spread).cdf).statistic < 0.02
    assert (top[erased] >= 0).all() & (bottom[erased] <= 200).all() & (right[erased] <= 200).all()
    assert uniform((top[erased] + generator().random(erased.sum())) / (201 - height), 0, 1)


def test_erasing_that_never_fits_erases_nothing() -> None:
    assert not erased_boxes(generator(), Erase(p=1, scale=(1, 1), ratio=(1, 1)), 100, 8, 8).any()


def test_mixup_and_cutmix_weights() -> None:
    partners, weights, swaps = mixing(generator(), Mixup(alpha=0.5), None, MANY, 32, 32)
    assert not swaps.any()
    assert stats.kstest(weights, stats.beta(0.5, 0.5).cdf).pvalue > LUCK
    assert stats.chisquare(np.bincount(partners // 400, minlength=100)).pvalue > LUCK
    _, weights, swaps = mixing(generator(), None, CutMix(p=0.75), MANY, 100, 200)
    top, left, bottom, right = swaps.T
    pasted = bottom > top
    assert abs(pasted.mean() - 0.75) < 0.02
    assert (weights[~pasted] == 1).all()
    np.testing.assert_allclose(weights, 1 - (bottom - top) * (right - left) / 20_000, atol=1e-6)
    whole = pasted & (top > 0) & (left > 0) & (bottom < 100) & (right < 200)
    ratios = (right - left)[whole] / (bottom - top)[whole]
    assert np.median(np.abs(ratios - 2)) < 0.1, "the image's ratio of sides"
    # Boxes that are not cut at a border have the drawn area: compare with the same selection of Beta numbers.
    _, _, small = mixing(generator(), None, CutMix(alpha=4), MANY, 1000, 1000)
    sides = np.sqrt(1 - np.random.default_rng(0).beta(4, 4, MANY))
    centres = np.random.default_rng(1).random((MANY, 2))
    inner = (np.abs(centres - 0.5) < (1 - sides[:, None]) / 2).all(axis=1)
    top, left, bottom, right = small.T
    uncut = (top > 0) & (left > 0) & (bottom < 1000) & (right < 1000)
    assert stats.ks_2samp((bottom - top)[uncut] / 1000, sides[inner]).pvalue > LUCK
    _, weights, _ = mixing(generator(), Mixup(alpha=1.0, p=0.3), None, MANY, 8, 8)
    assert abs((weights < 1).mean() - 0.3) < 0.015
    _, _, swaps = mixing(generator(), Mixup(), CutMix(), MANY, 32, 32)
    assert abs((swaps[:, 2] > swaps[:, 0]).mean() - 0.5) < 0.05


def test_randaugment_has_fourteen_operations_at_one_magnitude() -> None:
    codes, values = randaugment_slots(generator(), RandAugment(num_ops=2, magnitude=9), MANY, 32, 32)
    kinds, counts = np.unique(codes, return_counts=True)
    assert len(kinds) == 14
    assert stats.chisquare(counts).pvalue > LUCK
    expected = {
        Op.SHEAR_X: {-0.09, 0.09},
        Op.TRANSLATE_Y: {-4.0, 4.0},  # 150 / 331 of 32 pixels at 9 of 30: 4.35, cut off
        Op.ROTATE: {-9.0, 9.0},
        Op.BRIGHTNESS: {0.73, 1.27},
        Op.SHARPNESS: {0.73, 1.27},
        Op.POSTERIZE: {7.0},  # 8 - round(9 / 7.5)
        Op.SOLARIZE: {178.5},
    }
    for code, numbers in expected.items():
        assert {round(float(value), 5) for value in values[codes == code]} == numbers
    assert abs((values[codes == Op.ROTATE] > 0).mean() - 0.5) < 0.05


def test_the_strongest_of_each_operation_is_the_published_one() -> None:
    """On 20 x 40 pixels, so that height and width cannot be exchanged; magnitude 30 of RandAugment."""
    codes, values = randaugment_slots(generator(), RandAugment(num_ops=2, magnitude=30), MANY, 20, 40)
    wide_codes, wide_values = trivialaugment_slots(generator(), MANY, 20, 40)
    usual = {Op.SHEAR_X: 0.3, Op.SHEAR_Y: 0.3, Op.TRANSLATE_X: 18, Op.TRANSLATE_Y: 9, Op.ROTATE: 30}
    wide = {Op.SHEAR_X: 0.99, Op.SHEAR_Y: 0.99, Op.TRANSLATE_X: 32, Op.TRANSLATE_Y: 32, Op.ROTATE: 135}
    factors = (Op.BRIGHTNESS, Op.SATURATION, Op.CONTRAST, Op.SHARPNESS)
    for strongest, factor, bits, taken, numbers in (
        (usual, 1.9, 4, codes, values),
        (wide, 1.99, 2, wide_codes, wide_values),
    ):
        for code, most in (strongest | dict.fromkeys(factors, factor)).items():
            assert np.isclose(numbers[taken == code].max(), most), code
        for code in strongest:
            assert np.isclose(numbers[taken == code].min(), -strongest[code]), code
        for code in factors:
            assert np.isclose(numbers[taken == code].min(), 2 - factor), code
        assert numbers[taken == Op.POSTERIZE].min() == bits
        assert numbers[taken == Op.SOLARIZE].min() == 0
    # Shifts are cut off, not rounded: 4 of 30 of 18.13 pixels are 2.4, 9 of 30 are 5.4; 11 of 30 are 6.6.
    codes, values = randaugment_slots(generator(), RandAugment(magnitude=11), 2000, 20, 40)
    assert set(np.abs(values[codes == Op.TRANSLATE_X])) == {6}


def test_trivialaugment_has_one_operation_at_any_magnitude() -> None:
    codes, values = trivialaugment_slots(generator(), MANY, 32, 32)
    assert codes.shape == (MANY, 1)
    assert np.unique(codes).size == 14
    rotations = values[codes == Op.ROTATE]
    assert np.unique(np.abs(rotations)).size == 31
    assert np.abs(rotations).max() == 135
    assert set(values[codes == Op.POSTERIZE]) == set(range(2, 9))
    assert np.abs(values[codes == Op.TRANSLATE_X]).max() == 32
    assert np.isclose(values[codes == Op.BRIGHTNESS].max(), 1.99)


PUBLISHED_CIFAR10 = """
Invert .1 -, Contrast .2 6 | Rotate .7 2, TranslateX .3 9 | Sharpness .8 1, Sharpness .9 3
ShearY .5 8, TranslateY .7 9
AutoContrast .5 -, Equalize .9 - | ShearY .2 7, Posterize .3 7 | Color .4 3, Brightness .6 7
Sharpness .3 9, Brightness .7 9 | Equalize .6 -, Equalize .5 - | Contrast .6 7, Sharpness .6 5
Color .7 7, TranslateX .5 8 | Equalize .3 -, AutoContrast .4 - | TranslateY .4 3, Sharpness .2 6
Brightness .9 6, Color .2 8 | Solarize .5 2, Invert .0 - | Equalize .2 -, AutoContrast .6 -
Equalize .2 -, Equalize .6 - | Color .9 9, Equalize .6 - | AutoContrast .8 -, Solarize .2 8
Brightness .1 3, Color .7 0 | Solarize .4 5, AutoContrast .9 - | TranslateY .9 9, TranslateY .7 9
AutoContrast .9 -, Solarize .8 3 | Equalize .8 -, Invert .1 - | TranslateY .7 9, AutoContrast .9 -
"""
"""The 25 pairs as printed in Cubuk et al. 2019, table 7, with torchvision's names: operation, chance, magnitude."""


def test_the_pairs_are_the_published_ones() -> None:
    pairs = [pair.split(",") for line in PUBLISHED_CIFAR10.strip().splitlines() for pair in line.split("|")]
    written = {"Color": "SATURATION"}

    def ours(entry: str) -> tuple:
        name, p, magnitude = entry.split()
        code = written.get(name, re.sub("([XY])$", r"_\1", name)).upper()
        return (Op[code], float(p), 0 if magnitude == "-" else int(magnitude))

    assert [tuple(map(ours, pair)) for pair in pairs] == list(AUTOAUGMENT_CIFAR10)


def test_autoaugment_takes_each_pair_as_often_and_each_half_with_its_probability() -> None:
    assert len(AUTOAUGMENT_CIFAR10) == 25
    codes, values = autoaugment_slots(generator(), MANY, 32, 32)
    expected = np.zeros((2, max(Op) + 1))
    for pair in AUTOAUGMENT_CIFAR10:
        for half, (code, p, _) in enumerate(pair):
            expected[half, code] += p / 25
            expected[half, Op.NONE] += (1 - p) / 25
    for half in (0, 1):
        seen = np.bincount(codes[:, half], minlength=max(Op) + 1) / MANY
        np.testing.assert_allclose(seen, expected[half], atol=0.012)
    # Its only rotation has magnitude 2 of 9 of up to 30 degrees, its posterization 7: 8 - round(7 / 2.25) bits.
    assert {round(float(value), 4) for value in np.abs(values[codes == Op.ROTATE])} == {round(2 / 9 * 30, 4)}
    assert set(values[codes == Op.POSTERIZE]) == {5.0}


def test_single_operations_happen_with_their_probability() -> None:
    augment = Augment(
        grayscale=Grayscale(p=0.2),
        equalize=Equalize(p=0.7),
        posterize=Posterize(p=0.3, bits=3),
        solarize=Solarize(p=0.4, threshold=99),
        blur=Blur(p=0.6, sigma=(0.5, 1.5), kernel=5),
        noise=Noise(std=0.1, p=0.9),
    )
    draws = draw_epoch(augment, 1, 0, MANY, 8, 8, 3)
    expected = {Op.GRAYSCALE: 0.2, Op.EQUALIZE: 0.7, Op.POSTERIZE: 0.3, Op.SOLARIZE: 0.4, Op.BLUR: 0.6, Op.NOISE: 0.9}
    for slot, (code, p) in enumerate(expected.items()):
        assert abs((draws.codes_NK[:, slot] == code).mean() - p) < 0.015
    assert draws.blur_radius == 2
    assert uniform(draws.values_NK[:, 4], 0.5, 1.5)
    assert (draws.values_NK[0, 2], draws.values_NK[0, 3], draws.values_NK[0, 5]) == (3, 99, np.float32(25.5))
