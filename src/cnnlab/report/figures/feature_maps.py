"""The feature maps of one layer in a grid, with their image, its predicted classes, and the filters.

Pixels are drawn here, so a value of a map is a square of whole pixels; matplotlib adds colours and text.
Colours: viridis, perceptually uniform and distinct for any colour vision (van der Walt and Smith 2015).

Shape legend: C maps of H x W values, the image's I channels. Boxes are in pixels from the upper left corner.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cnnlab.report.figures.style import GREY, INK, PALE, SPLIT_STYLES, png_name, save, shortened

Pixels = NDArray[np.uint8]
Values = NDArray[np.float32]

_DPI = 100
_MARGIN, _GAP = 28, 14
_LEAST_WIDTH = 1180
_TITLE, _IMAGE_SIDE = 44, 200
_PANEL_SIDES = (160, 260)
_SMALL_PANEL_SIDE, _MOST_LARGE_PANELS = 80, 144
_KERNEL_SIDE, _LABEL, _RANGE = 40, 20, 18
_RANKED, _NAME_WIDTH, _BAR = 5, 130, (150, 16)
_COLOUR_MAP = "viridis"


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture, in pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def pixels(self) -> tuple[slice, slice]:
        """The index of this box in an array of rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


@dataclass(frozen=True)
class Layout:
    """The size of the picture, and the places of the image and the maps."""

    width: int
    height: int
    image: Box
    panels: tuple[Box, ...]


def layout(maps_shape: Sequence[int], image_shape: Sequence[int], has_kernels: bool) -> Layout:
    """Boxes for maps of shape (C, H, W) and an image of shape (H, W, I)."""
    count, map_height, map_width = maps_shape
    columns = _columns(count)
    scale = max(1, math.ceil(_panel_side(count, columns) / max(map_height, map_width)))
    panel_height, panel_width = map_height * scale, map_width * scale
    image_scale = max(1, _IMAGE_SIDE // max(image_shape[:2]))
    image = Box(_MARGIN, _MARGIN + _TITLE, image_shape[1] * image_scale, image_shape[0] * image_scale)
    above = _KERNEL_SIDE + 4 if has_kernels else _LABEL
    cell_width, cell_height = max(panel_width, _SMALL_PANEL_SIDE) + _GAP, above + panel_height + _RANGE + _GAP
    top = image.top + max(image.height, _IMAGE_SIDE) + 2 * _GAP
    panels = tuple(
        Box(
            _MARGIN + index % columns * cell_width,
            top + index // columns * cell_height + above,
            panel_width,
            panel_height,
        )
        for index in range(count)
    )
    width = max(_LEAST_WIDTH, 2 * _MARGIN + columns * cell_width - _GAP)
    return Layout(width, panels[-1].top + panel_height + _RANGE + _MARGIN, image, panels)


def _columns(count: int) -> int:
    """The fewest empty places; of these grids the one nearest to three times as wide as high."""
    least = math.ceil(math.sqrt(count))
    return min(range(least, 2 * least + 1), key=lambda n: (-count % n, abs(math.log(n * n / (3 * count)))))


def _panel_side(count: int, columns: int) -> float:
    """Few maps are drawn larger, up to the width of the header; very many smaller."""
    if count > _MOST_LARGE_PANELS:
        return _SMALL_PANEL_SIDE
    smallest, largest = _PANEL_SIDES
    return min(max((_LEAST_WIDTH - 2 * _MARGIN) / columns - 2 * _GAP, smallest), largest)


def feature_map_grid(
    maps_CHW: Values,
    image_HWI: Pixels,
    path: Path,
    *,
    layer: str,
    image_name: str,
    ranking: Sequence[tuple[str, float]],
    kernels_CHWI: Values | None = None,
) -> Path:
    """Draw every map with its number (from 0) and its range, and return `path`, the PNG.

    Each map has its own scale of colours, from its minimum to its maximum: on one common scale the weaker maps would
    show nothing. `ranking` are classes with probabilities, the first is the prediction; `kernels_CHWI` are the
    filters, for a layer whose input is the image. Raises StorageError.
    """
    places = layout(maps_CHW.shape, image_HWI.shape, kernels_CHWI is not None)
    figure = Figure(figsize=(places.width / _DPI, places.height / _DPI), dpi=_DPI)
    canvas = np.full((places.height, places.width, 3), 255, np.uint8)
    write = _Writer(figure, places)
    _, height, width = maps_CHW.shape
    title = f"Layer {layer}: {len(maps_CHW)} maps of {height} x {width}"
    write(_MARGIN, _MARGIN + 8, title, 15, weight="bold")
    _paint(canvas, places.image, np.broadcast_to(image_HWI, (*image_HWI.shape[:2], 3)))
    _draw_ranking(canvas, write, places.image, image_name, ranking)
    _draw_legend(canvas, write, places.image, kernels_CHWI is not None)
    large = len(maps_CHW) <= _MOST_LARGE_PANELS
    for index, (box, map_HW) in enumerate(zip(places.panels, maps_CHW, strict=True)):
        _paint(canvas, box, _coloured(_unit(map_HW)))
        write(box.left, box.top - 10, str(index), 11, weight="bold")
        values = f"{map_HW.min():.3g} … {map_HW.max():.3g}".replace("-", "−")
        write(box.left, box.top + box.height + 9, values, 9 if large else 7, color=GREY)
        if kernels_CHWI is not None:
            _paint_kernel(canvas, box, kernels_CHWI[index])
    figure.figimage(canvas)
    save(figure, png_name(path), format="png", dpi=_DPI)
    return path


class _Writer:
    """Text at a place given in pixels, its middle at `y`."""

    def __init__(self, figure: Figure, places: Layout) -> None:
        self.figure, self.places = figure, places

    def __call__(self, x: float, y: float, text: str, size: float, **style: Any) -> None:
        style = {"color": INK, "va": "center_baseline", "ha": "left"} | style
        x, y = x / self.places.width, 1 - y / self.places.height
        self.figure.text(x, y, text, fontsize=size, parse_math=False, **style)


def _draw_ranking(
    canvas: Pixels, write: _Writer, image: Box, image_name: str, ranking: Sequence[tuple[str, float]]
) -> None:
    """At the right of the image: its name, the predicted class, and a bar for each of the most probable classes."""
    left = image.left + image.width + 2 * _GAP
    (label, probability), top = ranking[0], image.top
    write(left, top + 8, shortened(image_name, 44), 10, color=GREY)
    write(left, top + 42, f"{shortened(label, 16)}  {probability:.1%}", 19, weight="bold")
    width, height = _BAR
    for rank, (name, share) in enumerate(ranking[:_RANKED]):
        y = top + 82 + rank * (height + 9)
        bar = Box(left + _NAME_WIDTH, y - height // 2, width, height)
        canvas[bar.pixels] = _rgb(PALE)
        filled = Box(bar.left, bar.top, round(width * share), height)
        canvas[filled.pixels] = _rgb(SPLIT_STYLES["train"]["color"])
        write(left, y, shortened(name, 16), 10)
        write(bar.left + width + 8, y, f"{share:.1%}", 10, color=GREY)


def _draw_legend(canvas: Pixels, write: _Writer, image: Box, has_kernels: bool) -> None:
    """How to read a panel, at the right of the header."""
    left = image.left + image.width + 2 * _GAP + _NAME_WIDTH + _BAR[0] + 110
    bar = Box(left, image.top + 20, 256, 14)
    _paint(canvas, bar, _coloured(np.linspace(0, 1, 256, dtype=np.float32)[None]))
    write(bar.left, bar.top - 12, "minimum of the map", 9, color=GREY)
    write(bar.left + bar.width, bar.top - 12, "maximum", 9, color=GREY, ha="right")
    lines = [
        "Every map has its own scale of colours, from its",
        "smallest to its largest value, written below it:",
        "compare patterns by colour, strengths by numbers.",
    ]
    if has_kernels:
        lines += [
            "",
            "Above each map, right: its filter, as weights on the",
            "image's colours; mid-grey is 0.",
        ]
    for number, line in enumerate(lines):
        write(left, bar.top + 36 + 19 * number, line, 10)


def _paint(canvas: Pixels, box: Box, picture_HWI: Pixels) -> None:
    """Enlarge `picture_HWI` to the box; each value is a rectangle of whole pixels if the sizes allow it."""
    rows = np.arange(box.height) * picture_HWI.shape[0] // box.height
    columns = np.arange(box.width) * picture_HWI.shape[1] // box.width
    canvas[box.pixels] = picture_HWI[rows[:, None], columns]


def _paint_kernel(canvas: Pixels, panel: Box, kernel_HWI: Values) -> None:
    """At the upper right of the panel; each kernel on its own scale, symmetric about 0."""
    height, width, _ = kernel_HWI.shape
    scale = max(1, _KERNEL_SIDE // max(height, width))
    size = (height * scale, width * scale)
    box = Box(panel.left + panel.width - size[1], panel.top - 4 - size[0], size[1], size[0])
    signed = kernel_HWI / (float(np.abs(kernel_HWI).max()) or 1.0)
    picture = np.rint(127.5 + 127.5 * signed).astype(np.uint8)
    _paint(canvas, box, np.broadcast_to(picture, (height, width, 3)))


def _unit(map_HW: Values) -> Values:
    """The map from its minimum at 0 to its maximum at 1; a constant map is 0.5 throughout."""
    low, high = map_HW.min(), map_HW.max()
    if low == high:
        return np.full_like(map_HW, 0.5)
    unit: Values = (map_HW - low) / (high - low)
    return unit


def _coloured(unit_HW: Values) -> Pixels:
    colours: Pixels = colormaps[_COLOUR_MAP](unit_HW, bytes=True)[..., :3]
    return colours


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour.removeprefix("#")))
