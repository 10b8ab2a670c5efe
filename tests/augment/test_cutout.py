"""Cutout against its authors' loop, and its centres against their distribution."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cnnlab.augment import draw_epoch
from cnnlab.augment.cutout import cutout_boxes
from cnnlab.augment.reference import augmented
from cnnlab.core.seeding import derive_generator
from cnnlab.recipe.augmentation import Augment, Crop, Cutout, Flip, Rotate


def as_published(height: int, width: int, y: int, x: int, length: int) -> np.ndarray:
    """The mask of github.com/uoguelph-mlrg/Cutout, for an even length."""
    mask = np.ones((height, width))
    y1, y2 = np.clip(y - length // 2, 0, height), np.clip(y + length // 2, 0, height)
    x1, x2 = np.clip(x - length // 2, 0, width), np.clip(x + length // 2, 0, width)
    mask[y1:y2, x1:x2] = 0.0
    return mask


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 6).map(lambda half: 2 * half), st.integers(0, 99))
def test_the_squares_are_the_authors(height: int, width: int, size: int, seed: int) -> None:
    generator = derive_generator(seed, "cutout", 0)
    centres = generator.integers(0, [height, width], size=(20, 2))
    boxes = cutout_boxes(derive_generator(seed, "cutout", 0), 20, size, height, width)
    for (y, x), (top, left, bottom, right) in zip(centres, boxes, strict=True):
        mask = np.ones((height, width))
        mask[top:bottom, left:right] = 0
        np.testing.assert_array_equal(mask, as_published(height, width, y, x, size))


def test_an_odd_square_lies_evenly_about_its_centre() -> None:
    boxes = cutout_boxes(derive_generator(1, "cutout", 0), 1000, 5, 32, 32)
    top, left, bottom, right = boxes.T
    whole = (top > 0) & (left > 0) & (bottom < 32) & (right < 32)
    assert (bottom - top)[whole].tolist() == [5] * whole.sum() == (right - left)[whole].tolist()
    assert (whole.sum(), top.min(), bottom.max()) == (whole.sum(), 0, 32)


def test_every_pixel_is_as_often_the_centre() -> None:
    """A square of one pixel is its centre."""
    top, left, *_ = cutout_boxes(derive_generator(1, "cutout", 0), 60_000, 1, 6, 5).T
    assert stats.chisquare(np.bincount(top * 5 + left, minlength=30)).pvalue > 1e-4


def test_the_square_is_cut_after_the_geometry_and_takes_the_mean() -> None:
    """Its place is the drawn one, whatever the image went through; all else is as without it."""
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 10, 3), dtype=np.uint8)
    moving = Augment(crop=Crop(), flip=Flip(), rotate=Rotate())
    mean = np.array([10.0, 20.0, 30.5])
    without = draw_epoch(moving, 2, 7, 30, 12, 10, 3)
    with_cutout = draw_epoch(moving.model_copy(update={"cutout": Cutout(size=4)}), 2, 7, 30, 12, 10, 3)
    boxes = cutout_boxes(derive_generator(2, "cutout", 7), 30, 4, 12, 10)
    for position, (top, left, bottom, right) in enumerate(boxes):
        expected = augmented(images, without, position, mean)
        expected[top:bottom, left:right] = mean
        np.testing.assert_array_equal(augmented(images, with_cutout, position, mean), expected)
