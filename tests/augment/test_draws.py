"""Laws of an epoch's draws, and mixing against Pillow's blend."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cnnlab.augment import EpochDraws, draw_epoch
from cnnlab.augment.reference import augmented
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

ALL = Augment(
    crop=Crop(),
    flip=Flip(),
    rotate=Rotate(),
    affine=Affine(translate=(0.2, 0.1), scale=(0.8, 1.2), shear=10),
    randaugment=RandAugment(),
    jitter=Jitter(brightness=0.2, contrast=0.3, saturation=0.4, hue=0.1),
    grayscale=Grayscale(),
    equalize=Equalize(),
    posterize=Posterize(),
    solarize=Solarize(),
    blur=Blur(),
    noise=Noise(),
    erase=Erase(),
    cutout=Cutout(size=3),
    mixup=Mixup(),
    cutmix=CutMix(),
)
MEAN = np.array([100.0, 110.0, 120.0])
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 7, 5, 3), dtype=np.uint8)


@given(seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10_000), num_images=st.integers(0, 5))
def test_draws_follow_from_seed_epoch_and_position_alone(seed: int, epoch: int, num_images: int) -> None:
    first, again = (draw_epoch(ALL, seed, epoch, num_images, 6, 9, 3) for _ in range(2))
    for name in (
        "rows_NH",
        "columns_NW",
        "matrices_NG23",
        "codes_NK",
        "values_NK",
        "boxes_NQ4",
        "weight_N",
        "swaps_N4",
    ):
        assert len(getattr(first, name)) == num_images
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_a_method_more_does_not_change_the_draws_of_the_others() -> None:
    plain, everything = (draw_epoch(one, 4, 2, 9, 32, 32, 3) for one in (Augment(crop=Crop(), flip=Flip()), ALL))
    np.testing.assert_array_equal(plain.rows_NH, everything.rows_NH)
    np.testing.assert_array_equal(plain.columns_NW, everything.columns_NW)
    assert plain.matrices_NG23 is plain.boxes_NQ4 is plain.partner_N is None
    assert draw_epoch(Augment(), 4, 2, 9, 32, 32, 3) == EpochDraws()


@given(st.lists(st.integers(0, 11), max_size=8))
def test_draws_are_taken_by_position(positions: list[int]) -> None:
    alone = ALL.model_copy(update={"mixup": None, "cutmix": None})  # partners are positions of the whole split
    whole = draw_epoch(alone, 3, 1, 12, 7, 5, 3)
    taken = whole.at(np.array(positions, dtype=np.int64))
    for row, position in enumerate(positions):
        np.testing.assert_array_equal(
            augmented(IMAGES[positions], taken, row, MEAN), augmented(IMAGES, whole, position, MEAN)
        )


@given(position=st.integers(0, 11), weight=st.floats(0, 1, width=32))
def test_a_mixed_image_is_pillows_blend_of_two_augmented_ones(position: int, weight: float) -> None:
    partners = np.roll(np.arange(12), 5)
    drawn = draw_epoch(Augment(flip=Flip()), 1, 1, 12, 7, 5, 3)
    weights = np.full(12, weight, np.float32)
    no_box = np.zeros((12, 4), np.int32)
    draws = EpochDraws(columns_NW=drawn.columns_NW, partner_N=partners, weight_N=weights, swaps_N4=no_box)
    own, other = (augmented(IMAGES, drawn, n, MEAN) for n in (position, partners[position]))
    expected = Image.blend(*(Image.fromarray(one.astype(np.uint8)) for one in (other, own)), alpha=weight)
    np.testing.assert_allclose(augmented(IMAGES, draws, position, MEAN), np.asarray(expected), atol=1.0)
    if weight == 1:
        flipped = ImageOps.mirror(Image.fromarray(IMAGES[position]))
        assert np.asarray(flipped).tolist() == own.tolist() or IMAGES[position].tolist() == own.tolist()
