"""Splits: exact counts, stratified, disjoint, the same for the same seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.errors import RecipeError
from cnnlab.data import split_indices


@given(st.lists(st.integers(0, 6), min_size=2, max_size=200), st.integers(0, 10**6), st.integers(0, 2**40))
def test_a_count_is_exact_disjoint_and_proportional(labels, wanted, seed):
    labels = np.array(labels, dtype=np.int64)
    count = wanted % len(labels)
    train, val = split_indices(labels, count, seed)
    assert len(val) == count
    assert sorted([*train, *val]) == list(range(len(labels)))
    for label in np.unique(labels):
        share = count * np.sum(labels == label) / len(labels)
        assert abs(np.sum(labels[val] == label) - share) < 1


def test_cifar_sizes_give_500_a_class():
    labels = np.arange(50_000) % 10
    train, val = split_indices(labels, 5_000, seed=1)
    assert np.bincount(labels[val]).tolist() == [500] * 10
    assert len(train) == 45_000
    assert np.array_equal(val, split_indices(labels, 0.1, seed=1)[1])


def test_the_seed_decides_and_nothing_else():
    labels = np.arange(1000) % 10
    first, again, other = (split_indices(labels, 100, seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_class_keeps_its_choice_when_other_classes_grow():
    few = np.repeat([0, 1], [50, 50])
    many = np.repeat([0, 1], [50, 150])
    chosen_few, chosen_many = split_indices(few, 0.2, 3)[1], split_indices(many, 0.2, 3)[1]
    assert np.array_equal(chosen_few[chosen_few < 50], chosen_many[chosen_many < 50])


@pytest.mark.parametrize("val", [100, 101, -1, 1.0, 1.5, -0.1, True, float("nan")])
def test_what_does_not_fit_is_refused(val):
    with pytest.raises(RecipeError, match=r"data\.val: received .*expected a count from 0 to 99, or a fraction"):
        split_indices(np.zeros(100, dtype=np.int64), val, seed=0)


def test_none_is_none():
    train, val = split_indices(np.zeros(7, dtype=np.int64), 0, seed=0)
    assert (len(train), len(val)) == (7, 0)


@pytest.mark.parametrize(("images", "val"), [(5000, 0.00001), (1, 0.9), (7, 5e-324)])
def test_a_fraction_that_comes_to_no_image_is_refused(images, val):
    with pytest.raises(RecipeError) as caught:
        split_indices(np.zeros(images, dtype=np.int64), val, seed=0)
    for part in (f"data.val: received {val}", f"{images} training images", "expected", "0 for none"):
        assert part in str(caught.value)
