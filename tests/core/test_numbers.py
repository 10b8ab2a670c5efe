"""Numbers and tables as people and programs read them."""

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.core.numbers import count, general, percent, signed
from cnnlab.core.tables import csv_text


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (count(1, "run"), "1 run"),
        (count(2000, "run"), "2,000 runs"),
        (count(0, "seed"), "0 seeds"),
        (percent(0.71345), "71.34%"),
        (percent(0.5, 1), "50.0%"),
        (percent(None), ""),
        (percent(math.nan, unknown="-"), "-"),
        (signed(1.234, 2), "+1.23"),
        (signed(-0.5, 1), "−0.5"),
        (signed(-0.001, 2), "0.00"),
        (signed(3, 1, plus=False), "3.0"),
        (general(-0.012345), "−0.0123"),
        (general(12345.6), "12,346"),
    ],
)
def test_as_people_read_them(written: str, expected: str):
    assert written == expected


cells = st.text(st.characters(codec="utf-8", exclude_characters="\r\0")) | st.floats(allow_nan=False) | st.none()


@given(st.lists(st.tuples(cells, cells)))
def test_csv_is_read_back_with_every_digit(rows: list[tuple[object, object]]):
    head, *read = csv.reader(io.StringIO(csv_text(("a", "b"), rows)))
    assert head == ["a", "b"]
    for (text, other), row in zip(read, rows, strict=True):
        for cell, value in zip((text, other), row, strict=True):
            assert (float(cell) if isinstance(value, float) else cell) == ("" if value is None else value)
