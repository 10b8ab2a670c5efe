"""Parquet files with encoded images, the layout of data set hubs.

`train*.parquet` and, if there is one, `test*.parquet`, in the folder itself or in its `data/`; a column
`img` or `image` (bytes, or a struct with `bytes`) and `label` or `fine_label`. Class names come from the
hub's metadata. Files of other splits (`validation*`) are not read: `val` is made out of `train` here.
"""

import json
from pathlib import Path
from typing import Any

from cnnlab.core.errors import DataError
from cnnlab.data.dataset import Decoded
from cnnlab.data.encoded import Item
from cnnlab.data.sources.found import Found, Items, decode_found

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "fine_label")


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        wanted = [column for column in (*IMAGE_COLUMNS, *LABEL_COLUMNS) if column in names]
        if not any(column in wanted for column in IMAGE_COLUMNS):
            raise DataError(f"{path}: expected a column `img` or `image`, found {', '.join(names)}")
        return pq.read_table(path, columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file ({error}); get it again") from error


def class_names(path: Path) -> tuple[str, ...]:
    """The class names the hub's metadata in the schema give for the label column; () where there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = (pq.read_schema(path).metadata or {}).get(b"huggingface", b"{}")
        features = json.loads(metadata)["info"]["features"]
        names = next(features[column]["names"] for column in LABEL_COLUMNS if column in features)
    except (KeyError, TypeError, ValueError, StopIteration, pa.ArrowException, OSError):
        return ()
    return tuple(str(name) for name in names)


def _items(path: Path) -> list[Item]:
    """Every row as an item, named `file row 17`. Raises DataError."""
    table = _table(path)
    images = next(table[column] for column in IMAGE_COLUMNS if column in table.column_names)
    labels = next((table[column] for column in LABEL_COLUMNS if column in table.column_names), None)
    label_values = [None] * len(images) if labels is None else labels.to_pylist()
    items = []
    for index, (value, label) in enumerate(zip(images.to_pylist(), label_values, strict=True)):
        content = value.get("bytes") if isinstance(value, dict) else value
        # A missing image or label becomes one that cannot be right, so that the common checks name it.
        missing_label = -1 if labels is not None and not isinstance(label, int) else label
        items.append(
            Item(f"{path} row {index}", content if isinstance(content, bytes) else b"", missing_label)
        )
    return items


def _files(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(train files, test files) in name order. A folder of one unnamed kind is all training data."""
    for place in (folder, folder / "data"):
        every = sorted(place.glob("*.parquet"))
        train = tuple(path for path in every if path.name.startswith("train"))
        test = tuple(path for path in every if path.name.startswith("test"))
        if train:
            return train, test
    return (), ()


def find_parquet(
    folder: Path,
    classes: tuple[str, ...] | None = None,
    label_column: str | None = None,
    size: tuple[int, int] | None = None,
) -> Found | None:
    """The Parquet files of `folder`. `classes` and `label_column` are what a named data set must have."""
    train_files, test_files = _files(folder)
    if not train_files:
        return None
    published = class_names(train_files[0])
    if label_column is not None and not _is_named(train_files[0], published, classes, label_column):
        return None

    def items() -> Items:
        train = tuple(item for path in train_files for item in _items(path))
        test = tuple(item for path in test_files for item in _items(path))
        highest = max((item.label for item in train if item.label is not None), default=-1)
        return Items(train, test, classes or published or tuple(map(str, range(highest + 1))))

    def read() -> Decoded:
        return decode_found(items(), size)

    options = "" if size is None else f"size={size[0]}x{size[1]}"
    return Found("Parquet", folder, (*train_files, *test_files), read, options, items)


def _is_named(
    path: Path, published: tuple[str, ...], classes: tuple[str, ...] | None, label_column: str
) -> bool:
    """Whether the file can be the named data set: its label column, and as many classes as published."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        return True  # damaged: reading it says so; calling it absent would not
    return label_column in names and (not published or classes is None or len(published) == len(classes))
