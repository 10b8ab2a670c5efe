"""Figures of studies: means and bands are those of the numbers, nothing is cut off, equal figures are equal files."""

import re

import numpy as np
import pytest

from cnnlab.core.errors import RunError
from cnnlab.report.figures import bands
from cnnlab.report.figures.bands import learning_panels, mean_curves, seed_curves
from cnnlab.report.figures.confusion import confusion_difference
from cnnlab.report.figures.intervals import Dots, far_below, interval_plot
from cnnlab.report.figures.style import arm_styles, save_vector
from cnnlab.report.figures.weights import share_near_zero, weight_histograms


def rows(*accuracies: float | None) -> list[dict]:
    return [{"epoch": n, "val_accuracy": a, "val_loss": a} for n, a in enumerate(accuracies, start=1)]


TWELVE = {f"an arm with quite a long name, number {n}": [rows(0.1, 0.05 * n), rows(0.2, 0.06 * n)] for n in range(12)}


def outside(figure) -> list[str]:
    """Texts that are not wholly inside the figure."""
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in (axes.xaxis.label, axes.yaxis.label, axes.title, *axes.texts)]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())  # ticks beyond are there, but not drawn
            texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    texts += [text for legend in legends for text in legend.get_texts()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text() and text.get_visible()]
    low, high = figure.bbox.x0 - 1, figure.bbox.x1 + 1
    return [text for text, box in boxes if box.x0 < low or box.x1 > high or box.y0 < -1 or box.y1 > figure.bbox.y1 + 1]


def test_a_curve_is_the_mean_and_its_band_spans_the_seeds():
    axes = mean_curves({"a": [rows(0.1, 0.4), rows(0.3, 0.5, 0.9)], "b": [rows(0.7, 0.8)]}).axes[0]
    by_label = {line.get_label(): line for line in axes.lines}
    assert list(by_label) == ["b  80.0%", "a  45.0%"], "ordered by the last mean"
    np.testing.assert_allclose(by_label["a  45.0%"].get_ydata(), [0.2, 0.45])
    (band,) = axes.collections
    points = {tuple(np.round(point, 6)) for path in band.get_paths() for point in path.vertices}
    assert {(1, 0.1), (1, 0.3), (2, 0.4), (2, 0.5)} <= points


def test_curves_end_with_the_shortest_run_and_gaps_stay_gaps():
    curves = seed_curves([rows(0.1, None, 0.3), rows(0.1, 0.2)], "val_accuracy")
    np.testing.assert_array_equal(curves, [[0.1, np.nan], [0.1, 0.2]])
    assert seed_curves([rows(None, None)], "val_accuracy").size == 0


def test_a_loss_that_blows_up_is_cut_off_and_others_are_not():
    tame, wild = [rows(2.0, 1.0), rows(2.0, 0.9)], [rows(2.0, 1e6)]
    assert bands._highest_shown({"a": tame}) is None
    assert bands._highest_shown({"a": tame, "b": wild}) == 4 * 2.0
    assert bands._highest_shown({"a": [rows(None)]}) is None


@pytest.mark.parametrize(
    "figure",
    [
        lambda: mean_curves(TWELVE),
        lambda: learning_panels(TWELVE, "accuracy"),
        lambda: interval_plot({"val": [Dots(name, (0.1 * n, 0.2)) for n, name in enumerate(TWELVE)]}),
        lambda: weight_histograms({"7: linear 120": {"a": np.linspace(-1, 1, 99), "b": np.zeros(99)}}, 1e-3),
        lambda: confusion_difference(np.eye(10) * 0.5, [f"class number {k}" for k in range(10)], "a minus b"),
    ],
    ids=["means", "panels", "intervals", "weights", "confusion"],
)
def test_no_text_is_cut_off(figure):
    assert outside(figure()) == []


def test_twelve_arms_have_twelve_looks():
    lines = mean_curves(TWELVE).axes[0].lines
    assert len({(line.get_color(), str(line.get_linestyle()), str(line._dash_pattern)) for line in lines}) == 12


@pytest.mark.parametrize(
    ("means", "left_out"),
    [
        ((0.10, 0.70, 0.72, 0.71), {"0"}),
        ((0.10, 0.11, 0.72, 0.71), {"0", "1"}),
        ((0.64, 0.70, 0.71), set()),  # six points are worth seeing
        ((0.10, 0.11, 0.10, 0.71), set()),  # most arms are down there
        ((0.10, 0.70), set()),
    ],
)
def test_only_arms_far_below_most_others_are_off_the_scale(means, left_out):
    rows_of = [Dots(str(n), (mean,)) for n, mean in enumerate(means)]
    assert far_below([*rows_of, Dots("empty", ())]) == left_out
    drawn = interval_plot({"val": rows_of}).axes[0]
    assert len([text for text in drawn.texts if "◂" in text.get_text()]) == len(left_out)


def test_arms_of_a_grid_show_their_factors():
    names = [f"lr={lr}, bn={bn}" for lr in (0.01, 0.05, 0.1, 0.2) for bn in ("off", "on")]
    styles = arm_styles(names)
    colours = [styles[name]["color"] for name in names]
    lines = [styles[name]["linestyle"] for name in names]
    assert colours[0::2] == colours[1::2]
    assert len({*colours}) == 4
    assert len({*map(str, lines[0::2])}) == len({*map(str, lines[1::2])}) == 1
    assert lines[0] != lines[1]


@pytest.mark.parametrize("names", [["a=1, b=2", "other"], ["a=1, b=2", "a=1, b=2 "], ["lr=0.1", "lr=0.2"]])
def test_arms_of_no_grid_have_a_colour_each(names):
    colours = [style["color"] for style in arm_styles(names).values()]
    assert len({*colours}) == len(names)


def test_shares_on_axes_have_no_more_decimals_than_their_steps():
    axes = interval_plot({"val": [Dots("a", (0.641, 0.683)), Dots("b", (0.7,))]}).axes[0]
    axes.figure.draw_without_rendering()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert all(re.fullmatch(r"\d+%", label) for label in labels)


def test_dollars_in_names_are_no_mathematics():
    axes = mean_curves({"a $x_i$ $": [rows(0.1, 0.2)]}).axes[0]
    (label,) = axes.get_legend().get_texts()
    label.figure.draw_without_rendering()
    assert label._preprocess_math(label.get_text()) == ("a $x_i$ $  20.0%", False)


def test_share_near_zero_counts_sizes_below_the_threshold():
    assert share_near_zero(np.array([0.0, -0.5, 1e-3, 9e-4, -9e-4]), 1e-3) == 3 / 5


def test_equal_figures_are_equal_files(tmp_path):
    dots = [Dots("a", (0.1, 0.2), (0.05, 0.3), 0.15)]
    for name in ("one", "two"):
        path = save_vector(interval_plot({"val": dots}), tmp_path / f"{name}.svg")
    for suffix in (".svg", ".pdf"):
        first, second = (tmp_path / f"{name}{suffix}" for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    assert path.read_text().startswith("<?xml")


def test_nothing_to_draw_is_an_error():
    with pytest.raises(RunError, match="no learning curve"):
        learning_panels({"a": [[]]}, "loss")
    with pytest.raises(RunError, match="no run has an accuracy on val"):
        mean_curves({"a": [rows(None)]})
