"""The strict types of recipe fields."""

from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
)

from cnnlab.core.duration import Duration

T = TypeVar("T")


class Section(BaseModel):
    """A table of the recipe: immutable, without unknown keys; only whole numbers are converted, to floats."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _none_word(value: Any) -> Any:
    return None if value == "none" else value


def _positive_duration(value: Any) -> Duration:
    duration = Duration.parse(value)
    if duration.amount == 0:
        raise ValueError(f"received '{duration}', expected more than nothing")
    return duration


# `+ 0.0` changes -0.0 to 0.0, so that equal experiments have one canonical form.
Real = Annotated[float, AfterValidator(lambda value: value + 0.0)]
Positive = Annotated[Real, Field(gt=0)]
NonNegative = Annotated[Real, Field(ge=0)]
Fraction = Annotated[Real, Field(ge=0, le=1)]
BelowOne = Annotated[Real, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]

# TOML has no null: the word "none" removes a value that a base recipe has set.
Optional = Annotated[T | None, BeforeValidator(_none_word)]

Length = Annotated[Duration, PlainValidator(Duration.parse), PlainSerializer(str)]
PositiveLength = Annotated[Duration, PlainValidator(_positive_duration), PlainSerializer(str)]
