"""The map of a loss surface: drawn for every kind of surface, with what it is read for."""

from pathlib import Path

import numpy as np
import pytest

from cnnlab.inspect.surface import nonconvexity
from cnnlab.report.figures import loss_surface

OFFSETS = np.linspace(-1, 1, 9)
X, Y = np.meshgrid(OFFSETS, OFFSETS, indexing="ij")


def draw(surface: np.ndarray, path: Path) -> str:
    png, svg = loss_surface(OFFSETS, surface, nonconvexity(surface, 0.25), path, "a run: nonconvexity 0.1")
    assert png.read_bytes().startswith(b"\x89PNG")
    return svg.read_text()


@pytest.fixture(autouse=True)
def _text_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")


def test_the_marks_and_their_values(tmp_path: Path) -> None:
    drawn = draw(1 + (X - 0.5) ** 2 + 2 * Y**2, tmp_path / "bowl.png")
    for text in (
        "trained weights: 1.25",
        "lowest point: 1",
        "a run: nonconvexity 0.1",
        "cross-entropy in nats",
    ):
        assert text in drawn
    assert "not convex" not in drawn


def test_dots_where_it_is_not_convex(tmp_path: Path) -> None:
    assert "not convex (49 of 49 points)" in draw(2 + X**2 - Y**2, tmp_path / "saddle.png")


def test_the_first_direction_runs_to_the_right(tmp_path: Path) -> None:
    from PIL import Image

    draw(np.exp(3 * X), tmp_path / "slope.png")
    pixels = np.asarray(Image.open(tmp_path / "slope.png").convert("L")).astype(float)
    height, width = pixels.shape
    row = pixels[int(height * 0.3) : int(height * 0.4)].mean(axis=0)
    assert row[int(width * 0.15)] > row[int(width * 0.75)] + 50  # dark is high


@pytest.mark.parametrize("surface", [np.full((9, 9), 2.3), X**2 + Y**2, 1e-3 + 1e6 * X**2])
def test_flat_zero_and_steep_surfaces_are_drawn(tmp_path: Path, surface: np.ndarray) -> None:
    assert "lowest point" in draw(surface, tmp_path / "surface.png")
