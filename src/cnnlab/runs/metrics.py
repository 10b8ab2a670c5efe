"""`metrics.jsonl`: one JSON object per line, one line per epoch.

Appending is not atomic: a crash can leave an incomplete last line, without its newline. Readers ignore it, and a writer
that reopens the run removes it.
"""

import errno
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.core.errors import RunError
from cnnlab.core.files import storage_errors, write_atomic
from cnnlab.runs.values import refuse_constant

Row = dict[str, Any]


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Append one row durably or not at all. NaN and infinity become null. Raises StorageError."""
    line = _to_line(row)
    with storage_errors(path), path.open("ab", buffering=0) as file:
        length = file.seek(0, os.SEEK_END)
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(length)
            raise


def read_rows(path: Path) -> list[Row]:
    """All complete rows, in order; none where the file is missing. Raises RunError for a damaged line."""
    try:
        *lines, _incomplete = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line, parse_constant=refuse_constant)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise RunError(
                f"{path}, line {number}: expected a JSON object, received {line[:60]!r}; correct or remove it"
            )
        rows.append(row)
    return rows


def read_epochs(path: Path) -> list[Row]:
    """The same of a file with one row an epoch. Raises RunError also where a number that others need is none."""
    rows = read_rows(path)
    for number, row in enumerate(rows, start=1):
        for key in ("epoch", "val_accuracy", "val_loss"):
            value = row.get(key)
            if not _is_number(value) or (key == "epoch" and not isinstance(value, int)):
                received = f"received {str(value)[:60]!r}, expected a number"
                raise RunError(f"{path}, line {number}: {key}: {received}; correct or remove the line")
    return rows


def _is_number(value: Any) -> bool:
    """None is one, for NaN and infinity; an integer of over 64 bits is not."""
    return value is None or (isinstance(value, int | float) and abs(value) < 2**63)


def keep_epochs(path: Path, epochs: int) -> None:
    """Remove the rows after epoch `epochs`, and an incomplete last line. Raises RunError, StorageError."""
    kept = [row for row in read_epochs(path) if row["epoch"] <= epochs]
    write_atomic(path, b"".join(map(_to_line, kept)))


def remove_incomplete_line(path: Path) -> None:
    """Remove an incomplete last line, so that the next row starts on its own line. Raises StorageError."""
    with storage_errors(path):
        content = path.read_bytes() if path.exists() else b""
        if content and not content.endswith(b"\n"):
            write_atomic(path, content[: content.rfind(b"\n") + 1])


def best_row(rows: Sequence[Row]) -> Row | None:
    """The row with the highest val accuracy; of several the one with the lowest val loss, of these the first.

    None where no row has a val accuracy. Where there are rows of averaged weights (SWA), it is one of them. The
    training loop keeps the best network by the same rule.
    """

    def goodness(row: Row) -> tuple[float, float]:
        loss = row.get("val_loss")
        return float(row["val_accuracy"]), -math.inf if loss is None else -float(loss)

    scored = [row for row in rows if row.get("val_accuracy") is not None]
    return max([row for row in scored if row.get("averaged")] or scored, key=goodness, default=None)


def _to_line(row: Mapping[str, Any]) -> bytes:
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
    }
    return json.dumps(finite, allow_nan=False).encode() + b"\n"
