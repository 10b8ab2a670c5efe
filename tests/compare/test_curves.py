"""Numbers of learning curves on curves whose numbers are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.compare.curves import change_after, settled_after, unsteadiness
from cnnlab.core.errors import CnnlabError

CURVES = st.lists(st.floats(-10, 10), min_size=1, max_size=60)


def test_a_curve_that_falls_and_rises() -> None:
    """Forty epochs: down by 0.1 to epoch 20, then up by 0.05; levels are means of four epochs."""
    values = [5 - 0.1 * n for n in range(20)] + [3.1 + 0.05 * n for n in range(1, 21)]
    bottom, end = sum(values[16:20]) / 4, sum(values[36:]) / 4
    assert change_after(values, 0.5) == pytest.approx(end - bottom)
    assert change_after(values, 0.1) == pytest.approx(end - sum(values[:4]) / 4)
    assert unsteadiness(values) == pytest.approx(0.05)
    # The end is 4.025. The last five epochs, 3.9 to 4.1, stay within 0.13 of it; on the way down the curve leaves it.
    assert settled_after(values, 0.13) == pytest.approx(35 / 40)


def test_steadiness_is_that_of_the_second_half() -> None:
    assert unsteadiness([0, 9, 0, 9, 0, 0, 1, 0]) == pytest.approx((9 + 0 + 1 + 1) / 4)
    assert unsteadiness([3.0]) == 0
    assert unsteadiness([3.0, 1.0]) == 2


@given(CURVES, st.floats(0.01, 5))
def test_a_constant_changes_nothing_but_the_level(values: list[float], distance: float) -> None:
    moved = [value + 2 for value in values]
    assert change_after(moved, 0.5) == pytest.approx(change_after(values, 0.5), abs=1e-9)
    assert unsteadiness(moved) == pytest.approx(unsteadiness(values), abs=1e-9)


@given(CURVES, st.floats(0.001, 5), st.floats(0.001, 5))
def test_a_wider_distance_settles_no_later(values: list[float], one: float, other: float) -> None:
    near, far = sorted((one, other))
    assert 0 <= settled_after(values, far) <= settled_after(values, near) <= 1


@pytest.mark.parametrize("fraction", [0, 1, 1.5])
def test_a_fraction_outside_the_curve_is_refused(fraction: float) -> None:
    with pytest.raises(CnnlabError, match="expected one between 0 and 1"):
        change_after([1.0, 2.0], fraction)
