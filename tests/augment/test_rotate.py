"""Rotation against Pillow and against SciPy in float64; its angles against their distribution."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scipy import ndimage, stats

from cnnlab.augment import EpochDraws, draw_epoch, preview_batch
from cnnlab.augment.reference import changed
from cnnlab.augment.rotate import rotation_angles, rotation_matrices
from cnnlab.core.seeding import derive_generator
from cnnlab.recipe.augmentation import Augment, Crop, Flip, Rotate

SHAPES = [(1, 1), (1, 6), (5, 7), (8, 8), (28, 28), (32, 31)]
shapes = st.sampled_from(SHAPES)
angles = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, -90.0, 0.0, 45.0, 90.0, 180.0]))
channels = st.sampled_from([1, 3, 4])
MODES = {1: "L", 3: "RGB", 4: "RGBX"}  # four bytes without a meaning of transparency


def pixels_of(shape: tuple[int, int], num_channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, num_channels), dtype=np.uint8)


def rotated(pixels: np.ndarray, angle: float, bilinear: bool = False) -> np.ndarray:
    matrices = rotation_matrices(np.array([angle]), *pixels.shape[:2])
    return changed(pixels, EpochDraws(matrices_NG23=matrices[:, None], bilinear=bilinear), 0)


def by_pillow(pixels: np.ndarray, angle: float, resample: Image.Resampling) -> np.ndarray:
    height, width, num_channels = pixels.shape
    image = Image.frombytes(MODES[num_channels], (width, height), pixels.tobytes())
    return np.frombuffer(image.rotate(angle, resample).tobytes(), np.uint8).reshape(pixels.shape)


def positions(shape: tuple[int, int], angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the input by the formula, in float64, and how far inside the border that is."""
    turn, middle = np.radians(angle), (np.array(shape) - 1)[:, None, None] / 2
    y, x = np.indices(shape) - middle
    places = np.stack([np.cos(turn) * y + np.sin(turn) * x, np.cos(turn) * x - np.sin(turn) * y])
    return places + middle, (middle + 0.5 - np.abs(places)).min(axis=0)


@settings(deadline=None, max_examples=150)
@given(shapes, channels, angles)
def test_nearest_is_pillows_bit_by_bit(shape: tuple[int, int], num_channels: int, angle: float) -> None:
    """Both count in 65536ths of a pixel. `rotate` gives quarter turns to a transposition: the same pixels."""
    assume(angle % 180 != 90 or shape[0] == shape[1])  # a transposition would change the picture's shape
    pixels = pixels_of(shape, num_channels)
    expected = by_pillow(pixels, angle, Image.Resampling.NEAREST)
    np.testing.assert_array_equal(rotated(pixels, angle), expected)


@settings(deadline=None, max_examples=80)
@given(shapes, angles)
def test_the_matrix_is_the_one_that_pillow_transforms_with(shape: tuple[int, int], angle: float) -> None:
    pixels = pixels_of(shape, 3)
    (matrix,) = rotation_matrices(np.array([angle]), *shape)
    image = Image.fromarray(pixels).transform(shape[::-1], Image.Transform.AFFINE, matrix.ravel())
    np.testing.assert_array_equal(rotated(pixels, angle), np.asarray(image))


@settings(deadline=None, max_examples=80)
@given(shapes, channels, st.floats(-180, 180).filter(lambda angle: angle % 90))
def test_bilinear_is_pillows_within_two_levels(shape: tuple[int, int], num_channels: int, angle: float) -> None:
    """Ours rounds to the nearest value, Pillow downwards: up to one. Our weights are whole 256ths: up to one more."""
    pixels = pixels_of(shape, num_channels)
    expected = by_pillow(pixels, angle, Image.Resampling.BILINEAR).astype(int)
    _, distances = positions(shape, angle)
    # Where a position lies on the border, our 65536ths and Pillow's float64 may see it on different sides.
    difference = (rotated(pixels, angle, bilinear=True) - expected)[np.abs(distances) > 0.001]
    assert difference.min(initial=0) >= -1
    assert difference.max(initial=0) <= 2


def test_bilinear_is_the_formula_in_float64_within_two_levels_and_mostly_exact() -> None:
    pixels, angle = pixels_of((28, 30), 3), 33.3
    places, distances = positions((28, 30), angle)
    planes = np.moveaxis(pixels.astype(float), -1, 0)
    exact = [ndimage.map_coordinates(plane, places, order=1, mode="nearest") for plane in planes]
    expected = np.where(distances[..., None] > 0, np.stack(exact, axis=-1), 0)
    difference = np.abs(rotated(pixels, angle, bilinear=True) - expected)
    assert difference.max() < 2
    assert difference.mean() < 0.4  # rounding alone: 0.25


def test_positive_angles_turn_counter_clockwise() -> None:
    pixels = np.zeros((9, 9, 1), np.uint8)
    pixels[4, 8] = 255  # right of the centre
    assert rotated(pixels, 90.0)[0, 4, 0] == 255  # above it
    assert rotated(pixels, -90.0)[8, 4, 0] == 255


@pytest.mark.parametrize("mode", ["zero", "reflect"])
@pytest.mark.parametrize("shape", [(32, 32), (9, 14), (1, 1)])
def test_crop_then_flip_then_rotation_as_pillow_does_one_after_the_other(mode: str, shape: tuple[int, int]) -> None:
    images = np.random.default_rng(0).integers(1, 256, (40, *shape, 3), dtype=np.uint8)
    moving = Augment(crop=Crop(padding=3, mode=mode), flip=Flip(p=0.5))
    all_three = moving.model_copy(update={"rotate": Rotate(degrees=30)})
    drawn = rotation_angles(derive_generator(3, "rotate", 5), 40, 30)
    moved = preview_batch(images, moving, 3, 5)
    expected = [np.asarray(Image.fromarray(one).rotate(angle)) for one, angle in zip(moved, drawn, strict=True)]
    np.testing.assert_array_equal(preview_batch(images, all_three, 3, 5), np.stack(expected))


def test_a_mirrored_image_turns_the_same_way() -> None:
    pixels = pixels_of((9, 9), 3)
    augment = Augment(flip=Flip(p=1.0), rotate=Rotate(degrees=40))
    (angle,) = rotation_angles(derive_generator(1, "rotate", 0), 1, 40)
    expected = ImageOps.mirror(Image.fromarray(pixels)).rotate(angle)
    np.testing.assert_array_equal(preview_batch(pixels[None], augment)[0], np.asarray(expected))


def test_angles_are_uniform() -> None:
    drawn = rotation_angles(derive_generator(1, "rotate", 0), 50_000, 15)
    assert stats.kstest(drawn, stats.uniform(-15, 30).cdf).pvalue > 1e-4


def test_the_recipe_chooses_the_interpolation() -> None:
    draws = [
        draw_epoch(Augment(rotate=Rotate(interpolation=word)), 1, 0, 3, 8, 8, 3) for word in ("nearest", "bilinear")
    ]
    assert [each.bilinear for each in draws] == [False, True]
    np.testing.assert_array_equal(draws[0].matrices_NG23, draws[1].matrices_NG23)
