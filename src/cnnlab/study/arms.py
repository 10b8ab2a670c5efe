"""From the factors, named arms and chains of a study to its arms: each a name and what it changes of the base.

Three ways to say what is compared, which may stand side by side:
    factors   a grid: every combination of the values, but those excluded
    arm       one variant with its name
    chain     an ablation ladder: each step adds its change to the ones before
"""

import itertools
import re
from collections.abc import Mapping, Sequence
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
    """One variant. `recipe` stands for all its seeds and has the first; `changes` are (path, base's value, ours)."""

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
        """The seed of its recipe."""
        return self.recipe.seed

    @property
    def key(self) -> tuple[str, int]:
        """Arm and seed."""
        return self.arm, self.seed

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


def grid(factors: Mapping[str, Sequence[Any]], exclude: Sequence[Setting]) -> list[Setting]:
    """Every combination of the factors' values, the last factor fastest, without those that `exclude` matches."""
    if not factors:
        return []
    combinations = (
        dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())
    )
    return [one for one in combinations if not any(_matches(one, pattern) for pattern in exclude)]


def grid_name(setting: Setting) -> str:
    """A readable name: `lr=0.1, bn=on`. Where two paths end alike, more of them is said: `optim.name=adam`."""
    ends = [path.rpartition(".")[2] for path in setting]
    words = []
    for (path, value), end in zip(setting.items(), ends, strict=True):
        key = _SHORT.get(end, end) if ends.count(end) == 1 else path
        words.append(f"{key}={_value_text(value)}")
    return ", ".join(words)


def change_of(setting: Setting) -> Values:
    """The setting as nested tables, to be merged into a recipe. Dots in a key lead down: `"optim.lr"`."""
    change: Values = {}
    for path, value in setting.items():
        inner = change_of(value) if isinstance(value, Mapping) else value
        change = merge(change, nest(path.split("."), inner))
    return change


def climb(steps: Sequence[tuple[str, Setting]], base: Values) -> list[tuple[str, Values]]:
    """(name, recipe values) of each step of a chain: the change of every step is added to those before it."""
    rungs = []
    for name, setting in steps:
        base = merge(base, change_of(setting))
        rungs.append((name, base))
    return rungs


def _matches(setting: Setting, pattern: Setting) -> bool:
    return all(path in setting and setting[path] == value for path, value in pattern.items())


def _value_text(value: Any) -> str:
    match value:
        case bool():
            return "on" if value else "off"
        case float():
            short = f"{value:g}" if float(f"{value:g}") == value else repr(value)
            return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].replace("+", ""), short)
        case list() | tuple():
            return "[" + " ".join(map(_value_text, value)) + "]"
    return " ".join(str(value).split())  # an architecture may stand on several lines
