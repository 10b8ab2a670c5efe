"""A folder of images: `train/<class>/*` and optionally `test/<class>/*`; or `<class>/*` without splits.

Images directly in `test/` are unlabelled. Classes are the folder names in byte order, so their numbers do not depend
on the locale. Hidden files, files without an image's ending, deeper folders and links to folders (possible loops) are
skipped; `cnnlab data check` lists them.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from cnnlab.core.errors import DataError
from cnnlab.data.dataset import listed
from cnnlab.data.encoded import Item
from cnnlab.data.sources.found import Found, Items, decode_found, size_option

ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"})


@dataclass(frozen=True)
class Listing:
    """Image files and folders directly inside a folder, in byte order, and what was skipped."""

    images: tuple[Path, ...]
    folders: tuple[Path, ...]
    skipped: tuple[str, ...]


def list_folder(folder: Path) -> Listing:
    """The entries of `folder`. Names may be invalid text: the order is by bytes."""
    images, folders, skipped = [], [], []
    for path in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            folders.append(path)
        elif path.is_file() and path.suffix.lower() in ENDINGS and not path.name.startswith("."):
            images.append(path)
        else:
            skipped.append(f"skipped {printable(path)}: not an image file")
    return Listing(tuple(images), tuple(folders), tuple(skipped))


def printable(path: Path) -> str:
    """The path as text, with invalid bytes escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _class_items(folder: Path, classes: tuple[str, ...]) -> tuple[list[Item], list[str]]:
    """The items of `<folder>/<class>/*`, and what was skipped, also class folders without images."""
    items, skipped = [], []
    for label, name in enumerate(classes):
        if not (folder / name).is_dir():
            continue
        inside = list_folder(folder / name)
        items += [Item(printable(path), path, label) for path in inside.images]
        skipped += [
            *inside.skipped,
            *(f"skipped {printable(deeper)}: a deeper folder" for deeper in inside.folders),
        ]
        if not inside.images:
            skipped.append(f"class folder {printable(folder / name)} holds no images")
    return items, skipped


def list_items(folder: Path) -> tuple[Items, tuple[str, ...]]:
    """The folder's items and what was skipped; no image is opened. Raises DataError if there is none."""
    has_splits = (folder / "train").is_dir()
    train_folder = folder / "train" if has_splits else folder
    top = list_folder(train_folder)
    classes = tuple(path.name for path in top.folders)
    train, skipped = _class_items(train_folder, classes)
    if not train:
        raise DataError(
            f"{folder} holds no images in class folders; expected train/<class>/*.png or <class>/*.png, "
            "Parquet files (train*.parquet), idx files or a .npz file"
        )
    skipped += [
        *top.skipped,
        *(f"skipped {printable(path)}: an image outside a class" for path in top.images),
    ]
    test: list[Item] = []
    if has_splits and (folder / "test").is_dir():
        inside = list_folder(folder / "test")
        unknown = sorted({path.name for path in inside.folders} - set(classes))
        if unknown:
            problems = [f"{folder / 'test' / name}: no class of that name in {train_folder}" for name in unknown]
            raise DataError(*listed(problems))
        test, test_skipped = _class_items(folder / "test", classes)
        skipped += [*inside.skipped, *test_skipped]
        test += [Item(printable(path), path, None) for path in inside.images]
    names = tuple(printable(Path(name)) for name in classes)
    return Items(tuple(train), tuple(test), names), tuple(skipped)


def find_folder(folder: Path, size: tuple[int, int] | None = None) -> Found:
    """The image folder as a source. Raises DataError if it is none."""
    items, skipped = list_items(folder)
    return Found(
        "image folder",
        folder,
        tuple(item.content for item in (*items.train, *items.test) if isinstance(item.content, Path)),
        lambda: decode_found(items, size),
        size_option(size),
        lambda: items,
        skipped,
    )
