"""From the factors, named arms and chains of a study to its arms: each a name and its changes to the base.

Three ways to define arms, which can be combined:
    factors   a grid: every combination of the values, except excluded ones
    arm       one variant with its name
    chain     an ablation: each step adds its change to the steps before
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnnlab.recipe import Recipe
from cnnlab.recipe.sources import Values, merge, nest

Scalar = bool | int | float | str
Setting = Mapping[str, Any]
"""A value for some paths of a recipe: `{"optim.lr": 0.1}`."""

_SHORT = {"batchnorm": "bn"}


@dataclass(frozen=True)
class Arm:
    """One variant. `recipe` has the first seed; `changes` are (path, the base's value, the arm's value)."""

    name: str
    recipe: Recipe
    changes: tuple[tuple[str, Any, Any], ...]


@dataclass(frozen=True)
class Cell:
    """One arm under one seed: the recipe of one training."""

    arm: str
    recipe: Recipe

    @property
    def seed(self) -> int:
        return self.recipe.seed

    @property
    def key(self) -> tuple[str, int]:
        return self.arm, self.seed

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


def grid(factors: Mapping[str, Sequence[Any]], exclude: Sequence[Setting]) -> Iterator[Setting]:
    """Every combination of the factors' values, the last factor fastest, without those that `exclude` matches.

    An iterator, because a search may have millions of combinations. Without factors there are none.
    """
    for values in itertools.product(*factors.values()) if factors else ():
        setting = dict(zip(factors, values, strict=True))
        if not any(matches(setting, pattern) for pattern in exclude):
            yield setting


def one_at_a_time(factors: Mapping[str, Sequence[Any]]) -> list[Setting]:
    """The combination of the factors' first values, and those that differ from it in one factor."""
    first = {path: values[0] for path, values in factors.items()}
    return [first, *({**first, path: one} for path, values in factors.items() for one in values[1:])]


def grid_name(setting: Setting) -> str:
    """A readable name: `lr=0.1, bn=on`. Where two paths have the same last word, whole paths: `optim.name=adam`."""
    ends = [path.rpartition(".")[2] for path in setting]
    words = []
    for (path, value), end in zip(setting.items(), ends, strict=True):
        key = _SHORT.get(end, end) if ends.count(end) == 1 else path
        words.append(f"{key}={value_text(value)}")
    return ", ".join(words)


def change_of(setting: Setting) -> Values:
    """The setting as nested tables, to be merged into a recipe; a key is a path with dots: `"optim.lr"`."""
    change: Values = {}
    for path, value in setting.items():
        inner = change_of(value) if isinstance(value, Mapping) else value
        change = merge(change, nest(path.split("."), inner))
    return change


def matches(setting: Setting, pattern: Setting) -> bool:
    """Whether the setting has the values that the pattern names."""
    return all(path in setting and setting[path] == value for path, value in pattern.items())


def value_text(value: Any) -> str:
    """A factor's value in a name or a table: `on`, `1e-5`, `[1 2]`."""
    match value:
        case bool():
            return "on" if value else "off"
        case float():
            short = f"{value:g}" if float(f"{value:g}") == value else repr(value)
            return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].replace("+", ""), short)
        case list() | tuple():
            return "[" + " ".join(map(value_text, value)) + "]"
    return " ".join(str(value).split())  # an architecture may have several lines
