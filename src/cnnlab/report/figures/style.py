"""What all figures share: colours, plain axes, and how a figure becomes files.

Colours: Okabe and Ito, "Color Universal Design" (2008), told apart by people with any colour vision; test is
also dashed, for print without colour.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SPLIT_STYLES = {
    "train": {"color": "#0072B2", "linestyle": "-"},
    "val": {"color": "#D55E00", "linestyle": "-"},
    "test": {"color": "#009E73", "linestyle": "--"},
}
ARM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, GREY, PALE = "#1A1A1A", "#666666", "#DDDDDD"
LEGEND_BOX = {"frameon": True, "framealpha": 0.9, "edgecolor": "none"}
PNG_DPI = 160


def plain(axes: "Axes") -> None:
    """A pale grid behind the data, and only the two axis lines that are read."""
    axes.grid(color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def png_name(path: Path) -> Path:
    """The name of a figure as it was given. Raises CnnlabError where it does not end in .png."""
    if path.suffix.lower() != ".png":
        raise CnnlabError(f"the figure's name: received {str(path)!r}, expected one that ends in .png")
    return path


def save_both(figure: "Figure", path: Path) -> tuple[Path, Path]:
    """Write `path`, a PNG, and the SVG beside it; return both paths. Raises CnnlabError, StorageError."""
    vector = png_name(path).with_suffix(".svg")
    save(figure, path, format="png", dpi=PNG_DPI)
    save(figure, vector, format="svg", metadata={"Date": None})
    return path, vector


def save_vector(figure: "Figure", path: Path) -> Path:
    """Write `path`, an SVG for pages and Typst, and beside it a PDF for LaTeX; return `path`. Raises StorageError.

    Equal figures become equal bytes: a report that is written again shows no difference where there is none.
    """
    from matplotlib import rc_context

    with rc_context({"svg.hashsalt": "cnnlab", "pdf.fonttype": 42}):
        save(figure, path, format="svg", metadata={"Date": None})
        save(figure, path.with_suffix(".pdf"), format="pdf", metadata={"CreationDate": None})
    return path


def arm_style(index: int) -> dict[str, Any]:
    """Colour and line of the arm at `index`: seven colours, then the same ones dashed, then dotted."""
    lines = ("-", (0, (4, 1.5)), (0, (1, 1)))
    number = len(ARM_COLOURS)
    return {"color": ARM_COLOURS[index % number], "linestyle": lines[index // number % len(lines)]}


def shortened(text: str, longest: int) -> str:
    """The text as a label, its end replaced by an ellipsis where it is longer; dollars begin no mathematics."""
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return shown.replace("$", r"\$")


def save(figure: "Figure", path: Path, **options: Any) -> None:
    """Write one file, whole or not at all; `options` are those of `Figure.savefig`. Raises StorageError."""
    content = io.BytesIO()
    figure.savefig(content, **options)
    write_atomic(path, content.getvalue())
