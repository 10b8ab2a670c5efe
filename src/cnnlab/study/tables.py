"""The tables of a study file. Their field names are the TOML keys."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from cnnlab.compare.claims import Relation
from cnnlab.recipe.canonical import leaves
from cnnlab.recipe.values import Real, Section

Name = Annotated[str, Field(min_length=1)]


def _number_or_arm(value: Any) -> str | float:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"received {value!r}, expected the name of an arm, or a number")


def flat(value: Any) -> Any:
    """`{optim = {lr = 0.1}}` as `{"optim.lr" = 0.1}`: TOML reads unquoted dots as tables."""
    return dict(leaves(value)) if isinstance(value, Mapping) else value


class NamedArm(Section):
    """A variant: what it sets differs from the base. Without `set` it is the base."""

    name: Name
    set: dict[str, Any] = Field(default_factory=dict)


class Chain(Section):
    """An ablation ladder: each step is an arm that adds what it sets to the steps before it."""

    name: Name
    steps: Annotated[tuple[NamedArm, ...], Field(strict=False, min_length=1)]


class ClaimTable(Section):
    """A sentence about two arms, or an arm and a number, as `compare.claims.Claim` has it."""

    left: Name
    relation: Relation
    right: Annotated[str | float, PlainValidator(_number_or_arm)]
    margin: Real = 0.0
    metric: Name = "best_val"
    text: str = ""
    times: Real = 1.0


class Published(Section):
    """A published figure to stand beside ours. `source` says where it is printed, so that it can be looked up."""

    arm: Name
    metric: Name = "best_val"
    value: Real
    source: Name


Exclusion = Annotated[dict[str, Any], BeforeValidator(flat)]
