"""Parquet files with encoded images, in the layout of data set hubs.

`train*.parquet` and optionally `test*.parquet`, in the folder itself or in its `data/`; a column
`img` or `image` (bytes, or a struct with `bytes`) and `label` or `fine_label`. Class names come from the
hub's metadata. Files of other splits (`validation*`) are not read: `val` is taken out of `train`.
"""

import json
from pathlib import Path
from typing import Any

from cnnlab.core.errors import DataError
from cnnlab.data.encoded import Item
from cnnlab.data.sources.found import Found, Items, decode_found, size_option

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


def _columns_and_classes(path: Path) -> tuple[list[str] | None, tuple[str, ...]]:
    """Column names, None if the file cannot be read; class names from the hub's metadata, if any."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return None, ()
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = next(features[column]["names"] for column in LABEL_COLUMNS if column in features)
        return schema.names, tuple(map(str, names))
    except (KeyError, TypeError, ValueError, StopIteration):
        return schema.names, ()


def _items(path: Path) -> list[Item]:
    """Every row as an item, named `file row 17`. Raises DataError."""
    table = _table(path)
    images = next(table[column] for column in IMAGE_COLUMNS if column in table.column_names)
    labels = next((table[column] for column in LABEL_COLUMNS if column in table.column_names), None)
    label_values = [None] * len(images) if labels is None else labels.to_pylist()
    items = []
    for index, (value, label) in enumerate(zip(images.to_pylist(), label_values, strict=True)):
        content = value.get("bytes") if isinstance(value, dict) else value
        # A missing image or label becomes an invalid one, which the common checks report.
        content = content if isinstance(content, bytes) else b""
        label = -1 if labels is not None and not isinstance(label, int) else label
        items.append(Item(f"{path} row {index}", content, label))
    return items


def _files(folder: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """(train files, test files) in name order."""
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
    """The Parquet files of `folder`; a named data set has `classes` and `label_column`."""
    train_files, test_files = _files(folder)
    if not train_files:
        return None
    columns, published = _columns_and_classes(train_files[0])
    # If the file is damaged, reading it reports that: it is not another data set.
    is_other = published and classes and len(published) != len(classes)
    if label_column and columns is not None and (label_column not in columns or is_other):
        return None

    def items() -> Items:
        train = tuple(item for path in train_files for item in _items(path))
        test = tuple(item for path in test_files for item in _items(path))
        highest = max((item.label for item in train if item.label is not None), default=-1)
        return Items(train, test, classes or published or tuple(map(str, range(highest + 1))))

    files = (*train_files, *test_files)
    return Found("Parquet", folder, files, lambda: decode_found(items(), size), size_option(size), items)
