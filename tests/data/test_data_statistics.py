"""Channel statistics against NumPy in float64, and exactness where floating sums would drift."""

import numpy as np
from made_files import random_images

from cnnlab.data import channel_statistics


def test_equals_numpy():
    images = random_images(5000, 8, 6)
    pixels = images.reshape(-1, 3) / 255
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-12)
    assert mean.dtype == std.dtype == np.float64


def test_constant_images_have_exactly_no_spread_and_nothing_overflows():
    mean, std = channel_statistics(np.full((70_000, 2, 2, 1), 255, dtype=np.uint8))
    assert mean.tolist() == [1.0]
    assert std.tolist() == [0.0]


def test_order_does_not_matter_to_the_last_bit():
    images = random_images(9000, 4, 4)
    backwards = channel_statistics(images[::-1])
    assert [a.tobytes() for a in channel_statistics(images)] == [a.tobytes() for a in backwards]
