"""The recipe: one strict, immutable value that determines a training."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from cnnlab.core.errors import RecipeError
from cnnlab.recipe import checks
from cnnlab.recipe.augmentation import Augment
from cnnlab.recipe.canonical import SCHEMA, canonical, differences, digest, without_schema
from cnnlab.recipe.problems import describe, locate
from cnnlab.recipe.schedule import Constant, Schedule
from cnnlab.recipe.sections import Arch, Data, Loss, Optimizer, Train
from cnnlab.recipe.sources import LABELS, merge, parse_overrides, read
from cnnlab.recipe.values import Section

Precision = Literal["auto", "bf16", "fp16", "fp32"]


class Recipe(Section):
    """One training. Equal `hash`, equal experiment; name, description and promise are not hashed.

    Made by `named`, `load` or `from_dict`; they report all problems together as a RecipeError.
    """

    name: Annotated[str, Field(min_length=1)] = "custom"
    description: str = ""
    promise: str = ""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    precision: Precision = "auto"
    data: Data = Data()
    augment: Augment = Augment()
    arch: Arch
    optim: Annotated[Optimizer, Field(discriminator="name")]
    schedule: Annotated[Schedule, Field(discriminator="name")] = Constant()
    loss: Loss = Loss()
    train: Train

    @field_validator("train")
    @classmethod
    def _fits_the_other_sections(cls, train: Train, info: ValidationInfo) -> Train:
        # A field validator, because pydantic runs it even if other sections have problems.
        data, schedule = info.data.get("data"), info.data.get("schedule")
        problems = list(checks.val_is_there(train, data, schedule)) if data else []
        problems += checks.phases_fit_budget(train, schedule) if schedule else ()
        if problems:
            raise RecipeError(*problems)
        return train

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with these values and defaults. Raises RecipeError with all problems."""
        return _validated(values, ())

    @classmethod
    def named(cls, name: str, /, **overrides: Any) -> "Recipe":
        """A preset with changes: `Recipe.named("simplenn", optim={"lr": 0.05})`. "none" removes a value."""
        return _validated(merge(read(name), overrides), ())

    @classmethod
    def load(cls, reference: str | Path, overrides: Sequence[str] = ()) -> "Recipe":
        """A preset or TOML file, with `--set` overrides such as `"optim.lr=0.1"`. Raises RecipeError."""
        changes, problems = parse_overrides(overrides)
        return _validated(merge(read(reference), changes), problems)

    @property
    def hash(self) -> str:
        """Identity of the experiment: 16 hex digits of all values except the labels."""
        return digest(self.canonical())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Settings that are allowed but have no effect."""
        return tuple(checks.suspicions(self.train, self.schedule, self.loss))

    def canonical(self) -> dict[str, Any]:
        """What is hashed, as JSON types: all values, with defaults, without labels and neutral values."""
        return canonical(self.model_dump(mode="json", exclude=set(LABELS)))

    def diff(self, other: "Recipe") -> list[tuple[str, Any, Any]]:
        """(path, our value, other value) of each difference without labels; None where it is not set."""
        ours, theirs = (one.model_dump(mode="json", exclude=set(LABELS)) for one in (self, other))
        return differences(ours, theirs)

    def with_seed(self, seed: int) -> "Recipe":
        """The same recipe with another seed, 0 or more."""
        return self.model_copy(update={"seed": seed})

    def to_toml(self) -> str:
        """The recipe as TOML, with defaults; loading it gives an equal recipe."""
        values = {"schema": SCHEMA, **self.model_dump(mode="json", exclude_none=True)}
        return tomli_w.dumps({key: value for key, value in values.items() if value != {}})

    def __hash__(self) -> int:
        return int(self.hash, 16)


def _validated(values: Mapping[str, Any], problems: Sequence[str]) -> Recipe:
    values = without_schema(values)
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        findings = error.errors()
        lines = [line for finding in findings for line in describe(finding, Recipe)]
        raise RecipeError(*problems, *lines, *_hidden_problems(values, findings)) from None
    if problems:
        raise RecipeError(*problems)
    return recipe


def _hidden_problems(values: Mapping[str, Any], findings: Sequence[ErrorDetails]) -> list[str]:
    """Problems between sections: pydantic checks them only for valid values, so check without the invalid ones."""
    rest: Mapping[str, Any] = values
    for finding in findings:
        rest = _without(rest, locate(finding["loc"], Recipe).path)
    try:
        Recipe.model_validate(rest)
    except ValidationError as error:
        causes = [finding.get("ctx", {}).get("error") for finding in error.errors()]
        return [line for cause in causes if isinstance(cause, RecipeError) for line in cause.problems]
    return []


def _without(values: Mapping[str, Any], path: Iterable[str | int]) -> dict[str, Any]:
    """`values` without the value at `path`."""
    key, *inner = map(str, path)
    rest = {name: value for name, value in values.items() if name != key}
    if inner and isinstance(values.get(key), Mapping):
        rest[key] = _without(values[key], inner)
    return rest
