"""Claims as values: what they say, what is refused, what a single pair says about them."""

import pytest

from cnnlab.compare.claims import Claim, ClaimError
from cnnlab.compare.table import Beyond


def test_all_problems_at_once():
    with pytest.raises(ClaimError) as caught:
        Claim("a", "=>", "a", float("nan"), "test")
    assert len(caught.value.problems) == 3
    assert "expected one of: >, >=, <, <=, ==" in str(caught.value)


@pytest.mark.parametrize("margin", [0, -0.1])
def test_equality_needs_a_margin(margin):
    with pytest.raises(ClaimError, match="say which difference would not matter"):
        Claim("a", "==", "b", margin, "test")


def test_a_claim_reads_as_a_sentence():
    assert str(Claim("bn", ">", "base", 0.01, "test")) == "test: bn > base by 0.01"
    assert str(Claim("bn", ">=", 0.65, 0, "test")) == "test: bn >= 0.65"
    assert str(Claim("swish", "==", "relu", 0.01, "test")) == "test: swish == relu within 0.01"
    assert str(Claim("bn", ">", "base", 0, "test", "Batch norm helps")) == "Batch norm helps"


@pytest.mark.parametrize(
    ("relation", "margin", "inside", "outside"),
    [
        (">", 0.5, 0.6, 0.4),
        (">=", -0.5, -0.4, -0.6),
        ("<", 0.5, -0.6, -0.4),
        ("<=", 0, -0.1, 0.1),
        ("==", 1, -0.9, 1.1),
    ],
)
def test_distance_is_positive_inside_the_claimed_region(relation, margin, inside, outside):
    claim = Claim("a", relation, "b", margin, "test")
    assert claim.distance_inside(inside) == pytest.approx(0.1)
    assert claim.distance_inside(outside) == pytest.approx(-0.1)
    assert claim.holds_for(inside, 0.0) is True
    assert claim.holds_for(outside, 0.0) is False


def test_a_pair_on_the_border_says_nothing():
    assert Claim("a", ">", "b", 0.1, "test").holds_for(0.3, 0.2) is None  # 0.3 - 0.2 < 0.1 in binary
    assert Claim("a", ">", "b", 0, "test").holds_for(5, 5) is None


@pytest.mark.parametrize(
    ("relation", "margin", "left", "right", "holds"),
    [
        ("<", 0, 12, Beyond(30), True),  # reached against never
        ("<", 10, 12, Beyond(30), True),  # at least 18 earlier
        ("<", 20, 12, Beyond(30), None),
        ("<", 0, 12, Beyond(10), None),  # the other was not trained for long enough
        (">", 0, 12, Beyond(30), False),
        ("<", 0, Beyond(30), 12, False),
        (">", 18, Beyond(30), 12, None),
        ("<", 0, Beyond(30), Beyond(30), None),
        ("==", 5, 12, Beyond(30), False),
        ("==", 20, 12, Beyond(30), None),
        ("==", 5, 12, Beyond(10), None),
        ("==", 5, Beyond(9), Beyond(9), None),
    ],
)
def test_values_that_were_never_reached(relation, margin, left, right, holds):
    assert Claim("a", relation, "b", margin, "epochs_to 0.6").holds_for(left, right) is holds
