"""Crop and flip against Pillow, image by image, and against the pixels that earlier versions drew."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cnnlab.augment import draw_epoch, preview_batch
from cnnlab.augment.crop import crop_offsets, reflected
from cnnlab.augment.flip import flip_choices
from cnnlab.core.seeding import derive_generator
from cnnlab.recipe.augmentation import Augment, Crop, Flip

SEED, EPOCH = 3, 5
GOLDEN = np.load(Path(__file__).parent / "golden" / "crop_and_flip.npz")


def images_like_photos(num_images: int, height: int = 32, width: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_images, height, width, 3), dtype=np.uint8)


def one_image_at_a_time(images: np.ndarray, augment: Augment) -> np.ndarray:
    """The reference: the same draws, applied to one Pillow image after the other."""
    assert augment.crop is not None
    assert augment.flip is not None
    padding = augment.crop.padding
    offsets = crop_offsets(derive_generator(SEED, "crop", EPOCH), len(images), padding)
    mirrored = flip_choices(augment.flip, SEED, EPOCH, len(images))
    results = []
    for pixels, (dy, dx), mirror in zip(images, offsets, mirrored, strict=True):
        if augment.crop.mode == "zero":
            padded = ImageOps.expand(Image.fromarray(pixels), padding)
        else:
            widths = ((padding, padding), (padding, padding), (0, 0))
            padded = Image.fromarray(np.pad(pixels, widths, mode="reflect"))
        height, width, _ = pixels.shape
        left, top = int(dx) + padding, int(dy) + padding
        image = padded.crop((left, top, left + width, top + height))
        results.append(np.asarray(ImageOps.mirror(image) if mirror else image))
    return np.stack(results)


@pytest.mark.parametrize("mode", ["zero", "reflect"])
@pytest.mark.parametrize("padding", [1, 4, 9])
def test_crop_and_flip_equal_the_per_image_reference(mode: str, padding: int) -> None:
    images = images_like_photos(60, height=32, width=24)
    augment = Augment(crop=Crop(padding=padding, mode=mode), flip=Flip(p=0.5))
    fast = preview_batch(images, augment, SEED, EPOCH)
    np.testing.assert_array_equal(fast, one_image_at_a_time(images, augment))


@pytest.mark.parametrize(("name", "crop"), [("zero", Crop()), ("reflect", Crop(mode="reflect")), ("flip", None)])
def test_a_seed_gives_the_pixels_it_has_always_given(name: str, crop: Crop | None) -> None:
    """Stored from the version before draws and pixels were told apart; never to be made again."""
    images = (np.arange(8 * 9 * 7 * 3) * 73 % 251).astype(np.uint8).reshape(8, 9, 7, 3)
    got = preview_batch(images, Augment(crop=crop, flip=Flip()), SEED, EPOCH)
    np.testing.assert_array_equal(got, GOLDEN[name])


def test_no_augmentation_changes_nothing() -> None:
    images = images_like_photos(5)
    np.testing.assert_array_equal(preview_batch(images, Augment()), images)


def test_every_image_has_its_own_draw_and_every_epoch_another() -> None:
    augment = Augment(crop=Crop(padding=4), flip=Flip(p=0.5))
    first, second = (draw_epoch(augment, SEED, epoch, 1000, 32, 32, 3) for epoch in (0, 1))
    shifts = first.rows_NH.max(axis=1) - 31 + np.where(first.rows_NH[:, 0] < 0, 0, first.rows_NH[:, 0])
    assert len(np.unique(shifts)) > 4
    assert (first.rows_NH != second.rows_NH).any()
    assert (first.columns_NW != second.columns_NW).any()


def test_draws_are_uniform_over_offsets_and_fair_over_flips() -> None:
    offsets = crop_offsets(derive_generator(1, "crop", 0), 81_000, 4)
    counts = np.bincount((offsets[:, 0] + 4) * 9 + offsets[:, 1] + 4, minlength=81)
    # 81 cells of 1,000 expected: chi-square with 80 degrees of freedom stays below 150 but once in a million.
    assert ((counts - 1000) ** 2 / 1000).sum() < 150
    flips = flip_choices(Flip(p=0.3), 1, 0, 100_000)
    assert abs(flips.mean() - 0.3) < 0.01


def test_alternating_flips_show_the_other_side_in_every_second_epoch() -> None:
    epochs = [flip_choices(Flip(p=0.3, alternate=True), 1, epoch, 1000) for epoch in range(4)]
    np.testing.assert_array_equal(epochs[1], ~epochs[0])
    np.testing.assert_array_equal(epochs[2], epochs[0])
    np.testing.assert_array_equal(epochs[3], epochs[1])
    assert 0.2 < epochs[0].mean() < 0.4
    assert (flip_choices(Flip(), 1, 0, 1000) != flip_choices(Flip(), 1, 1, 1000)).any()


@settings(deadline=None, max_examples=60)
@given(size=st.integers(1, 9), padding=st.integers(0, 30))
def test_reflection_is_numpys(size: int, padding: int) -> None:
    expected = np.pad(np.arange(size), padding, mode="reflect") if size > 1 else np.zeros(1 + 2 * padding)
    got = reflected(np.arange(-padding, size + padding, dtype=np.int32), size)
    np.testing.assert_array_equal(got, expected)
