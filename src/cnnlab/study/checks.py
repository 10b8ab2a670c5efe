"""Checks between the parts of a study. A problem is one line: where it is, what is wrong and what to do."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cnnlab.compare.claims import ClaimError
from cnnlab.compare.metrics import METRICS, Metric, MetricError
from cnnlab.core.errors import RecipeError
from cnnlab.core.suggest import did_you_mean
from cnnlab.recipe import Recipe
from cnnlab.recipe.canonical import leaves
from cnnlab.recipe.sources import Values
from cnnlab.study.arms import Setting, change_of, grid
from cnnlab.study.tables import Budget, ClaimTable, Published, Range


def factors(given: Mapping[str, Sequence[Any] | Range], exclude: Sequence[Setting]) -> Iterator[str]:
    """Every factor has values, every exclusion names such values, and at least one combination is left."""
    lists = {path: values for path, values in given.items() if not isinstance(values, Range)}
    for path, values in lists.items():
        if not values:
            yield f"factors.{path}: received no values, expected at least one"
        for value in values:
            if isinstance(value, Mapping):
                yield f"factors.{path}: received a table, expected words, numbers or lists; use [[arm]] with `set`"
        if inner := [other for other in given if other.startswith(f"{path}.")]:
            yield f"factors.{path}: is a table because of factors.{inner[0]}; expected one of the two"
    wrong = False
    for number, pattern in enumerate(exclude, start=1):
        for path, value in pattern.items():
            wrong = wrong or value not in lists.get(path, ())
            if path not in given:
                known = did_you_mean(path, given) if given else "; the study has none"
                yield f"exclude {number}: {path!r} is no factor{known}"
            elif path not in lists:
                yield f"exclude {number}: {path} is a range; expected factors with values"
            elif value not in lists[path]:
                known = ", ".join(map(str, lists[path]))
                yield f"exclude {number}: {value!r} is no value of {path}; expected one of: {known}"
    if exclude and not wrong and all(lists.values()) and not any(grid(lists, exclude)):
        yield "exclude: nothing is left of the grid; remove an exclusion"


def recipes(base: Values, drafts: Sequence[tuple[str, Values]]) -> Iterator[str]:
    """Base and arms are recipes, all different experiments. A problem that several arms share is reported once."""
    known = set(_recipe_problems(base))
    yield from (f"base: {line}" for line in known)
    where: dict[str, list[str]] = {}
    hashes: dict[str, list[str]] = {}
    for name, values in drafts:
        if "seed" in values and values["seed"] != base.get("seed"):
            yield f"arm {name!r}: sets the seed; give seeds = [...] for the whole study instead"
        found = _recipe_problems(values)
        for line in found:
            where.setdefault(line, []).append(name)
        if not found:
            hashes.setdefault(Recipe.from_dict({**values, "seed": 1}).hash, []).append(name)
    for line, names in where.items():
        if line not in known:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield f"{line} (arm {names[0]!r}{more})"
    for names in hashes.values():
        distinct = dict.fromkeys(names)
        if len(distinct) > 1:
            same = ", ".join(map(repr, distinct))
            yield f"arms {same} are the same experiment (equal recipe hash); keep one of them"


def budget_conflicts(budget: Budget, changes: Values) -> Iterator[str]:
    """A value of `--set` that the budget would silently replace."""
    given = dict(leaves(change_of(budget.set)))
    for path in dict(leaves(changes)):
        if path in given:
            yield f"--set {path}: the budget sets it to {given[path]!r} for every arm; leave out --set or --budget"


def arm_names(names: Sequence[str]) -> Iterator[str]:
    """Names of arms are unique."""
    for name, count in Counter(names).items():
        if count > 1:
            yield f"arm {name!r}: {count} arms have this name; expected one of a kind"


def claims(given: Sequence[ClaimTable], published: Sequence[Published]) -> Iterator[str]:
    """The metrics of claims and published figures are known; each claim can be decided (see `Claim`)."""
    named = [*(("claim", one.metric) for one in given), *(("published", one.metric) for one in published)]
    for what, metric in named:
        try:
            Metric.parse(metric)
        except MetricError as error:
            yield from (f"{what}: {line}" for line in error.problems)
    for one in given:
        try:
            _ = one.value
        except ClaimError as error:
            yield from error.problems


def measurable(
    drafts: Mapping[str, Values], given: Sequence[ClaimTable], published: Sequence[Published]
) -> Iterator[str]:
    """The runs of the arms in claims and published figures will have the metric: checked before hours of training."""
    asked = [(name, one.metric) for one in given for name in (one.left, one.right)]
    asked += [(one.arm, one.metric) for one in published]
    found = {name: dict(leaves(values)) for name, values in drafts.items()}
    for name, metric in dict.fromkeys(asked):
        known = METRICS.get(metric.partition(" ")[0])
        if known is None or name not in found:
            continue
        if known.needs_val and found[name].get("data.val") == 0:
            yield f"arm {name!r} has no validation images (data.val = 0), and {metric} is measured on them"
        if known.needs_test_curve and found[name].get("train.test_curve") is not True:
            yield f"arm {name!r}: {metric} is measured on test in every epoch; set train.test_curve = true"


def mentions(names: Sequence[str], given: Sequence[ClaimTable], published: Sequence[Published]) -> Iterator[str]:
    """Arms in claims and published figures exist."""
    for one in given:
        mentioned = [one.left, one.right] if isinstance(one.right, str) else [one.left]
        for name in mentioned:
            if name not in names:
                sentence = one.text or f"{one.left} {one.relation} {one.right}"
                yield f"claim {sentence!r}: no arm {name!r}{did_you_mean(name, names)}"
    for figure in published:
        if figure.arm not in names:
            yield f"published {figure.value:g}: no arm {figure.arm!r}{did_you_mean(figure.arm, names)}"


def _recipe_problems(values: Values) -> tuple[str, ...]:
    try:
        Recipe.from_dict(values)
    except RecipeError as error:
        return tuple(error.problems)
    return ()
