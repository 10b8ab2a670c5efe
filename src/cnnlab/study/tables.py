"""The tables of a study file. Their field names are the TOML keys."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from cnnlab.compare.claims import Claim, Relation
from cnnlab.core.errors import CnnlabError
from cnnlab.core.suggest import did_you_mean
from cnnlab.recipe.canonical import leaves
from cnnlab.recipe.sources import Values, merge
from cnnlab.recipe.values import Count, Positive, Real, Section
from cnnlab.study.arms import change_of


def _printable(text: str) -> str:
    # Names are printed in cells of tables and in lines of logs.
    if not text.isprintable() or not text.strip():
        raise ValueError(f"received {text!r}, expected a line of text without tabs and line breaks")
    return text


def _folder_name(text: str) -> str:
    if "/" in text or "\\" in text or text.startswith(".") or len(text.encode()) > _LONGEST_FOLDER_NAME:
        raise ValueError(
            f"received {text!r}, expected the name of a folder: no slashes, no dot in front, "
            f"at most {_LONGEST_FOLDER_NAME} bytes"
        )
    return text


_LONGEST_FOLDER_NAME = 200

Text = Annotated[str, Field(min_length=1)]
Name = Annotated[Text, AfterValidator(_printable)]
FolderName = Annotated[Name, AfterValidator(_folder_name)]
_RANGE_KEYS = ("low", "high", "log")


def _number_or_arm(value: Any) -> str | float:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"received {value!r}, expected the name of an arm, or a finite number")


def flat(value: Any) -> Any:
    """`{optim = {lr = 0.1}}` as `{"optim.lr" = 0.1}`: TOML reads unquoted dots as tables."""
    return dict(leaves(value)) if isinstance(value, Mapping) else value


def factor_values(value: Any) -> Any:
    """Factors as path -> list of values, or `Range`: a table of plain numbers, where a grid has lists."""
    if not isinstance(value, Mapping):
        return value
    factors, problems = dict(_factors(value, "")), []
    for path, given in list(factors.items()):
        if isinstance(given, Mapping):
            try:
                factors[path] = Range.read(given)
            except CnnlabError as error:
                problems += [f"{path}: {line}" for line in error.problems]
                del factors[path]
    if problems:
        raise RangeError(*problems, good=factors)
    return factors


class RangeError(CnnlabError):
    """Invalid ranges. `good` are the other factors, which can still be checked."""

    def __init__(self, *problems: str, good: Mapping[str, Any]) -> None:
        self.good = good
        super().__init__(*problems)


def _factors(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and any(isinstance(one, list | Mapping) for one in value.values()):
            yield from _factors(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@dataclass(frozen=True)
class Range:
    """All numbers from `low` to `high`, for a search; integers if both are. `log`: uniform on a log scale."""

    low: int | float
    high: int | float
    log: bool = False

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> "Range":
        """From a table of a study file. Raises CnnlabError with every problem."""
        problems = [f"unknown key {key!r}{did_you_mean(key, _RANGE_KEYS)}" for key in table if key not in _RANGE_KEYS]
        ends = [table.get(key) for key in ("low", "high")]
        numbers = [one for one in ends if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
            problems.append(f"received {dict(table)!r}, expected a list, or a range such as {{ low = 0.01, high = 1 }}")
        elif numbers[0] >= numbers[1]:
            problems.append(f"received low {ends[0]!r}, high {ends[1]!r}, expected low below high")
        elif table.get("log") and numbers[0] <= 0:
            problems.append(f"received low {ends[0]!r}, expected more than 0 for a range by logarithms")
        if not isinstance(table.get("log", False), bool):
            problems.append(f"log: received {table['log']!r}, expected true or false")
        if problems:
            raise CnnlabError(*problems)
        return cls(numbers[0], numbers[1], table.get("log", False))

    @property
    def whole(self) -> bool:
        """Whether it contains integers only."""
        return isinstance(self.low, int) and isinstance(self.high, int)


class SearchTable(Section):
    """Defaults of the options of `cnnlab study search`."""

    method: Literal["random", "bayes"] = "bayes"
    trials: Count = 20


class NamedArm(Section):
    """A variant: the base with the values in `set`."""

    name: Name
    set: dict[str, Any] = Field(default_factory=dict)


class Chain(Section):
    """An ablation: each step is an arm that adds its changes to the steps before it."""

    name: Name
    steps: Annotated[tuple[NamedArm, ...], Field(strict=False, min_length=1)]


class Budget(Section):
    """A smaller form of a study, for `--budget`: its base and every arm with the values in `set`, applied last.

    `epochs`: a factor for the epochs or steps of each; lengths in `%` follow it. `about` states what is smaller.
    """

    about: Text
    set: dict[str, Any] = Field(default_factory=dict)
    epochs: Positive = 1.0

    def applied(self, values: Values) -> Values:
        """The recipe values at this budget; whole epochs or steps, 1 at least."""
        scaled = merge(values, change_of(self.set))
        train = scaled.get("train")
        epochs = train.get("epochs") if isinstance(train, dict) else None
        if isinstance(epochs, int) and not isinstance(epochs, bool):
            scaled = merge(scaled, {"train": {"epochs": max(1, round(epochs * self.epochs))}})
        elif isinstance(epochs, str) and re.fullmatch(r"\d+it", epochs):
            scaled = merge(scaled, {"train": {"epochs": f"{max(1, round(int(epochs[:-2]) * self.epochs))}it"}})
        return scaled


class ClaimTable(Section):
    """A claim about two arms, or an arm and a number; fields as in `compare.claims.Claim`."""

    left: Text
    relation: Relation
    right: Annotated[str | float, PlainValidator(_number_or_arm)]
    margin: Real = 0.0
    metric: Text = "best_val"
    text: str = ""
    times: Real = 1.0

    @property
    def value(self) -> Claim:
        """The claim, not checked for its metric. Raises ClaimError."""
        return Claim(**self.model_dump())


class Published(Section):
    """A published figure to compare with ours. `source` is where it is printed."""

    arm: Text
    metric: Text = "best_val"
    value: Real
    source: Text


Exclusion = Annotated[dict[str, Any], BeforeValidator(flat)]
