"""Numbers of learning curves on curves whose numbers are known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.compare.curves import change_after, fall_after, settled_after, unsteadiness
from cnnlab.core.errors import CnnlabError

CURVES = st.lists(st.floats(-10, 10), min_size=10, max_size=60)
# Forty epochs: down by 0.1 to epoch 20, then up by 0.05. Levels are means of four epochs.
VALLEY = [5 - 0.1 * n for n in range(20)] + [3.1 + 0.05 * n for n in range(1, 21)]
END = sum(VALLEY[36:]) / 4


def test_a_change_is_between_two_levels() -> None:
    assert change_after(VALLEY, 0.5) == pytest.approx(END - sum(VALLEY[16:20]) / 4)
    assert change_after(VALLEY, 0.1) == pytest.approx(END - sum(VALLEY[:4]) / 4)


def test_a_fall_is_from_the_best_level_later_on() -> None:
    """Up to 0.9 in epoch 30, down to 0.84 in epoch 40: a rise since epoch 10, and a fall all the same."""
    hill = [0.6 + 0.01 * n for n in range(1, 31)] + [0.9 - 0.006 * n for n in range(1, 11)]
    best = max(sum(hill[n : n + 4]) / 4 for n in range(37))
    assert fall_after(hill, 0.25) == pytest.approx(best - sum(hill[36:]) / 4)
    assert fall_after(hill, 0.25) > 0.04
    assert change_after(hill, 0.25) > 0.1
    assert fall_after([0.5] * 10 + [0.6] * 30, 0.25) == pytest.approx(0)


def test_a_line_is_steady_and_a_saw_is_not() -> None:
    assert unsteadiness([2 - 0.05 * n for n in range(20)]) == pytest.approx(0)
    assert unsteadiness([0.0, 1.0] * 10) == pytest.approx(1)
    saw, line = [0.0, 9.0] * 5, [0.0] * 10
    assert unsteadiness(line + saw) > 8
    assert unsteadiness([*saw[:-1], 0.0, 0.0, *line]) == pytest.approx(0), "only the second half counts"


def test_a_curve_settles_where_its_levels_do() -> None:
    # Within 0.13 of the end (4.025) are the levels that end in epochs 37 to 40; those on the way down leave it again.
    levels = {end: sum(VALLEY[end - 4 : end]) / 4 for end in range(4, 41)}
    last_outside = max(end for end, level in levels.items() if abs(level - END) > 0.13)
    assert settled_after(VALLEY, 0.13) == pytest.approx(last_outside / 40)
    bump = [0.3] * 60
    bump[55] = 0.45  # one of six: its levels are off by 0.025
    assert settled_after(bump, 0.05) == 0


@given(CURVES, st.floats(0.01, 5))
def test_a_constant_changes_nothing_but_the_level(values: list[float], distance: float) -> None:
    moved = [value + 2 for value in values]
    for number in (lambda curve: change_after(curve, 0.5), lambda curve: fall_after(curve, 0.5), unsteadiness):
        assert number(moved) == pytest.approx(number(values), abs=1e-9)


@given(CURVES, st.floats(0.001, 5), st.floats(0.001, 5))
def test_a_wider_distance_settles_no_later(values: list[float], one: float, other: float) -> None:
    near, far = sorted((one, other))
    assert 0 <= settled_after(values, far) <= settled_after(values, near) < 1


@given(CURVES, st.floats(0.1, 0.9))
def test_a_fall_is_never_negative(values: list[float], fraction: float) -> None:
    assert fall_after(values, fraction) >= 0


@pytest.mark.parametrize("fraction", [0, 1, 1.5])
def test_a_fraction_outside_the_curve_is_refused(fraction: float) -> None:
    for number in (change_after, fall_after):
        with pytest.raises(CnnlabError, match="expected one between 0 and 1"):
            number([1.0] * 10, fraction)


def test_nine_epochs_are_too_few() -> None:
    for number in (lambda curve: change_after(curve, 0.5), unsteadiness, lambda curve: settled_after(curve, 0.1)):
        with pytest.raises(CnnlabError, match="received 9 epochs, expected 10 or more"):
            number([1.0] * 9)
