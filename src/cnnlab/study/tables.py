"""The tables of a study file. Their field names are the TOML keys."""

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from cnnlab.compare.claims import Relation
from cnnlab.recipe.canonical import leaves
from cnnlab.recipe.values import Real, Section


def _printable(text: str) -> str:
    # Names stand in cells of tables and in lines of logs.
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


def _number_or_arm(value: Any) -> str | float:
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"received {value!r}, expected the name of an arm, or a finite number")


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

    left: Text
    relation: Relation
    right: Annotated[str | float, PlainValidator(_number_or_arm)]
    margin: Real = 0.0
    metric: Text = "best_val"
    text: str = ""


class Published(Section):
    """A published figure to stand beside ours. `source` says where it is printed, so that it can be looked up."""

    arm: Text
    metric: Text = "best_val"
    value: Real
    source: Text


Exclusion = Annotated[dict[str, Any], BeforeValidator(flat)]
