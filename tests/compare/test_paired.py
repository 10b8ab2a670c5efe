"""Two arms over seeds: against scipy and textbook values, and the laws of a difference."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cnnlab.compare.interval import SampleError
from cnnlab.compare.paired import compare_arms, sign_test_p, wilcoxon_p

# Student (1908): hours of sleep gained by ten patients under two drugs, the classic paired t test.
LAEVO = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))
DEXTRO = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
accuracies = st.floats(0, 1).map(lambda x: round(x, 4))
arms = st.dictionaries(st.integers(1, 9), accuracies, min_size=1, max_size=9)


def test_the_sleep_data():
    compared = compare_arms(LAEVO, DEXTRO)
    assert compared.paired
    assert (compared.n, compared.df, compared.seeds) == (10, 9, tuple(range(10)))
    assert compared.effect == pytest.approx(1.58)
    assert compared.p == pytest.approx(0.00283289, abs=1e-8)  # R, t.test(paired = TRUE)
    assert (compared.interval.low, compared.interval.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    assert compared.dz == pytest.approx(1.284558 * 0.9139, abs=1e-3)  # d_z and Hedges' J(9), Hedges 1981, table 1


def test_the_sleep_data_unpaired():
    compared = compare_arms(LAEVO, {seed + 100: value for seed, value in DEXTRO.items()})
    assert not compared.paired
    assert compared.p == pytest.approx(0.07939414, abs=1e-8)  # R, t.test: Welch
    assert compared.df == pytest.approx(17.77647, abs=1e-5)
    assert (compared.interval.low, compared.interval.high) == pytest.approx((-0.2054832, 3.3654832), abs=1e-6)
    assert "unpaired (Welch, 10 against 10 seeds): the arms share no seeds" in compared.note


def test_which_seeds_were_paired_and_which_left_over():
    compared = compare_arms({1: 0.7, 2: 0.8, 3: 0.9}, {2: 0.6, 3: 0.8, 5: 0.5, 4: 0.1})
    assert compared.seeds == (2, 3)
    assert compared.left_over == ((1,), (4, 5))
    assert compared.differences == pytest.approx((0.2, 0.1))
    assert "left arm without a partner: 1; seeds of the right arm without a partner: 4, 5" in compared.note


def test_one_shared_seed_is_no_pairing():
    compared = compare_arms({1: 0.7, 2: 0.72}, {2: 0.6, 3: 0.61})
    assert not compared.paired
    assert "share one seed only" in compared.note


@pytest.mark.parametrize(
    ("left", "right"),
    [({1: 0.7}, {1: 0.6}), ({1: 0.7}, {2: 0.6, 3: 0.5}), ({1: 0.3, 2: 0.2}, {1: 0.2, 2: 0.1})],
)
def test_without_a_spread_there_is_no_p(left, right):
    compared = compare_arms(left, right)
    assert compared.interval is compared.p is compared.dz is None
    assert "spread" in compared.note


def test_an_empty_arm_is_refused():
    with pytest.raises(SampleError, match="right arm: received no values"):
        compare_arms({1: 0.5}, {})


def test_wilcoxon_is_silent_below_six():
    assert wilcoxon_p(np.arange(1.0, 6)) is None
    assert wilcoxon_p(np.array([1.0, 2, 3, 4, 5, 0])) is None  # five differences and a zero
    assert wilcoxon_p(np.arange(1.0, 7)) == pytest.approx(2 / 2**6)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-5, 5).filter(bool), min_size=6, max_size=8))
def test_wilcoxon_with_ties_against_all_signs(differences):
    """Oracle: the rank sum under every assignment of signs."""
    ranks = stats.rankdata(np.abs(differences))
    signs = np.array(list(itertools.product([0, 1], repeat=len(ranks))))
    sums, observed = signs @ ranks, ranks[np.array(differences) > 0].sum()
    tails = (sums >= observed - 1e-9).mean(), (sums <= observed + 1e-9).mean()
    assert wilcoxon_p(np.array(differences, dtype=float)) == pytest.approx(min(1, 2 * min(tails)))


def test_ties_are_ties_though_not_in_binary():
    lefts, rights = [0.3, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9], [0.2, 0.1, 0.3, 0.6, 0.5, 0.7, 0.8]
    rounded = np.subtract(lefts, rights)
    assert len(np.unique(np.abs(rounded))) > 1
    assert wilcoxon_p(rounded) == wilcoxon_p(np.sign(rounded)) == pytest.approx(0.125)


def test_wilcoxon_without_ties_agrees_with_scipy():
    for seed, n in enumerate((6, 11, 20, 45)):
        differences = np.random.default_rng(seed).normal(0.4, 1, n)
        assert wilcoxon_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


def test_sign_test_of_a_textbook():
    # Conover, Practical Nonparametric Statistics: 8 of 9 changes in one direction.
    assert sign_test_p(8, 9) == pytest.approx(2 * 10 / 512)
    assert sign_test_p(0, 0) is None


@settings(deadline=None, max_examples=60)
@given(arms, arms)
def test_antisymmetry(left, right):
    forth, back = compare_arms(left, right), compare_arms(right, left)
    assert forth.effect == pytest.approx(-back.effect, abs=1e-12)
    assert forth.differences == tuple(-d for d in back.differences)
    assert forth.left_over == back.left_over[::-1]
    assert (forth.interval is None) == (back.interval is None)
    if forth.interval:
        assert forth.p == pytest.approx(back.p, rel=1e-9)
        assert forth.interval.low == pytest.approx(-back.interval.high, abs=1e-9)
    assert (forth.wilcoxon_p or 2) == pytest.approx(back.wilcoxon_p or 2)


@settings(deadline=None, max_examples=60)
@given(arms)
def test_paired_p_agrees_with_scipy(left):
    right = {seed: value * value / 2 for seed, value in left.items()}
    compared = compare_arms(left, right)
    if compared.p is not None:
        expected = stats.ttest_rel([left[s] for s in compared.seeds], [right[s] for s in compared.seeds])
        assert compared.p == pytest.approx(expected.pvalue, rel=1e-6)


def test_dz_is_unbiased_for_three_pairs():
    differences = np.random.default_rng(0).normal(1.5, 1, (20000, 3))
    naive = (differences.mean(axis=1) / differences.std(axis=1, ddof=1)).mean()
    nothing = dict.fromkeys(range(3), 0.0)
    ours = compare_arms(dict(enumerate(differences[0])), nothing)
    factor = ours.dz / (differences[0].mean() / differences[0].std(ddof=1))
    assert naive > 2.4  # true value 1.5
    assert naive * factor == pytest.approx(1.5, abs=0.1)
