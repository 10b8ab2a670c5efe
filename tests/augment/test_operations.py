"""Each operation on one image against Pillow, as the usual library calls it, or against a formula of its own."""

import colorsys
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage, stats

from cnnlab.augment.matrices import affine_matrices, composed, fixed_point
from cnnlab.augment.noise import noise_words, normal
from cnnlab.augment.operate import moved, noisy, operate
from cnnlab.augment.operations import MOVES, Operation
from cnnlab.engines.torch.operations import OPERATIONS

SHAPES = [(1, 1), (2, 6), (5, 7), (28, 28), (32, 31)]
FACTORS = st.one_of(st.floats(0, 2, width=32), st.sampled_from([0.0, 1.0, 0.5]))


def photo(shape: tuple[int, int], channels: int, seed: int = 0) -> np.ndarray:
    """Few or many different values, as photos have dark, flat and saturated parts."""
    generator = np.random.default_rng(seed)
    low, high = sorted(generator.integers(0, 257, 2))
    return generator.integers(low, max(high, low + 1), (*shape, channels)).clip(0, 255).astype(np.uint8)


def pillow(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def pixels_of(image: Image.Image, like: np.ndarray) -> np.ndarray:
    return np.asarray(image).reshape(like.shape)


BY_PILLOW = {
    Operation.BRIGHTNESS: lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
    Operation.CONTRAST: lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
    Operation.SATURATION: lambda image, factor: ImageEnhance.Color(image).enhance(factor),
    Operation.SHARPNESS: lambda image, factor: ImageEnhance.Sharpness(image).enhance(factor),
    Operation.INVERT: lambda image, _: ImageOps.invert(image),
    Operation.EQUALIZE: lambda image, _: ImageOps.equalize(image),
    Operation.AUTOCONTRAST: lambda image, _: ImageOps.autocontrast(image),
    Operation.POSTERIZE: lambda image, factor: ImageOps.posterize(image, 1 + int(3.5 * factor)),
    Operation.SOLARIZE: lambda image, factor: ImageOps.solarize(image, 128 * factor),
    Operation.GRAYSCALE: lambda image, _: ImageOps.grayscale(image).convert(image.mode),
}


def number_of(code: Operation, factor: float) -> float:
    """The operation's number where Pillow is called with this factor above."""
    return {Operation.POSTERIZE: 1 + int(3.5 * factor), Operation.SOLARIZE: 128 * factor}.get(code, factor)


def test_every_operation_has_a_test_here_and_a_batch_form() -> None:
    others = {Operation.NONE, Operation.HUE, Operation.BLUR, Operation.NOISE, *MOVES}
    assert set(BY_PILLOW) | others == set(Operation)
    assert set(OPERATIONS) == set(Operation) - {Operation.NONE, Operation.BLUR, Operation.NOISE, *MOVES}


@pytest.mark.parametrize("code", BY_PILLOW)
@settings(deadline=None, max_examples=60)
@given(shape=st.sampled_from(SHAPES), channels=st.sampled_from([1, 3]), factor=FACTORS, seed=st.integers(0, 99))
def test_pixels_are_pillows_bit_by_bit(code, shape, channels, factor, seed) -> None:
    pixels = photo(shape, channels, seed)
    expected = pixels_of(BY_PILLOW[code](pillow(pixels), factor), pixels)
    np.testing.assert_array_equal(operate(pixels, code, number_of(code, factor)), expected)


@settings(deadline=None, max_examples=40)
@given(turn=st.floats(-0.5, 0.5), seed=st.integers(0, 99))
def test_hue_is_the_standard_librarys(turn: float, seed: int) -> None:
    pixels = photo((4, 5), 3, seed)
    for before, after in zip(pixels.reshape(-1, 3), operate(pixels, Operation.HUE, turn).reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(before / 255))
        expected = np.array(colorsys.hsv_to_rgb((hue + np.float32(turn)) % 1, saturation, value)) * 255
        np.testing.assert_allclose(after, expected, atol=0.5 + 1e-9)


def test_hue_leaves_grey_and_whole_turns_alone() -> None:
    grey = np.repeat(photo((6, 6), 1), 3, axis=-1)
    np.testing.assert_array_equal(operate(grey, Operation.HUE, 0.3), grey)
    colour = photo((6, 6), 3, 3)
    np.testing.assert_array_equal(operate(colour, Operation.HUE, 0.0), colour)
    np.testing.assert_array_equal(operate(photo((6, 6), 1), Operation.HUE, 0.3), photo((6, 6), 1))


@settings(deadline=None, max_examples=30)
@given(deviation=st.floats(0.1, 3), radius=st.integers(1, 3), channels=st.sampled_from([1, 3]))
def test_blur_is_scipys_with_a_cut_kernel(deviation: float, radius: int, channels: int) -> None:
    pixels = photo((9, 8), channels, 5)
    deviation = float(np.float32(deviation))
    expected = ndimage.gaussian_filter(
        pixels.astype(np.float64), (deviation, deviation, 0), radius=(radius, radius, 0), mode="mirror"
    )
    got = operate(pixels, Operation.BLUR, deviation, radius)
    np.testing.assert_allclose(got, expected, atol=0.5 + 1e-6)


def as_published(centre, angle, translate, scale, shear) -> list[float]:
    """torchvision's `_get_inverse_affine_matrix`, for Pillow's `transform`."""
    rot, (sx, sy), (cx, cy), (tx, ty) = math.radians(angle), map(math.radians, shear), centre, translate
    a = math.cos(rot - sy) / math.cos(sy)
    b = -math.cos(rot - sy) * math.tan(sx) / math.cos(sy) - math.sin(rot)
    c = math.sin(rot - sy) / math.cos(sy)
    d = -math.sin(rot - sy) * math.tan(sx) / math.cos(sy) + math.cos(rot)
    matrix = [x / scale for x in (d, -b, 0.0, -c, a, 0.0)]
    matrix[2] += matrix[0] * (-cx - tx) + matrix[1] * (-cy - ty) + cx
    matrix[5] += matrix[3] * (-cx - tx) + matrix[4] * (-cy - ty) + cy
    return matrix


@settings(deadline=None, max_examples=100)
@given(
    angle=st.floats(-180, 180),
    translate=st.tuples(st.integers(-5, 5), st.integers(-5, 5)),
    scale=st.floats(0.5, 2),
    shear=st.tuples(st.floats(-40, 40), st.floats(-40, 40)),
)
def test_affine_is_pillows_transform_with_the_published_matrix(angle, translate, scale, shear) -> None:
    pixels = photo((17, 14), 3, 2)
    centre = (7.0, 8.5)
    expected_matrix = as_published(centre, angle, translate, scale, shear)
    ours = affine_matrices(centre, angle, translate, scale, shear)
    np.testing.assert_allclose(ours.ravel(), expected_matrix, atol=1e-12)
    expected = pillow(pixels).transform((14, 17), Image.Transform.AFFINE, ours.ravel().tolist())
    got = moved(pixels, fixed_point(ours)[0])
    # Pillow has another path for pure scaling, which adds up steps in float64: the next test is for that.
    assume(ours[0, 0, 1] or ours[0, 1, 0])
    np.testing.assert_array_equal(got, np.asarray(expected))


def test_a_pure_shift_and_scale_selects_the_nearest_pixels() -> None:
    """By the formula in exact fractions, where no position lies on a border between pixels."""
    pixels = photo((16, 16), 1, 1)
    matrix = affine_matrices((8, 8), translate=(2, -3), scale=0.9)
    got = moved(pixels, fixed_point(matrix)[0])
    for row, column in np.ndindex(16, 16):
        x, y = ((column + 0.5 - 8 - 2) / 0.9 + 8, (row + 0.5 - 8 + 3) / 0.9 + 8)
        if min(abs(x - round(x)), abs(y - round(y))) < 1e-3:
            continue
        inside = 0 <= x < 16 and 0 <= y < 16
        assert got[row, column, 0] == (pixels[int(y), int(x), 0] if inside else 0)


@pytest.mark.parametrize(
    ("code", "value", "call"),
    [
        (Operation.SHEAR_X, 0.3, lambda size: as_published((0, 0), 0, (0, 0), 1, (math.degrees(math.atan(0.3)), 0))),
        (Operation.SHEAR_Y, -0.2, lambda size: as_published((0, 0), 0, (0, 0), 1, (0, math.degrees(math.atan(-0.2))))),
        (Operation.TRANSLATE_X, 5, lambda size: [1, 0, -5, 0, 1, 0]),
        (Operation.TRANSLATE_Y, -4, lambda size: [1, 0, 0, 0, 1, 4]),
    ],
)
def test_moves_are_pillows(code, value, call) -> None:
    pixels = photo((19, 16), 3, 3)
    expected = pillow(pixels).transform((16, 19), Image.Transform.AFFINE, call((19, 16)))
    np.testing.assert_array_equal(operate(pixels, code, value), np.asarray(expected))


def test_rotation_as_an_operation_is_pillows() -> None:
    pixels = photo((19, 16), 3, 3)
    for angle in (-30.0, 4.0, 90.0, 135.0):
        if angle % 90:
            expected = np.asarray(pillow(pixels).rotate(angle))
            np.testing.assert_array_equal(operate(pixels, Operation.ROTATE, angle), expected)
    square = photo((8, 8), 3, 3)
    np.testing.assert_array_equal(operate(square, Operation.ROTATE, 90), np.asarray(pillow(square).rotate(90)))


def test_composed_matrices_map_as_one_after_the_other() -> None:
    first, second = affine_matrices((4, 5), angle=20.0, scale=1.2), affine_matrices((3, 3), shear=(10.0, 5.0))
    (both,) = composed(np.stack([first, second], axis=1))
    point = np.array([2.0, 7.0, 1.0])
    expected = first[0] @ [*(second[0] @ point), 1]
    np.testing.assert_allclose(both @ point, expected)


def test_noise_is_standard_normal_and_its_own_for_every_image_and_epoch() -> None:
    images_N, units_J = noise_words(3, 5, 40, 5000)
    numbers = np.stack([normal(word, units_J) for word in images_N])
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 1e-4
    correlations = np.corrcoef(numbers)[np.triu_indices(40, 1)]
    assert np.abs(correlations).max() < 5 / math.sqrt(5000)
    other_N, other_J = noise_words(3, 6, 40, 5000)
    assert abs(np.corrcoef(numbers[0], normal(other_N[0], other_J))[0, 1]) < 5 / math.sqrt(5000)
    grey = np.full((50, 100, 1), 128, np.uint8)
    changed = noisy(grey, numbers[0], 12.0).astype(float)
    assert abs(changed.std() - 12) < 0.5
    assert noisy(np.full((50, 100, 1), 255, np.uint8), numbers[0], 12.0).max() == 255
