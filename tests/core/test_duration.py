"""Durations: reading, writing, steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.duration import Duration

durations = st.one_of(
    st.builds(Duration, st.floats(0, 1000).map(lambda x: round(x, 3)), st.just("ep")),
    st.builds(Duration, st.integers(0, 10**6).map(float), st.just("it")),
    st.builds(Duration, st.floats(0, 100).map(lambda x: round(x, 3)), st.just("%")),
)


@given(durations)
def test_text_round_trips(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("8ep", Duration(8, "ep")),
        ("1.5 ep", Duration(1.5, "ep")),
        (8, Duration(8, "ep")),
        ("500it", Duration(500, "it")),
        ("10%", Duration(10, "%")),
        (Duration(3, "ep"), Duration(3, "ep")),
    ],
)
def test_forms(value: object, expected: Duration) -> None:
    assert Duration.parse(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "8",
        "ep",
        "-8ep",
        "8 epochs",
        "1.5it",
        "101%",
        "",
        "nanep",
        -1,
        float("inf"),
        float("nan"),
        True,
        None,
        [8],
    ],
)
def test_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"received .*expected"):
        Duration.parse(value)


def test_steps_and_fraction() -> None:
    assert Duration(2.5, "ep").steps(steps_per_epoch=352, total_steps=3520) == 880
    assert Duration(500, "it").steps(352, 3520) == 500
    assert Duration(10, "%").steps(352, 3520) == 352
    epochs, steps = Duration(10, "ep"), Duration(2000, "it")
    assert Duration(5, "ep").fraction(epochs) == 0.5
    assert Duration(25, "%").fraction(epochs) == Duration(25, "%").fraction(steps) == 0.25
    assert Duration(500, "it").fraction(steps) == 0.25
    assert Duration(500, "it").fraction(epochs) is None
    assert Duration(5, "ep").fraction(steps) is None
    assert Duration(0, "ep").fraction(steps) == 0
