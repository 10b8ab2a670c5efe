"""The study: a question as one strict, immutable value. All its problems are reported together, before anything runs.

question = "Does batch normalisation allow a larger learning rate?"
base = "simplenn-aug"                       # a preset or recipe file; or a table [base] with `extends`
seeds = 3                                   # 1, 2, 3; or a list

[factors]                                   # a grid: here four arms, such as "lr=0.1, bn=on"
optim.lr = [0.01, 0.1]
arch.options.batchnorm = [false, true]

[[claim]]
left = "lr=0.1, bn=on"
relation = ">"
right = "lr=0.1, bn=off"
"""

import copy
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BeforeValidator, Field, PlainValidator, ValidationError
from pydantic_core import ErrorDetails

from cnnlab.compare.claims import Claim
from cnnlab.compare.metrics import MEASURED, Metric
from cnnlab.core.errors import CnnlabError, RecipeError
from cnnlab.core.suggest import did_you_mean
from cnnlab.recipe import Recipe
from cnnlab.recipe.problems import describe
from cnnlab.recipe.seeds import MOST_SEEDS, seed_problems
from cnnlab.recipe.sources import LABELS, Values, merge, parse_overrides, read, resolve
from cnnlab.recipe.values import Optional, Positive, Section
from cnnlab.study import checks, tables
from cnnlab.study.arms import Arm, Cell, change_of, grid, grid_name, one_at_a_time

LIBRARY = Path(__file__).parent / "library"

_GRID_LIMIT = 1000

_ARM_KEYS = frozenset({"base", "factors", "exclude", "arm", "chain", "reduced"})


class StudyError(CnnlabError):
    """A study that cannot be run."""


def _seed_list(value: Any) -> tuple[int, ...]:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SEEDS:
        return tuple(range(1, value + 1))
    if isinstance(value, list | tuple) and all(type(seed) is int for seed in value):
        return tuple(value)
    raise ValueError(f"received {value!r}, expected how many seeds (1, 2, ... up to {MOST_SEEDS:,}), or a list of them")


def _worker_count(value: Any) -> int | str:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value  # type: ignore[no-any-return]
    raise ValueError(f"received {value!r}, expected 'auto' or 1, 2, ...")


class Study(Section):
    """What is compared, under which seeds, and what is claimed. Made by `load` or `from_dict`.

    `base` are a recipe's values with those that it extends; `factors` maps paths of the recipe to their values. A
    range instead of values is for `cnnlab study search` only and makes no arms. `budget` is in minutes. `reduced` is
    the chosen one of `budgets`, if any.
    """

    name: tables.FolderName
    question: tables.Text
    base: dict[str, Any]
    factors: Annotated[dict[str, list[Any] | tables.Range], BeforeValidator(tables.factor_values)] = Field(
        default_factory=dict
    )
    search: tables.SearchTable = tables.SearchTable()
    exclude: Annotated[tuple[tables.Exclusion, ...], Field(strict=False)] = ()
    arm: Annotated[tuple[tables.NamedArm, ...], Field(strict=False)] = ()
    chain: Annotated[tuple[tables.Chain, ...], Field(strict=False)] = ()
    seeds: Annotated[tuple[int, ...], PlainValidator(_seed_list)] = (1, 2, 3)
    budget: Optional[Positive] = None
    workers: Annotated[int | Literal["auto"], PlainValidator(_worker_count)] = "auto"
    launcher: Literal["local"] = "local"
    claim: Annotated[tuple[tables.ClaimTable, ...], Field(strict=False)] = ()
    published: Annotated[tuple[tables.Published, ...], Field(strict=False)] = ()
    budgets: dict[str, tables.Budget] = Field(default_factory=dict)
    reduced: Optional[tables.Budget] = None

    @classmethod
    def load(
        cls,
        reference: str | Path,
        overrides: Sequence[str] = (),
        seeds: Sequence[int] | int | None = None,
        budget: str | None = None,
    ) -> "Study":
        """A shipped study or a TOML file; `overrides` (`"train.epochs=1"`) change its base, `seeds` replaces them.

        `budget` names one of its smaller forms. Raises StudyError with every problem.
        """
        path = _find(str(reference))
        values = _parse(path)
        values.setdefault("name", path.stem)
        if seeds is not None:
            values["seeds"] = seeds
        if budget is not None:
            values = _at_budget(values, budget)
        return cls.from_dict(values, overrides, path.parent)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], overrides: Sequence[str] = (), folder: Path = Path()) -> "Study":
        """The study with these values; `folder` is where recipe files are. Raises StudyError with every problem."""
        changes, problems = parse_overrides(overrides)
        if "seed" in changes:
            problems.append("--set seed: a study trains under its seeds; set them in the file, or with --seeds")
        values, unread = _with_base(values, changes, folder)
        problems += unread
        bad: set[str] = {"base"} if unread else set()
        try:
            study = cls.model_validate(values)
        except ValidationError as error:
            problems += [line for finding in error.errors() for line in describe(finding, cls)]
            rest, unusable = _good_part(values, error.errors())
            bad |= unusable
            study = cls.model_validate({"name": "study", "question": "?", "base": {}} | rest)
        if study.reduced is not None:
            problems += checks.budget_conflicts(study.reduced, changes)
        problems += _problems(study, bad)
        if problems:
            raise StudyError(*dict.fromkeys(problems))
        return study

    def to_toml(self) -> str:
        """The whole study as TOML, with the values that its base extends; loading it gives an equal study."""
        values = self.model_dump(mode="json", exclude_none=True, warnings=False)  # seeds are a list in JSON
        return tomli_w.dumps({key: value for key, value in values.items() if value != {}})

    @cached_property
    def base_recipe(self) -> Recipe:
        """The recipe that every arm changes. Raises RecipeError."""
        return Recipe.from_dict({**self._at_budget(self.base), "name": self.name})

    @property
    def to_search(self) -> bool:
        """Whether the study can only be searched: a factor is a range, or there are over a thousand combinations."""
        lists = [values for values in self.factors.values() if isinstance(values, list)]
        return len(lists) < len(self.factors) or math.prod(map(len, lists)) > _GRID_LIMIT

    def cell(self, arm: str, seed: int) -> Cell:
        """One arm under one seed, also a seed that the study does not have yet."""
        recipe = next(one.recipe for one in self.arms() if one.name == arm)
        return Cell(arm, recipe.with_seed(seed))

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims to be decided. Raises ClaimError."""
        return tuple(replace(one.value, metric=str(Metric.parse(one.metric))) for one in self.claim)

    @property
    def measurements(self) -> dict[str, tuple[str, ...]]:
        """Measurement that `cnnlab study measure` makes -> the arms whose claims need it."""
        found: dict[str, dict[str, None]] = {}
        for claim in self.claims:
            if claim.metric in MEASURED:
                found.setdefault(MEASURED[claim.metric][0], {}).update(dict.fromkeys(claim.arms))
        return {name: tuple(arms) for name, arms in found.items()}

    @cached_property
    def _arms(self) -> tuple[Arm, ...]:
        if self.to_search:
            raise StudyError(
                f"the factors of study {self.name} span more than a grid; `cnnlab study search` tries some of it"
            )
        base, arms = self.base_recipe.with_seed(self.seeds[0]), []
        for name, values in self.drafts():
            recipe = Recipe.from_dict({**values, "name": f"{self.name} {name}", "seed": self.seeds[0]})
            arms.append(Arm(name, recipe, tuple(base.diff(recipe))))
        return tuple(arms)

    def arms(self) -> tuple[Arm, ...]:
        """Every arm: the grid in its order, then named arms, then chains."""
        return self._arms

    def drafts(self) -> list[tuple[str, Values]]:
        """Name and recipe values of every arm, not yet checked; of a search, some settings at the ends of ranges."""
        values = {
            path: given if isinstance(given, list) else [given.low, given.high]
            for path, given in self.factors.items()
            if given
        }
        settings = one_at_a_time(values) if self.to_search else grid(values, self.exclude)
        drafts = [(grid_name(setting), merge(self.base, change_of(setting))) for setting in settings]
        drafts += [(arm.name, merge(self.base, change_of(arm.set))) for arm in self.arm]
        for chain in self.chain:
            values = self.base
            for step in chain.steps:
                values = merge(values, change_of(step.set))
                drafts.append((step.name, values))
        return [(name, self._at_budget(values)) for name, values in drafts]

    def _at_budget(self, values: Values) -> Values:
        return values if self.reduced is None else self.reduced.applied(values)


def study_names() -> tuple[str, ...]:
    """The studies that come with cnnlab."""
    return tuple(sorted(path.stem for path in LIBRARY.glob("*.toml")))


def _find(reference: str) -> Path:
    names = study_names()
    if reference in names:
        return LIBRARY / f"{reference}.toml"
    path = Path(reference)
    if path.is_file():
        return path.resolve()
    nearest = did_you_mean(path.stem, names)
    raise StudyError(f"study {reference!r}: neither one that comes with cnnlab nor a file{nearest}")


def _parse(path: Path) -> Values:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StudyError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StudyError(f"{path}: not valid TOML: {error}") from error


def _at_budget(values: Values, budget: str) -> Values:
    """The values with the budget as the `reduced` one, and its name after the study's. Raises StudyError."""
    budgets = values.get("budgets")
    if not isinstance(budgets, Mapping) or budget not in budgets:
        known = did_you_mean(budget, budgets) if isinstance(budgets, Mapping) and budgets else "; the study has none"
        raise StudyError(f"--budget: received {budget!r}{known}")
    return {**values, "name": f"{values['name']}-{budget}", "reduced": budgets[budget]}


def _with_base(values: Mapping[str, Any], changes: Values, folder: Path) -> tuple[Values, list[str]]:
    """The values with `base` as a recipe's own values, and its problems."""
    given = values.get("base")
    try:
        if isinstance(given, str):
            base = read(given, folder)
        elif isinstance(given, Mapping):
            base = resolve(given, folder)
        elif given is None:
            return {**values}, []  # "missing", as for every other key
        else:
            return {**values}, [f"base: received {given!r}, expected a preset, a recipe file or a table"]
    except RecipeError as error:
        return {**values, "base": {}}, [f"base: {line}" for line in error.problems]
    unlabelled = {key: value for key, value in base.items() if key not in LABELS}
    return {**values, "base": merge(unlabelled, changes)}, []


def _good_part(values: Mapping[str, Any], findings: Sequence[ErrorDetails]) -> tuple[Values, set[str]]:
    """The values without invalid ones, so that the rest can be checked too, and the keys that were removed whole.

    An unknown key or an invalid range is removed alone, an invalid claim or published figure with its table, all else
    with its whole key.
    """
    rest, bad = copy.deepcopy(dict(values)), set()
    for finding in findings:
        key, *path = finding["loc"]
        if finding["type"] == "extra_forbidden":
            table: Any = rest
            for step in (key, *path)[:-1]:
                table = table[step]
            table.pop(finding["loc"][-1], None)  # a chosen budget is one table under two keys
        elif isinstance(cause := finding.get("ctx", {}).get("error"), tables.RangeError):
            rest["factors"] = cause.good
            bad.add("range")
        elif key in ("claim", "published") and path:
            rest[str(key)][path[0]] = None
        else:
            bad.add(str(key))
    for key in ("claim", "published"):
        if key in rest and key not in bad:
            rest[key] = [one for one in rest[key] if one is not None]
    return {key: value for key, value in rest.items() if key not in bad}, bad


def _problems(study: Study, bad: set[str]) -> list[str]:
    """Problems between several keys. `bad` keys are reported already, and their values are not used here."""
    problems = list(seed_problems(study.seeds)) if "seeds" not in bad else []
    problems += checks.claims(study.claim, study.published)
    if bad & _ARM_KEYS:
        return problems
    problems += checks.factors(study.factors, study.exclude)
    drafts = study.drafts()
    problems += checks.recipes(study._at_budget(study.base), drafts)
    problems += checks.measurable(dict(drafts), study.claim, study.published)
    problems += checks.arm_names([name for name, _ in drafts])
    problems += checks.mentions([name for name, _ in drafts], study.claim, study.published)
    if not drafts and not study.factors and "range" not in bad:
        problems.append("no arms: expected [factors], [[arm]] or [[chain]]")
    return problems
