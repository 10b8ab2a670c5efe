"""Dropout masks: what they depend on, how often units are kept, and that nothing in them is alike."""

import numpy as np
import pytest
from scipy import stats

from cnnlab.engines.dropout import keep_mask, words


def mask(seed: int = 1, path: str = "3", epoch: int = 0, images: int = 400, units: int = 500, p: float = 0.5):
    return keep_mask(*words(seed, path, epoch, images, units), p)


def by_definition(x: int) -> int:
    """lowbias32, as its author prints it, in Python's integers."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ x >> 16


def test_masks_are_the_documented_formula() -> None:
    from cnnlab.core.seeding import derive_key

    key = derive_key(5, "dropout/1.body.2", 3)
    found = keep_mask(*words(5, "1.body.2", 3, 6, 7), 0.3)
    for image in range(6):
        for unit in range(7):
            x = by_definition(image ^ key % 2**32) ^ by_definition(unit ^ (key >> 32) % 2**32)
            x = x * 0x7FEB352D % 2**32
            x ^= x >> 15
            x = x * 0x846CA68B % 2**32
            top = x >> 8  # 24 bits; as a signed number those from 2**23 on lie below 0
            assert found[image, unit] == ((top - 2**24 if top >= 2**23 else top) >= round(0.3 * 2**24) - 2**23)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.2, 0.5, 0.9, 1.0])
def test_as_many_are_kept_as_p_says_in_every_image_and_of_every_unit(p: float) -> None:
    kept = mask(p=p, images=600, units=600)
    if p in (0.0, 1.0):
        assert kept.all() == (p == 0.0)
        assert kept.any() == (p == 0.0)
        return
    total = stats.binomtest(int(kept.sum()), kept.size, 1 - p)
    assert total.pvalue > 1e-4
    for counts in (kept.sum(0), kept.sum(1)):  # each is binomial; too even would be as wrong as too uneven
        z2 = (counts - 600 * (1 - p)) ** 2 / (600 * p * (1 - p))
        assert 1e-4 < stats.chi2.sf(z2.sum(), 600) < 1 - 1e-4


def test_images_units_epochs_layers_and_seeds_are_independent_of_one_another() -> None:
    reference = mask()
    others = [mask(epoch=1), mask(path="4"), mask(seed=2), np.roll(reference, 1, 0), np.roll(reference, 1, 1)]
    for other in others:
        agreement = int((reference == other).sum())
        assert stats.binomtest(agreement, reference.size, 0.5).pvalue > 1e-4


def test_pairs_of_images_and_of_units_are_uncorrelated() -> None:
    signs = np.where(mask(images=300, units=4000), 1.0, -1.0)
    products = (signs @ signs.T)[np.triu_indices(300, 1)] / np.sqrt(4000)
    assert stats.kstest(products, "norm").pvalue > 1e-4
    # Four words in a square have an exclusive or of 0: their four bits must be independent all the same.
    squares = signs[:-1, :-1] * signs[1:, :-1] * signs[:-1, 1:] * signs[1:, 1:]
    assert abs(squares.mean()) < 4 / np.sqrt(squares.size / 4)
