"""The contact sheet: a few enlarged images of every class, before and after augmentation."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cnnlab.core.errors import DataError
from cnnlab.data.dataset import Dataset, Images

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_CLASSES = 25  # rows
TILE = 64  # side of a drawn image in pixels
GAP = 4
MARGIN = 16
NAME_WIDTH = 120
HEADER = 72
BLOCK_GAP = 28

INK, FAINT, PAPER = (30, 30, 30), (110, 110, 110), (255, 255, 255)


def pick(dataset: Dataset, per_class: int) -> list[Images]:
    """The first `per_class` training images of every class (at most `MAX_CLASSES`), one array per class."""
    labels = dataset.train.labels
    if labels is None:
        raise DataError(f"{dataset.name} has no labels; a contact sheet shows images by class")
    shown = range(min(len(dataset.classes), MAX_CLASSES))
    # Fancy indexing of the memory map reads only these images, and returns writable copies.
    return [dataset.train.images[np.flatnonzero(labels == label)[:per_class]] for label in shown]


def _tile(image: Images) -> "Image":
    from PIL import Image

    height, width, channels = image.shape
    picture = Image.fromarray(image if channels == 3 else image[..., 0])
    scale = TILE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Small images are enlarged without interpolation, to show the network's input.
    return picture.convert("RGB").resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)


def contact_sheet(dataset: Dataset, augment: Callable[[Images], Images] | None = None, per_class: int = 8) -> "Image":
    """Draw the sheet: one row per class; with `augment` (uint8 N H W C to the same) a second block."""
    from PIL import Image, ImageDraw, ImageFont

    rows = pick(dataset, per_class)
    blocks = [("as stored", rows)]
    if augment is not None:
        together = augment(np.concatenate(rows))
        ends = np.cumsum([len(row) for row in rows])[:-1]
        blocks.append(("augmented, a new draw for every image", np.split(together, ends)))
    step = TILE + GAP
    block_width = per_class * step - GAP
    width = 2 * MARGIN + NAME_WIDTH + len(blocks) * block_width + (len(blocks) - 1) * BLOCK_GAP
    sheet = Image.new("RGB", (width, HEADER + len(rows) * step + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(20), ImageFont.load_default(14)
    draw.text((MARGIN, 12), _title(dataset, len(rows)), fill=INK, font=large)
    for number, (caption, block) in enumerate(blocks):
        left = MARGIN + NAME_WIDTH + number * (block_width + BLOCK_GAP)
        draw.text((left, HEADER - 24), caption, fill=FAINT, font=small)
        for row, images in enumerate(block):
            for column, image in enumerate(images):
                sheet.paste(_tile(image), (left + column * step, HEADER + row * step))
    for row in range(len(rows)):
        name = dataset.classes[row].replace("_", " ")
        while draw.textlength(name, font=small) > NAME_WIDTH - 10:
            name = f"{name[:-2]}…"
        middle = HEADER + row * step + TILE // 2
        draw.text((MARGIN, middle), name, fill=INK, font=small, anchor="lm")
    return sheet


def _title(dataset: Dataset, num_shown: int) -> str:
    channels, height, width = dataset.image_shape
    test = f", {len(dataset.test):,} test" if dataset.test is not None else ""
    classes = f"{len(dataset.classes)} classes"
    if num_shown < len(dataset.classes):
        classes = f"first {num_shown} of {classes}"
    colour = "gray" if channels == 1 else "colour"
    return f"{dataset.name}: {len(dataset.train):,} training{test} images, {width}x{height} {colour}, {classes}"
