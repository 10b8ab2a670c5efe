"""How convex a surface is, on surfaces whose curvatures are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlab.inspect.surface import curvatures, nonconvexity, smoothness

OFFSETS = np.linspace(-1, 1, 21)
STEP = OFFSETS[1] - OFFSETS[0]
X, Y = np.meshgrid(OFFSETS, OFFSETS, indexing="ij")


@pytest.mark.parametrize(
    ("surface", "ratio"),
    [
        (X**2 + 3 * Y**2, 0),  # a bowl
        (X**2 - Y**2, 1),  # a saddle
        (X**2 - 0.25 * Y**2, 0.25),
        (4 * X * Y, 1),  # a saddle whose axes are the diagonals
        (-(X**2) - 2 * Y**2, 1),  # a dome: no upward curvature to divide by
        (-0.25 * X**2 + Y, 1),
        (X**2, 0),  # a trough is convex
        (3 * X - Y + 2, 0),
    ],
)
def test_surfaces_of_equal_curvature_everywhere(surface: np.ndarray, ratio: float) -> None:
    found = smoothness(surface, STEP)
    assert found.nonconvexity == pytest.approx(ratio)
    assert found.nonconvex_points == (361 if ratio else 0)
    assert found.inner_points == 361
    assert (found.lowest, found.highest) == (surface.min(), surface.max())


def test_a_wave_is_convex_in_its_troughs_alone() -> None:
    wave = np.sin(2 * np.pi * (X + 0.025))  # two periods, no point on a zero
    found = smoothness(wave, STEP)
    crests = int((wave[1:-1, 1:-1] > 0).sum())
    assert found.nonconvex_points == crests
    assert found.nonconvexity == pytest.approx(crests / 361)
    assert 0.4 < found.nonconvexity < 0.6


@given(
    low=st.floats(-9, 9),
    high=st.floats(0.1, 9),
    angle=st.floats(0, np.pi),
    tilt=st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 5)),
)
def test_curvatures_do_not_depend_on_how_the_axes_lie(
    low: float, high: float, angle: float, tilt: tuple[float, float, float]
) -> None:
    along, across = X * np.cos(angle) + Y * np.sin(angle), Y * np.cos(angle) - X * np.sin(angle)
    surface = (low * along**2 + high * across**2) / 2 + tilt[0] * X + tilt[1] * Y + tilt[2]
    smaller, larger = curvatures(surface, STEP)
    np.testing.assert_allclose(smaller, min(low, high), atol=1e-9)
    np.testing.assert_allclose(larger, max(low, high), atol=1e-9)
    if abs(low) > 0.1:
        expected = max(-low, 0) / max(abs(low), high)
        assert smoothness(surface, STEP).nonconvexity == pytest.approx(expected, abs=1e-6)


def test_rounding_is_no_curvature() -> None:
    plane = np.float32(2.3 + 0.1 * X)  # as losses of float32 outputs are
    assert np.abs(curvatures(plane.astype(np.float64), STEP)[0]).max() > 0
    assert not nonconvexity(plane.astype(np.float64), STEP).any()
