"""Typed values in the JSON files of a run folder, read strictly; RunError names a damaged file."""

import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from cnnlab.core.errors import RunError

_MAX_PROBLEMS = 3  # that a message lists


class Value(BaseModel):
    """Frozen and strict. Unknown keys are ignored: another version may have written them."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types, in the order of the fields; unknown values are null."""
        return self.model_dump(mode="json")


class FileValue(Value):
    """A value that is a complete file, with the number of its format."""

    FORMAT: ClassVar[int] = 1

    @classmethod
    def upgraded(cls, values: dict[str, Any], written: int) -> dict[str, Any]:
        """The values of a file of format `written` in the present format."""
        return values

    @classmethod
    def read(cls, path: Path) -> Self:
        """The value in a file. Raises RunError where it is missing, damaged or of a newer format."""
        values = read_object(path)
        written = values.get("format", 1)
        if not isinstance(written, int):
            raise RunError(f"{path} is damaged: format: received {written!r}; restore it from a copy")
        if written > cls.FORMAT:
            raise RunError(
                f"{path} has format {written}, this cnnlab reads up to {cls.FORMAT}; use the version that wrote it"
            )
        try:
            return cls.model_validate(cls.upgraded(values, written))
        except ValidationError as error:
            raise RunError(f"{path} is damaged: {_problems(error)}; restore it from a copy") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a run. Raises RunError where it is missing or no JSON object."""
    try:
        value = json.loads(path.read_bytes(), parse_constant=refuse_constant)
    except FileNotFoundError:
        raise RunError(f"{path} is missing; the run folder is not whole, restore it from a copy") from None
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RunError(f"{path} is damaged: expected a JSON object; restore it from a copy")
    return value


def refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _problems(error: ValidationError) -> str:
    found = []
    for one in error.errors():
        text = "missing" if one["type"] == "missing" else one["msg"].replace("Input should be", "expected")
        found.append(f"{'.'.join(map(str, one['loc']))}: {text}")
    more = len(found) - _MAX_PROBLEMS
    return "; ".join(found[:_MAX_PROBLEMS]) + (f" and {more} more" if more > 0 else "")
