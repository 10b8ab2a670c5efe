"""Laws of an epoch's draws, and the roles that no method fills yet against formulas of their own."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from cnnlab.augment import EpochDraws, draw_epoch
from cnnlab.augment.reference import augmented, moved_and_recoloured
from cnnlab.recipe.sections import Augment, Crop, Cutout, Flip, Rotate

ALL = Augment(crop=Crop(), flip=Flip(), rotate=Rotate(), cutout=Cutout(size=3))
MEAN = np.array([100.0, 110.0, 120.0])
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 7, 5, 3), dtype=np.uint8)


@given(seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10_000), num_images=st.integers(0, 5))
def test_draws_follow_from_seed_epoch_and_position_alone(seed: int, epoch: int, num_images: int) -> None:
    first, again = (draw_epoch(ALL, seed, epoch, num_images, 6, 9) for _ in range(2))
    for name in ("rows_NH", "columns_NW", "matrices_N23", "boxes_N4"):
        assert len(getattr(first, name)) == num_images
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))


def test_a_method_more_does_not_change_the_draws_of_the_others() -> None:
    plain, all_four = (draw_epoch(one, 4, 2, 9, 32, 32) for one in (Augment(crop=Crop(), flip=Flip()), ALL))
    np.testing.assert_array_equal(plain.rows_NH, all_four.rows_NH)
    np.testing.assert_array_equal(plain.columns_NW, all_four.columns_NW)
    assert plain.matrices_N23 is plain.boxes_N4 is plain.partner_N is None
    assert draw_epoch(Augment(), 4, 2, 9, 32, 32) == EpochDraws()


@given(st.lists(st.integers(0, 11), max_size=8))
def test_draws_are_taken_by_position(positions: list[int]) -> None:
    whole = draw_epoch(ALL, 3, 1, 12, 7, 5)
    taken = whole.at(np.array(positions, dtype=np.int64))
    for row, position in enumerate(positions):
        np.testing.assert_array_equal(
            augmented(IMAGES[positions], taken, row, MEAN), augmented(IMAGES, whole, position, MEAN)
        )


def test_a_table_is_pillows_point() -> None:
    table = np.random.default_rng(1).integers(0, 256, (12, 3, 256), dtype=np.uint8)
    for position in range(12):
        expected = Image.fromarray(IMAGES[position]).point(table[position].ravel().tolist())
        got = moved_and_recoloured(IMAGES[position], EpochDraws(tables_NCV=table), position)
        np.testing.assert_array_equal(got, np.asarray(expected))


def test_a_colour_matrix_is_pillows_and_its_values_stay_within_a_byte() -> None:
    """Pillow's `convert` with 12 numbers rounds in its own way: within one level."""
    matrices = np.random.default_rng(2).normal(0, 1, (12, 3, 4)).astype(np.float32)
    matrices[..., 3] *= 100
    for position in range(12):
        expected = Image.fromarray(IMAGES[position]).convert("RGB", matrices[position].ravel().tolist())
        got = augmented(IMAGES, EpochDraws(colours_NCD=matrices), position, MEAN)
        np.testing.assert_allclose(got, np.asarray(expected), atol=1.0)
    assert (got.min(), got.max()) == (0, 255)


def test_a_table_comes_before_the_matrix_and_both_after_the_geometry() -> None:
    """What comes from outside is black before its colour is changed."""
    inverted = np.broadcast_to(np.arange(255, -1, -1, dtype=np.uint8), (1, 3, 256))
    halved = np.array([[[0.5, 0, 0, 0], [0, 0.5, 0, 0], [0, 0, 0.5, 0]]], np.float32)
    nowhere = np.full((1, 7), -1, np.int32)
    draws = EpochDraws(rows_NH=nowhere, tables_NCV=inverted, colours_NCD=halved)
    np.testing.assert_array_equal(augmented(IMAGES[:1], draws, 0, MEAN), np.full((7, 5, 3), 127.5))


@given(position=st.integers(0, 11), weight=st.floats(0, 1, width=32))
def test_a_mixed_image_is_pillows_blend_of_two_augmented_ones(position: int, weight: float) -> None:
    partners = np.roll(np.arange(12), 5)
    drawn = draw_epoch(Augment(flip=Flip()), 1, 1, 12, 7, 5)
    draws = EpochDraws(columns_NW=drawn.columns_NW, partner_N=partners, weight_N=np.full(12, weight, np.float32))
    own, other = (augmented(IMAGES, drawn, n, MEAN) for n in (position, partners[position]))
    expected = Image.blend(*(Image.fromarray(one.astype(np.uint8)) for one in (other, own)), alpha=weight)
    np.testing.assert_allclose(augmented(IMAGES, draws, position, MEAN), np.asarray(expected), atol=1.0)
    if weight == 1:
        flipped = ImageOps.mirror(Image.fromarray(IMAGES[position]))
        assert np.asarray(flipped).tolist() == own.tolist() or IMAGES[position].tolist() == own.tolist()
