"""The confusion matrix as a picture: both files, numbers where they fit, text that can be read."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb

from cnnlab.report.figures import confusion as module
from cnnlab.report.figures import confusion_heatmap


def counts(classes: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.integers(0, 30, (classes, classes)) + 200 * np.eye(classes, dtype=int)


def names(classes: int) -> list[str]:
    return [f"a class named {k}" for k in range(classes)]


@pytest.mark.parametrize("classes", [2, 30])
def test_png_and_svg_are_written(tmp_path: Path, classes: int) -> None:
    png, svg = confusion_heatmap(counts(classes), names(classes), tmp_path / "confusion.png", "a title")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert ElementTree.parse(svg).getroot().tag.endswith("svg")


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_every_text_lies_inside_the_figure(classes: int) -> None:
    figure = module._draw(counts(classes), names(classes), "a title of ordinary length, accuracy 71.0%")
    figure.draw_without_rendering()
    axes, bar = figure.axes
    texts = [figure._suptitle, axes.xaxis.label, axes.yaxis.label, bar.yaxis.label, *axes.texts]
    texts += [*axes.get_xticklabels(), *axes.get_yticklabels(), *bar.get_yticklabels()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    outside = [
        text
        for text, box in boxes
        if not (box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1)
    ]
    assert not outside


def test_few_classes_have_counts_and_shares_of_the_row_many_have_none() -> None:
    matrix = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    texts = [text.get_text() for text in module._draw(matrix, names(3), "title").axes[0].texts]
    assert sorted(texts) == sorted(
        [
            *("3", "75.0%", "1", "25.0%", "2", "100.0%"),  # cells; empty ones stay empty
            *("recall", "75.0%", "100.0%", "–", "precision", "100.0%", "66.7%", "–"),
        ]
    )
    assert not module._draw(counts(100), names(100), "title").axes[0].texts


def test_rows_are_true_classes_and_colours_their_shares() -> None:
    matrix = counts(5)
    axes = module._draw(matrix, names(5), "title").axes[0]
    np.testing.assert_allclose(axes.images[0].get_array(), matrix / matrix.sum(axis=1, keepdims=True))
    assert [label.get_text() for label in axes.get_yticklabels()] == names(5)
    assert axes.get_ylabel().startswith("true")
    assert axes.get_xlabel().startswith("predicted")


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_text_on_every_colour_has_the_contrast_that_wcag_asks_for(share: float) -> None:
    background = colormaps["Blues"](np.sqrt(share))[:3]
    a, b = sorted((module._luminance(background), module._luminance(to_rgb(module._ink_on(background)))))
    assert (b + 0.05) / (a + 0.05) >= 4
