"""Verdicts: what few seeds can show, the laws of swapped arms, error rates by simulation."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from cnnlab.compare.claims import Claim, ClaimError
from cnnlab.compare.table import Beyond
from cnnlab.compare.verdicts import decide, decide_all

OPPOSITE = {"confirmed": "refuted", "refuted": "confirmed", "undecided": "undecided"}
BASE = {1: 0.651, 2: 0.655, 3: 0.653}
AUGMENTED = {1: 0.731, 2: 0.728, 3: 0.735}
accuracies = st.floats(0, 1).map(lambda x: round(x, 4))


def arm(values):
    return dict(enumerate(values, start=1))


def test_an_effect_far_above_the_noise_is_confirmed_with_three_seeds():
    verdict = decide(Claim("aug", ">", "base", 0.05, "test"), {"aug": AUGMENTED, "base": BASE})
    assert verdict.verdict == "confirmed"
    assert verdict.effect == pytest.approx(0.0783333)
    assert verdict.interval.low > 0.05
    assert verdict.p == verdict.p_holm < 0.05
    assert verdict.n == 3


def test_refuted_when_the_opposite_is_supported():
    verdict = decide(Claim("base", ">=", "aug", 0, "test"), {"aug": AUGMENTED, "base": BASE})
    assert verdict.verdict == "refuted"


def test_a_small_effect_stays_undecided_and_says_why():
    small = {1: 0.655, 2: 0.653, 3: 0.659}
    verdict = decide(Claim("bn", ">", "base", 0, "test"), {"bn": small, "base": BASE})
    assert verdict.verdict == "undecided"
    assert "points as claimed, but p = " in verdict.reason
    assert "so few seeds can only show effects far above their spread" in verdict.reason


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ({1: 0.9}, {1: 0.1}, "not testable with 1 seed; one pair: the spread of the difference is unknown"),
        ({}, {1: 0.1}, "no replicates of a yet"),
        ({1: 0.9, 2: 0.8}, {3: 0.1}, "unpaired (Welch, 2 against 1 seeds)"),
        ({1: 0.1, 2: 0.1, 3: 0.1}, {1: 0.7, 2: 0.7, 3: 0.7}, "all 3 differences are equal"),
    ],
)
def test_what_cannot_be_tested_is_undecided(left, right, words):
    verdict = decide(Claim("a", ">", "b", 0, "test"), {"a": left, "b": right})
    assert verdict.verdict == "undecided"
    assert words in verdict.reason


def test_against_a_number_it_is_the_one_sample_test():
    verdict = decide(Claim("aug", ">=", 0.65, 0, "test"), {"aug": AUGMENTED})
    assert verdict.verdict == "confirmed"
    assert verdict.p == pytest.approx(stats.ttest_1samp(list(AUGMENTED.values()), 0.65).pvalue)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(accuracies, accuracies), min_size=3, max_size=8), st.floats(0.001, 0.5))
def test_equivalence_is_tost_at_half_alpha(pairs, margin):
    left, right = zip(*pairs, strict=True)
    differences = np.subtract(left, right)
    assume(differences.std() > 1e-6)
    verdict = decide(Claim("a", "==", "b", margin, "test"), {"a": arm(left), "b": arm(right)})
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    assert (verdict.verdict == "confirmed") == (max(above, below) <= 0.025)
    if abs(differences.mean()) < margin:
        assert verdict.p == pytest.approx(2 * max(above, below))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(accuracies, accuracies), min_size=1, max_size=8),
    st.sampled_from([">", ">=", "<", "<="]),
    st.floats(-0.2, 0.2).map(lambda x: round(x, 3)),
    st.sampled_from(["once", "repeated"]),
)
def test_swapped_arms_flip_the_verdict(pairs, relation, margin, looks):
    """a > b + m is refuted exactly where b > a - m is confirmed; a < b says what b > a says."""
    left, right = zip(*pairs, strict=True)
    table = {"a": arm(left), "b": arm(right)}
    forth = decide(Claim("a", relation, "b", margin, "test"), table, looks=looks)
    back = decide(Claim("b", relation, "a", -margin, "test"), table, looks=looks)
    mirrored = {">": "<", ">=": "<=", "<": ">", "<=": ">="}[relation]
    same = decide(Claim("b", mirrored, "a", margin, "test"), table, looks=looks)
    assert forth.verdict == OPPOSITE[back.verdict] == same.verdict


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(accuracies, accuracies), min_size=2, max_size=8), st.sampled_from(["once", "repeated"]))
def test_a_lone_verdict_is_what_its_interval_says(pairs, looks):
    left, right = zip(*pairs, strict=True)
    verdict = decide(Claim("a", ">", "b", 0, "test"), {"a": arm(left), "b": arm(right)}, looks=looks)
    if verdict.interval is not None:
        decided = 0 not in verdict.interval
        assert (verdict.verdict != "undecided") == decided


def test_holm_over_the_study():
    close = {1: 0.660, 2: 0.663, 3: 0.659, 4: 0.662, 5: 0.657}
    base = {1: 0.651, 2: 0.659, 3: 0.653, 4: 0.655, 5: 0.654}
    claim = Claim("close", ">", "base", 0, "test")
    table = {"close": close, "base": base}
    assert decide(claim, table).verdict == "confirmed"
    hopeless = [Claim("base", ">", 0.655 + i / 1e5, 0, "test") for i in range(9)]
    together = decide_all([claim, *hopeless], {"test": table})
    assert together[0].verdict == "undecided"
    assert together[0].p_holm == pytest.approx(10 * together[0].p)
    assert "after Holm over 10 claims" in together[0].reason


def test_unknown_arms_and_metrics_all_together():
    claims = [Claim("agu", ">", "bse", 0, "test"), Claim("aug", ">", "base", 0, "tset")]
    with pytest.raises(ClaimError) as caught:
        decide_all(claims, {"test": {"aug": AUGMENTED, "base": BASE}})
    assert [problem.split("; ")[1] for problem in caught.value.problems] == [
        "did you mean 'aug'?",
        "did you mean 'base'?",
        "did you mean 'test'?",
    ]


def test_epochs_never_reached_are_weighed_by_order_alone():
    fast = {seed: 10.0 + seed for seed in range(1, 7)}
    never = dict.fromkeys(range(1, 7), Beyond(30))
    table = {"bn": fast, "base": never}
    verdict = decide(Claim("bn", "<", "base", 0, "epochs_to 0.6"), table)
    assert verdict.verdict == "confirmed"
    assert verdict.effect is verdict.interval is None
    assert "0 of 6 and 6 of 6 values lie beyond what was trained; sign test: 6 of 6" in verdict.reason
    assert decide(Claim("base", "<", "bn", 0, "epochs_to 0.6"), table).verdict == "refuted"
    three = {name: {seed: values[seed] for seed in (1, 2, 3)} for name, values in table.items()}
    assert decide(Claim("bn", "<", "base", 0, "epochs_to 0.6"), three).verdict == "undecided"


def test_repeated_looks_ask_for_more():
    table = {"aug": {1: 0.731, 2: 0.728, 3: 0.745}, "base": BASE}
    claim = Claim("aug", ">", "base", 0, "test")
    once, repeated = (decide(claim, table, looks=looks) for looks in ("once", "repeated"))
    assert once.p < repeated.p
    assert once.interval.low > repeated.interval.low
    assert repeated.interval.method == "anytime t"
    unpaired = {"aug": table["aug"], "base": {seed + 10: value for seed, value in BASE.items()}}
    assert decide(claim, unpaired).verdict == "confirmed"
    refused = decide(claim, unpaired, looks="repeated")
    assert (refused.verdict, refused.interval) == ("undecided", None)
    assert "repeated looks are valid for paired seeds alone" in refused.reason


def test_replicates_that_diverged_are_counted_in_the_reason():
    """A divergence has no value: it is no 0 and no replicate that is still to come."""
    table = {"fast": {}, "slow": BASE, "other": {1: 0.60, 2: 0.61}}
    lost = {"fast": {1: "diverged", 2: "diverged", 3: "failed"}, "other": {3: "diverged"}}
    nothing = decide_all(
        [Claim("fast", "<", 0.2, 0, "test"), Claim("slow", ">", "other", 0, "test")],
        {"test": table},
        lost=lost | {"fast": {1: "diverged", 2: "diverged"}},
    )
    assert (nothing[0].verdict, nothing[0].p, nothing[0].n) == ("undecided", None, 0)
    assert nothing[0].reason == ("not testable; fast diverged under every seed (1, 2): a result, but no number to test")
    assert "other diverged under 1 of 3 seeds (3), the verdict is about the others only" in nothing[1].reason
    (mixed,) = decide_all([Claim("fast", ">", "slow", 0, "test")], {"test": table}, lost=lost)
    assert "fast diverged under 2 of 3 seeds (1, 2)" in mixed.reason
    assert "fast failed under 1 of 3 seeds (3)" in mixed.reason
    assert "yet" not in mixed.reason


@pytest.mark.parametrize(("relation", "margin", "truth"), [(">", 0.0, 0.0), (">", 0.01, 0.01), ("==", 0.01, 0.01)])
def test_false_verdicts_at_the_border_are_rare(relation, margin, truth):
    """On the border of the claimed region any verdict may be called false; alpha bounds all of them."""
    rng = np.random.default_rng(5)
    claim = Claim("a", relation, "b", margin, "test")
    trials = 1000
    decided = 0
    for noise in rng.normal(truth, 0.01, (trials, 4)):
        table = {"a": arm(0.7 + noise), "b": arm([0.7] * 4)}
        decided += decide(claim, table).verdict != "undecided"
    assert decided / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)
