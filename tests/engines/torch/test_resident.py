"""Batches of the torch engine against one image after the other in plain NumPy (`cnnlab.augment.reference`)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnlab.augment import EpochDraws, draw_epoch
from cnnlab.augment.reference import augmented
from cnnlab.data import Split
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.recipe.augmentation import (
    Affine,
    Augment,
    Blur,
    Crop,
    CutMix,
    Cutout,
    Equalize,
    Erase,
    Flip,
    Grayscale,
    Jitter,
    Mixup,
    Noise,
    Posterize,
    RandAugment,
    Rotate,
    Solarize,
)

CPU = torch.device("cpu")
SHIFTED = Augment(crop=Crop(padding=3), flip=Flip(p=0.5))
JITTER = Jitter(brightness=0.4, contrast=0.5, saturation=0.6, hue=0.2)
METHODS = {
    "nothing": Augment(),
    "flip": Augment(flip=Flip()),
    "crop, flip": SHIFTED,
    "reflect": Augment(crop=Crop(padding=9, mode="reflect")),
    "rotate": Augment(rotate=Rotate(degrees=180)),
    "bilinear": Augment(rotate=Rotate(degrees=45, interpolation="bilinear")),
    "affine": Augment(affine=Affine(degrees=90, translate=(0.3, 0.2), scale=(0.5, 2), shear=40)),
    "cutout": Augment(cutout=Cutout(size=5)),
    "erase": Augment(erase=Erase(p=0.8)),
    "mixup": Augment(flip=Flip(), mixup=Mixup(alpha=1.0)),
    "cutmix": Augment(flip=Flip(), cutmix=CutMix()),
    "all that move": SHIFTED.model_copy(
        update={
            "rotate": Rotate(degrees=45),
            "affine": Affine(translate=(0.2, 0.2), scale=(0.8, 1.2)),
            "erase": Erase(),
            "cutout": Cutout(size=3),
            "mixup": Mixup(),
            "cutmix": CutMix(),
        }
    ),
    "all that move, bilinear": SHIFTED.model_copy(
        update={
            "rotate": Rotate(degrees=45, interpolation="bilinear"),
            "affine": Affine(translate=(0.2, 0.2), scale=(0.8, 1.2)),
            "cutout": Cutout(size=3),
        }
    ),
}
OPERATIONS = {
    "jitter": Augment(jitter=JITTER),
    "randaugment": Augment(randaugment=RandAugment(num_ops=3, magnitude=15)),
    "autoaugment": Augment(policy="autoaugment"),
    "trivialaugment": Augment(policy="trivialaugment"),
    "all grey, some solarized": Augment(grayscale=Grayscale(p=1), solarize=Solarize(p=0.5)),
    "noise": Augment(noise=Noise()),
    "blur": Augment(blur=Blur()),
    "variant 4": Augment(
        crop=Crop(padding=4, mode="reflect"),
        flip=Flip(),
        rotate=Rotate(),
        affine=Affine(translate=(0.1, 0.1), scale=(0.9, 1.1)),
        jitter=JITTER,
        erase=Erase(),
    ),
    "all operations": SHIFTED.model_copy(
        update={
            "policy": "autoaugment",
            "jitter": JITTER,
            "grayscale": Grayscale(),
            "equalize": Equalize(),
            "posterize": Posterize(),
            "solarize": Solarize(),
            "noise": Noise(),
            "erase": Erase(),
            "mixup": Mixup(),
            "cutmix": CutMix(),
        }
    ),
}
"""They change colours; hue, blur and noise round fractions, where float32 can differ by one level from float64."""


def split_of(num_images: int, channels: int = 3, height: int = 12, width: int = 10) -> Split:
    generator = np.random.default_rng(0)
    images = generator.integers(1, 256, (num_images, height, width, channels), dtype=np.uint8)
    return Split(images, generator.integers(0, 10, num_images))


def statistics_of(channels: int) -> Normalisation:
    return Normalisation(tuple(np.linspace(0.3, 0.5, channels)), tuple(np.linspace(0.2, 0.3, channels)))


def drawn_for(split: Split, method: str) -> EpochDraws:
    return draw_epoch((METHODS | OPERATIONS)[method], 1, 0, *split.images.shape)


def gathered(
    split: Split, draws: EpochDraws, order: np.ndarray, start: int, stop: int, dtype=torch.float32
) -> tuple[torch.Tensor, list]:
    _, height, width, channels = split.images.shape
    resident = ResidentSplit(split, CPU)
    resident.arrange(order, draws)
    normalise = Normaliser(statistics_of(channels), height, width, dtype, CPU)
    images, targets = resident.gather(start, stop, normalise)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images.dtype == dtype
    return images, [None if one is None else one.numpy() for one in targets]


def one_at_a_time(split: Split, draws: EpochDraws, positions: np.ndarray) -> np.ndarray:
    """Normalised images in float64, N x C x H x W."""
    values = statistics_of(split.images.shape[-1])
    mean = 255 * np.array(values.mean)
    images = [augmented(split.images, draws, int(position), mean) for position in positions]
    pixels = np.reshape(images, (-1, *split.images.shape[1:])) / 255
    return ((pixels - values.mean) / values.std).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("method", [name for name in METHODS if "mix" not in name])
def test_a_batch_is_the_augmented_images_in_the_epochs_order(method: str, channels: int) -> None:
    split = split_of(37, channels)
    draws, order = drawn_for(split, method), np.random.default_rng(1).permutation(37)
    images, (labels, partners, weights) = gathered(split, draws, order, 5, 30)
    np.testing.assert_allclose(images, one_at_a_time(split, draws, order[5:30]), atol=1e-5)
    np.testing.assert_array_equal(labels, split.labels[order][5:30])
    if draws.partner_N is None:
        assert partners is weights is None
    else:
        np.testing.assert_array_equal(partners, split.labels[draws.partner_N[order][5:30]])
        np.testing.assert_array_equal(weights, draws.weight_N[order][5:30])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", OPERATIONS)
def test_operations_on_a_batch_are_those_on_single_images(method: str, channels: int) -> None:
    split = split_of(61, channels)
    draws, order = drawn_for(split, method), np.random.default_rng(1).permutation(61)
    images, _ = gathered(split, draws, order, 3, 60)
    levels = (images - torch.from_numpy(one_at_a_time(split, draws, order[3:60]))).abs() * 0.3 * 255
    # Single values may be rounded to the other side, and equalizing makes more of one level.
    assert (levels > 0.01).float().mean() < 1e-3
    assert levels.max() < 1.5 or method == "all operations"


@settings(deadline=None, max_examples=60)
@given(
    method=st.sampled_from(list(METHODS)),
    shape=st.sampled_from([(1, 1, 3), (5, 7, 4), (9, 4, 1), (3, 8, 2), (28, 28, 1)]),
    num_images=st.integers(0, 5),
)
def test_every_mixture_of_sizes_and_channels(method: str, shape: tuple[int, int, int], num_images: int) -> None:
    height, width, channels = shape
    split = split_of(num_images, channels, height, width)
    draws, order = drawn_for(split, method), np.random.default_rng(2).permutation(num_images)
    images, _ = gathered(split, draws, order, 0, num_images)
    np.testing.assert_allclose(images, one_at_a_time(split, draws, order), atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(
    method=st.sampled_from([name for name in OPERATIONS if name != "blur"]),
    shape=st.sampled_from([(1, 1, 3), (2, 9, 3), (9, 2, 1), (28, 28, 1)]),
    num_images=st.integers(0, 5),
)
def test_operations_on_images_of_any_size(method: str, shape: tuple[int, int, int], num_images: int) -> None:
    height, width, channels = shape
    split = split_of(num_images, channels, height, width)
    draws, order = drawn_for(split, method), np.arange(num_images)
    images, _ = gathered(split, draws, order, 0, num_images)
    levels = np.abs(images.numpy() - one_at_a_time(split, draws, order)) * 0.3 * 255
    assert (levels > 0.01).sum() <= 1 + levels.size // 500


@pytest.mark.parametrize("method", ["all that move", "variant 4"])
def test_bf16_is_as_near_as_its_eight_bits_allow(method: str) -> None:
    split = split_of(20)
    draws = drawn_for(split, method)
    images, _ = gathered(split, draws, np.arange(20), 0, 20, torch.bfloat16)
    expected = one_at_a_time(split, draws, np.arange(20))
    # Scale, shift and result are rounded to one part in 256 each, of values up to about 4.
    np.testing.assert_allclose(images.float(), expected, atol=0.05)


@pytest.mark.parametrize("method", ["cutout", "erase", "variant 4"])
def test_a_box_is_exactly_zero(method: str) -> None:
    split = split_of(20)
    draws = drawn_for(split, method)
    assert draws.boxes_NQ4 is not None
    assert (draws.boxes_NQ4[:, 0, 2] > draws.boxes_NQ4[:, 0, 0]).any()
    for dtype in (torch.float32, torch.bfloat16):
        images, _ = gathered(split, draws, np.arange(20), 0, 20, dtype)
        for image, (top, left, bottom, right) in zip(images, draws.boxes_NQ4[:, 0], strict=True):
            assert not image[:, top:bottom, left:right].any()


@settings(deadline=None, max_examples=25)
@given(batch_size=st.integers(1, 24), first=st.integers(0, 23), seed=st.integers(0, 99))
def test_an_image_and_its_partner_do_not_depend_on_the_batch(batch_size: int, first: int, seed: int) -> None:
    """Whatever order, batch size and place of resumption: position 7 of the split shows what it shows alone."""
    split = split_of(24)
    draws = drawn_for(split, "all operations")
    alone, _ = gathered(split, draws, np.arange(24), 0, 24)
    order = np.random.default_rng(seed).permutation(24)
    for start in range(first, 24, batch_size):
        stop = min(start + batch_size, 24)
        images, (labels, partners, weights) = gathered(split, draws, order, start, stop)
        torch.testing.assert_close(images, alone[order[start:stop]], atol=1e-6, rtol=0)
        np.testing.assert_array_equal(labels, split.labels[order[start:stop]])
        np.testing.assert_array_equal(partners, split.labels[draws.partner_N[order[start:stop]]])
        np.testing.assert_array_equal(weights, draws.weight_N[order[start:stop]])


def test_stored_images_come_out_unchanged() -> None:
    split = split_of(9, 3)
    resident = ResidentSplit(split, CPU)
    pixels = resident.stored(2, 7).view(5, 12, 10, 4)[..., :3]
    np.testing.assert_array_equal(pixels.numpy(), split.images[2:7])


def test_outside_is_black_before_normalisation() -> None:
    nowhere = EpochDraws(rows_NH=np.full((1, 12), -1, np.int32))
    images, _ = gathered(split_of(1, 3), nowhere, np.array([0]), 0, 1)
    values = statistics_of(3)
    black = torch.tensor([-mean / std for mean, std in zip(values.mean, values.std, strict=True)])
    torch.testing.assert_close(images, black.float().view(1, 3, 1, 1).expand(1, 3, 12, 10))
