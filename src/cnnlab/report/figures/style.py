"""Shared by all figures: colours, plain axes, grids of panels, writing to files.

Colours: Okabe and Ito, "Color Universal Design" (2008), distinct for any colour vision; test is also dashed, for print
without colour.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic

SPLIT_STYLES = {
    "train": {"color": "#0072B2", "linestyle": "-"},
    "val": {"color": "#D55E00", "linestyle": "-"},
    "test": {"color": "#009E73", "linestyle": "--"},
}
ARM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, GREY, PALE = "#1A1A1A", "#666666", "#DDDDDD"
LEGEND_BOX = {"frameon": True, "framealpha": 0.9, "edgecolor": "none"}
CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}
PNG_DPI = 160
_LINES = ("-", (0, (4, 1.5)), (0, (1, 1)))


def plain(axes: Axes) -> None:
    """A pale grid behind the data; no axis lines at the top and right."""
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def percent_axis(axis: Axis) -> None:
    """Shares as percent, with as many decimals as the ticks need."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.6g}%"))


def panel_grid(
    number: int, most_columns: int, row_height: float, xlabel: str, ylabel: str, shared: bool = False
) -> tuple[Figure, NDArray[Any]]:
    """A figure and its grid of `number` axes, labelled at the left and below; `shared`: all on the same scales."""
    rows = -(-number // most_columns)
    columns = -(-number // rows)
    figure = Figure(figsize=(7.4, row_height * rows + 0.5), layout="constrained")
    grid: NDArray[Any] = figure.subplots(rows, columns, sharex=shared, sharey=shared, squeeze=False)
    for axes in grid.flat[number:]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel(ylabel)
    for column in range(columns):
        lowest = grid[(number - 1 - column) // columns, column]
        lowest.set_xlabel(xlabel)
        lowest.tick_params(labelbottom=True)
    return figure, grid


def legend_above(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int) -> None:
    """One legend for all panels, above them."""
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, fontsize=9, **LEGEND_BOX)


def png_name(path: Path) -> Path:
    """Returns `path`. Raises CnnlabError if it does not end in .png."""
    if path.suffix.lower() != ".png":
        raise CnnlabError(f"the figure's name: received {str(path)!r}, expected one that ends in .png")
    return path


def save_both(figure: Figure, path: Path) -> tuple[Path, Path]:
    """Write `path`, a PNG, and an SVG next to it; return both paths. Raises CnnlabError, StorageError."""
    vector = png_name(path).with_suffix(".svg")
    save(figure, path, format="png", dpi=PNG_DPI)
    figure.set_layout_engine("none")  # one layout for both: computing it takes as long as drawing
    save(figure, vector, format="svg", metadata={"Date": None})
    return path, vector


def save_vector(figure: Figure, path: Path) -> Path:
    """Write `path`, an SVG for pages and Typst, and next to it a PDF for LaTeX; return `path`. Raises StorageError.

    Equal figures are equal byte by byte.
    """
    with rc_context({"svg.hashsalt": "cnnlab", "pdf.fonttype": 42}):
        save(figure, path, format="svg", metadata={"Date": None})
        save(figure, path.with_suffix(".pdf"), format="pdf", metadata={"CreationDate": None})
    return path


def arm_styles(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and line of each arm: seven colours, then the same ones dashed, then dotted.

    In a grid of two factors (`lr=0.1, bn=on`), colours are the values of one factor and lines those of the other.
    """
    number = len(ARM_COLOURS)
    places = _grid_places(names) or [(index % number, index // number) for index in range(len(names))]
    return {
        name: {"color": ARM_COLOURS[colour], "linestyle": _LINES[line % len(_LINES)]}
        for name, (colour, line) in zip(names, places, strict=True)
    }


def _grid_places(names: Sequence[str]) -> list[tuple[int, int]] | None:
    """(colour, line) of each arm of a grid of two factors; None if the arms are not such a grid, or it is too large."""
    cells = [name.split(", ") for name in names]
    if any([setting.count("=") for setting in cell] != [1, 1] for cell in cells):
        return None
    first, second = (list(dict.fromkeys(values)) for values in zip(*cells, strict=True))
    colours, lines = (first, second) if len(first) >= len(second) else (second, first)
    if len(colours) > len(ARM_COLOURS) or len(lines) > len(_LINES) or len({*map(tuple, cells)}) < len(names):
        return None
    by_first = colours is first
    return [(colours.index(cell[0 if by_first else 1]), lines.index(cell[1 if by_first else 0])) for cell in cells]


def shortened(text: str, longest: int) -> str:
    """The text as a label; if it is longer than `longest`, it ends with an ellipsis."""
    return literal(text if len(text) <= longest else f"{text[: longest - 1]}…")


def literal(text: str) -> str:
    """The text as a label, in which a dollar sign is a dollar sign."""
    return text.replace("$", r"\$")


def save(figure: Figure, path: Path, **options: Any) -> None:
    """Write one file, whole or not at all; `options` are those of `Figure.savefig`. Raises StorageError."""
    content = io.BytesIO()
    figure.savefig(content, **options)
    write_atomic(path, content.getvalue())
