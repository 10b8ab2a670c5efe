"""`predictions.csv` in the form of the courses: a header `id,label`, then a line per image with its class's number.

The ids are 0..n-1, each once, or the names of the image files.
"""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic
from cnnlab.core.tables import csv_text
from cnnlab.data.dataset import listed

HEADER = ["id", "label"]

_LONGEST_SHOWN = 100

Ids = Literal["number", "position", "name"]


class PredictionsError(CnnlabError):
    """A file of predictions in a wrong form; a line for every problem."""


def write_predictions_csv(path: Path, logits_NK: NDArray[np.float32], ids: Sequence[str] | None = None) -> None:
    """Write the predicted class's number of every image; `ids` None: 0..n-1, sorted if numbers. Raises StorageError."""
    labels = logits_NK.argmax(axis=1).tolist()
    rows = list(zip(map(str, range(len(labels))) if ids is None else ids, labels, strict=True))
    if all(one.isdecimal() for one, _ in rows):
        rows.sort(key=lambda row: int(row[0]))
    write_atomic(path, csv_text(HEADER, rows))


def ids_of(names: Sequence[str], kind: Ids | None = None) -> tuple[Ids, list[str]]:
    """The kind of id in a table, and the ids of image files in their order.

    `number` is the whole number in a file's name: 17 for `test/17.png`. `position` counts from 0, `name` is the file's
    name. The default is the number if every name is one: sorted by name, 10.png is before 2.png, so positions would be
    wrong. Raises PredictionsError.
    """
    stems = [PurePath(name).stem for name in names]
    is_number = [stem.isascii() and stem.isdigit() for stem in stems]
    if kind is None:
        kind = "number" if all(is_number) and len({int(stem) for stem in stems}) == len(stems) else "position"
    if kind == "position":
        return kind, [str(position) for position in range(len(names))]
    if kind == "number" and not all(is_number):
        wrong = [name for name, fine in zip(names, is_number, strict=True) if not fine]
        raise PredictionsError(*listed([f"{name}: its name is not a whole number" for name in wrong]))
    ids = [str(int(stem)) for stem in stems] if kind == "number" else [PurePath(name).name for name in names]
    owners: dict[str, list[str]] = {}
    for one, name in zip(ids, names, strict=True):
        owners.setdefault(one, []).append(name)
    shared = [f"{' and '.join(files)} have the same id, {one}" for one, files in owners.items() if len(files) > 1]
    if shared:
        raise PredictionsError(*listed(shared))
    return kind, ids


def read_predictions_csv(
    path: Path,
    num_images: int | None = None,
    num_classes: int | None = None,
    ids: Collection[str] | None = None,
    named: bool = False,
) -> dict[str, int]:
    """The label of every id, in the file's order.

    The ids must be 0..num_images-1 (without `num_images`: up to the largest id), or the given `ids`, or, if they are
    `named`, only differ; labels must be below `num_classes`. Raises PredictionsError with the problems, line by line;
    if there are very many, the first ones and the number of others.
    """
    numbered = ids is None and not named
    rows, problems = _rows(path)
    labels: dict[str, int] = {}
    first_line: dict[str, int] = {}
    for line, (one, label) in rows.items():
        if one in first_line:
            problems[line].append(f"id {one} is already in line {first_line[one]}")
        elif numbered and not _is_index(one, num_images):
            problems[line].append(f"id {one!r}, expected a whole number{_up_to(num_images)}")
        elif ids is not None and one not in ids:
            problems[line].append(f"id {one!r} is not one of the {len(ids):,} expected")
        first_line.setdefault(one, line)
        if _is_index(label, num_classes):
            labels.setdefault(one, int(label))
        else:
            problems[line].append(f"label {label!r}, expected a whole number{_up_to(num_classes)}")
    lines = sorted(problems.items())
    found = listed([f"{path}, line {line}: {problem}" for line, several in lines for problem in several])
    if rows and (missing := _missing(first_line, num_images, ids, numbered)):
        found.append(f"{path}: {missing}")
    if found:
        raise PredictionsError(*found)
    return labels


def _rows(path: Path) -> tuple[dict[int, tuple[str, str]], dict[int, list[str]]]:
    """The cells of lines with two cells, by line number from 1, and the problems of all lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PredictionsError(f"cannot read {path}: {error.strerror}; check the path") from error
    except UnicodeDecodeError as error:
        raise PredictionsError(f"{path} is not text in UTF-8; expected lines of id,label") from error
    rows: dict[int, tuple[str, str]] = {}
    problems: dict[int, list[str]] = {}
    reader = csv.reader(io.StringIO(text))
    try:
        header = next(reader, [])
        if header != HEADER:
            problems[1] = [f"received {_short(header)}, expected the header id,label"]
        for cells in reader:
            line = reader.line_num
            problems[line] = []
            if len(cells) == 2:
                rows[line] = cells[0], cells[1]
            else:
                problems[line].append(f"received {_short(cells)}, expected two cells, id,label")
    except csv.Error as error:  # such as a cell without end
        problems.setdefault(reader.line_num, []).append(f"{error}; expected lines of id,label")
    if not rows and set(problems) <= {1}:
        problems.setdefault(1, []).append("no line with a prediction follows")
    return rows, problems


def _short(cells: Sequence[str]) -> str:
    """The text of a line, cut if it is long."""
    text = ",".join(cells)
    return repr(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!r}..."


def _is_index(text: str, end: int | None) -> bool:
    """Whether the text is a whole number from 0 to below `end`, without sign, spaces or leading zeros."""
    plain = text.isascii() and text.isdigit() and len(text) < 19 and text == str(int(text))
    return plain and (end is None or int(text) < end)


def _up_to(end: int | None) -> str:
    return " from 0 on" if end is None else f" from 0 to {end - 1}"


def _missing(found: Mapping[str, int], num_images: int | None, ids: Collection[str] | None, numbered: bool) -> str:
    """The ids without a line, as text; empty if none is missing."""
    if not numbered:
        absent = [one for one in ids or () if one not in found]
        return f"no line for {len(absent):,} ids: {', '.join(listed(absent))}" if absent else ""
    present = sorted(int(one) for one in found if _is_index(one, num_images))
    end = num_images if num_images is not None else (present[-1] + 1 if present else 0)
    gaps = [(low + 1, high - 1) for low, high in pairwise([-1, *present, end]) if high - low > 1]
    count = sum(high - low + 1 for low, high in gaps)
    spans = [str(low) if low == high else f"{low}..{high}" for low, high in gaps]
    return f"no line for {count:,} ids: {', '.join(listed(spans))}" if gaps else ""
