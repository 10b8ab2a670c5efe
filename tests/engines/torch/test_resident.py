"""Packed, gathered and normalised batches against plain NumPy on the unpacked images."""

import numpy as np
import pytest
import torch

from cnnlab.augment import PixelMap, draw_epoch, preview_batch
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.recipe.sections import Augment, Crop, Flip

CPU = torch.device("cpu")


def split_of(num_images: int, channels: int, height: int = 12, width: int = 10) -> Split:
    generator = np.random.default_rng(0)
    images = generator.integers(1, 256, (num_images, height, width, channels), dtype=np.uint8)
    return Split(images, generator.integers(0, 10, num_images))


def normalised(images_NHWC: np.ndarray, values: Normalisation) -> np.ndarray:
    pixels = images_NHWC.astype(np.float64) / 255
    return ((pixels - values.mean) / values.std).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_gathered_batch_is_the_augmented_images_in_the_epochs_order(channels: int) -> None:
    split = split_of(37, channels)
    values = Normalisation(tuple(np.linspace(0.3, 0.5, channels)), tuple(np.linspace(0.2, 0.3, channels)))
    augment = Augment(crop=Crop(padding=3), flip=Flip(p=0.5))
    order = np.random.default_rng(1).permutation(37)
    resident = ResidentSplit(split, CPU)
    resident.arrange(order, draw_epoch(augment, 1, 0, 37, 12, 10))
    normalise = Normaliser(values, 12, 10, torch.float32, CPU)
    packed, labels = resident.gather(5, 30)
    expected = normalised(preview_batch(split.images, augment, 1, 0)[order][5:30], values)
    images = normalise(packed)
    assert images.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(images.numpy(), expected, atol=1e-5)
    np.testing.assert_array_equal(labels.numpy(), split.labels[order][5:30])


def test_stored_images_come_out_unchanged() -> None:
    split = split_of(9, 3)
    resident = ResidentSplit(split, CPU)
    pixels = resident.stored(2, 7).view(5, 12, 10, 4)[..., :3]
    np.testing.assert_array_equal(pixels.numpy(), split.images[2:7])


def test_outside_is_black_before_normalisation() -> None:
    split = split_of(1, 3)
    nowhere = PixelMap(np.full((1, 12), -1, np.int32), np.tile(np.arange(10, dtype=np.int32), (1, 1)))
    resident = ResidentSplit(split, CPU)
    resident.arrange(np.array([0]), nowhere)
    assert int(resident.gather(0, 1)[0].max()) == 0
