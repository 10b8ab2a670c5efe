"""A batch at once against the per-image reference, pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.augment import draw_epoch
from cnnlab.augment.apply import changed_batch
from cnnlab.augment.reference import changed
from cnnlab.recipe.augmentation import Affine, Augment, Crop, Flip, Jitter, Rotate

METHODS = {
    "as stored": Augment(),
    "crop": Augment(crop=Crop(padding=3)),
    "reflect": Augment(crop=Crop(padding=2, mode="reflect")),
    "flip": Augment(flip=Flip(p=0.5)),
    "rotate": Augment(rotate=Rotate(degrees=40)),
    "affine": Augment(affine=Affine(degrees=10, translate=(0.3, 0.2), scale=(0.7, 1.4), shear=10)),
    "bilinear": Augment(rotate=Rotate(degrees=40, interpolation="bilinear")),
    "everything": Augment(
        crop=Crop(padding=3), flip=Flip(p=0.5), rotate=Rotate(degrees=30), affine=Affine(translate=(0.2, 0.2)),
        jitter=Jitter(brightness=0.4, hue=0.2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]), st.integers(1, 5), st.integers(0, 99))
@settings(deadline=None, max_examples=25)
def test_a_batch_equals_its_images_one_by_one(method, height, width, channels, count, seed):
    images = np.random.default_rng(seed).integers(1, 256, (count, height, width, channels), dtype=np.uint8)
    draws = draw_epoch(METHODS[method], seed, 0, count, height, width, channels)
    before = images.copy()
    seen = changed_batch(images, draws)
    np.testing.assert_array_equal(images, before)
    assert seen.dtype == np.uint8
    for place in range(count):
        np.testing.assert_array_equal(seen[place], changed(images[place], draws, place))


def test_images_keep_their_draws_in_a_smaller_batch():
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    draws = draw_epoch(METHODS["everything"], 1, 0, 20, 8, 8, 3)
    chosen = np.array([7, 3, 19])
    np.testing.assert_array_equal(changed_batch(images[chosen], draws.at(chosen)), changed_batch(images, draws)[chosen])
