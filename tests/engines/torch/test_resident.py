"""Batches of the torch engine against one image after the other in plain NumPy (`cnnlab.augment.reference`)."""

from dataclasses import replace

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
from cnnlab.recipe.sections import Augment, Crop, Cutout, Flip, Rotate

CPU = torch.device("cpu")
SHIFTED = Augment(crop=Crop(padding=3), flip=Flip(p=0.5))
METHODS = {
    "nothing": Augment(),
    "flip": Augment(flip=Flip()),
    "crop, flip": SHIFTED,
    "reflect": Augment(crop=Crop(padding=9, mode="reflect")),
    "rotate": Augment(rotate=Rotate(degrees=180)),
    "bilinear": Augment(rotate=Rotate(degrees=45, interpolation="bilinear")),
    "cutout": Augment(cutout=Cutout(size=5)),
    "all": SHIFTED.model_copy(update={"rotate": Rotate(degrees=45), "cutout": Cutout(size=3)}),
    "all, bilinear": SHIFTED.model_copy(
        update={"rotate": Rotate(degrees=45, interpolation="bilinear"), "cutout": Cutout(size=3)}
    ),
}
ROLES = ("tables_NCV", "colours_NCD", "partner_N")


def split_of(num_images: int, channels: int = 3, height: int = 12, width: int = 10) -> Split:
    generator = np.random.default_rng(0)
    images = generator.integers(1, 256, (num_images, height, width, channels), dtype=np.uint8)
    return Split(images, generator.integers(0, 10, num_images))


def statistics_of(channels: int) -> Normalisation:
    return Normalisation(tuple(np.linspace(0.3, 0.5, channels)), tuple(np.linspace(0.2, 0.3, channels)))


def drawn_for(split: Split, method: str, roles: tuple[str, ...] = ()) -> EpochDraws:
    """An epoch's draws of a method of the recipe, and of roles that have no method yet."""
    num_images, height, width, channels = split.images.shape
    generator = np.random.default_rng(5)
    further = {
        "tables_NCV": generator.integers(0, 256, (num_images, channels, 256), dtype=np.uint8),
        "colours_NCD": generator.normal(0.3, 0.5, (num_images, channels, channels + 1)).astype(np.float32),
        "partner_N": generator.permutation(num_images),
        "weight_N": generator.random(num_images, dtype=np.float32),
    }
    further["colours_NCD"][..., -1] *= 50
    wanted = {*roles, *(["weight_N"] if "partner_N" in roles else [])}
    drawn = draw_epoch(METHODS[method], 1, 0, num_images, height, width)
    return replace(drawn, **{name: further[name] for name in wanted})


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
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_the_augmented_images_in_the_epochs_order(method: str, channels: int) -> None:
    split = split_of(37, channels)
    draws, order = drawn_for(split, method), np.random.default_rng(1).permutation(37)
    images, (labels, partners, weights) = gathered(split, draws, order, 5, 30)
    np.testing.assert_allclose(images, one_at_a_time(split, draws, order[5:30]), atol=1e-5)
    np.testing.assert_array_equal(labels, split.labels[order][5:30])
    assert partners is weights is None


@settings(deadline=None, max_examples=60)
@given(
    method=st.sampled_from(list(METHODS)),
    roles=st.sets(st.sampled_from(ROLES)).map(lambda chosen: tuple(sorted(chosen))),
    shape=st.sampled_from([(1, 1, 3), (5, 7, 4), (9, 4, 1), (3, 8, 2), (28, 28, 1)]),
    num_images=st.integers(0, 5),
)
def test_every_mixture_of_roles_sizes_and_channels(
    method: str, roles: tuple[str, ...], shape: tuple[int, int, int], num_images: int
) -> None:
    height, width, channels = shape
    split = split_of(num_images, channels, height, width)
    draws, order = drawn_for(split, method, roles), np.random.default_rng(2).permutation(num_images)
    images, _ = gathered(split, draws, order, 0, num_images)
    # A colour matrix multiplies float32 pixels up to 255 by numbers above 1: a few more units in the last place.
    np.testing.assert_allclose(images, one_at_a_time(split, draws, order), atol=3e-5)


@pytest.mark.parametrize("roles", [(), *((role,) for role in ROLES)])
def test_bf16_is_as_near_as_its_eight_bits_allow(roles: tuple[str, ...]) -> None:
    split = split_of(20)
    draws = drawn_for(split, "all", roles)
    images, _ = gathered(split, draws, np.arange(20), 0, 20, torch.bfloat16)
    expected = one_at_a_time(split, draws, np.arange(20))
    # Scale, shift and result are rounded to one part in 256 each, of values up to about 4.
    np.testing.assert_allclose(images.float(), expected, atol=0.05)


def test_a_cut_out_box_is_exactly_zero() -> None:
    split = split_of(20)
    draws = drawn_for(split, "cutout", ("tables_NCV", "colours_NCD"))
    for dtype in (torch.float32, torch.bfloat16):
        images, _ = gathered(split, draws, np.arange(20), 0, 20, dtype)
        for image, (top, left, bottom, right) in zip(images, draws.boxes_N4, strict=True):
            assert not image[:, top:bottom, left:right].any()


@settings(deadline=None, max_examples=25)
@given(batch_size=st.integers(1, 24), first=st.integers(0, 23), seed=st.integers(0, 99))
def test_an_image_and_its_partner_do_not_depend_on_the_batch(batch_size: int, first: int, seed: int) -> None:
    """Whatever order, batch size and place of resumption: position 7 of the split shows what it shows alone."""
    split = split_of(24)
    draws = drawn_for(split, "all", ROLES)
    alone, _ = gathered(split, draws, np.arange(24), 0, 24)
    order = np.random.default_rng(seed).permutation(24)
    for start in range(first, 24, batch_size):
        stop = min(start + batch_size, 24)
        images, (labels, partners, weights) = gathered(split, draws, order, start, stop)
        # Products of matrices are summed in an order that may depend on the size of the batch.
        torch.testing.assert_close(images, alone[order[start:stop]], atol=1e-5, rtol=0)
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
