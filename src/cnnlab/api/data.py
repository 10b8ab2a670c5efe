"""Data sets: downloaded, checked, previewed."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image

from cnnlab import data
from cnnlab.arch.kinds import SIZE, pair
from cnnlab.augment import preview_batch
from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic
from cnnlab.data.check import CheckReport, check
from cnnlab.data.download import Progress
from cnnlab.data.preview import contact_sheet
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe

__all__ = ["CheckReport", "Progress", "check", "get", "preview"]


def get(name: str, options: Options | None = None, mirrors: Sequence[str] = ()) -> Path | None:
    """Download and verify the official files of a data set: their folder, or None if it is part of cnnlab.

    An interrupted download continues. Raises DataError.
    """
    if name in data.NAMED_SOURCES and data.NAMED_SOURCES[name].embedded:
        return None
    chosen = options or Options()
    return data.get(name, chosen.data_dir, tuple(mirrors), chosen.download_display)


def preview(
    source: str,
    data_dir: Path | None = None,
    size: str | tuple[int, int] | None = None,
    augmented_by: str | None = None,
    changes: Sequence[str] = (),
    seed: int = 0,
    out: Path | None = None,
) -> Image:
    """A contact sheet: images of every class, as stored and as augmented by a recipe; also written as PNG to `out`.

    `size` (height, width) is for images of a folder or a Parquet file. Raises DataError, RecipeError, CnnlabError.
    """
    if out is not None and out.suffix.lower() != ".png":
        raise CnnlabError(f"--out: received {out}, expected a name that ends with .png")
    augment = Recipe.load(augmented_by, changes).augment if augmented_by else None
    change = None if augment is None else (lambda images: preview_batch(images, augment, seed))
    try:
        pixels = pair(SIZE.accept_word("--size", size)) if isinstance(size, str) else size
    except ValueError as problem:
        raise CnnlabError(f"{problem} (height x width in pixels)") from problem
    sheet = contact_sheet(data.load(source, data_dir, size=pixels), change)
    if out is not None:
        content = io.BytesIO()
        sheet.save(content, "PNG")
        write_atomic(out, content.getvalue())
    return sheet
