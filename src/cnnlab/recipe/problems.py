"""Turn pydantic's errors into lines for the user: path, received value, expectation.

optim.lrr: unknown key; did you mean 'lr'?
train.epochs: received -1, expected a value greater than or equal to 1
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from cnnlab.core.errors import ArchitectureError, CnnlabError, RecipeError
from cnnlab.core.suggest import did_you_mean

Location = tuple[str | int, ...]

# Below these paths pydantic's location has an extra element: the kind, which is not a key.
_TAGGED: tuple[Location, ...] = (("optim",), ("schedule",), ("data", "normalize"))

_PLAIN_WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "a word in quotes",
    "a valid boolean": "true or false",
    "a valid tuple": "a list",
}

_SEALED = "; the test split is sealed: it is scored once, for reports, and never used to select, stop or tune"


@dataclass(frozen=True)
class Place:
    """Location of an error: its keys, the model that contains the last key, and the kind of that model."""

    path: Location
    owner: type[BaseModel] | None
    kind: str

    def __str__(self) -> str:
        return ".".join(map(str, self.path))


def locate(location: Location, model: type[BaseModel]) -> Place:
    """Resolve pydantic's location, starting from `model`."""
    place = Place((), None, "")
    inner: list[type[BaseModel]] = [model]
    kind = ""
    for element in location:
        if place.path in _TAGGED and not kind:
            kind = str(element)
            inner = [one for one in inner if len(inner) == 1 or one.model_fields["name"].default == kind]
            continue
        owner = inner[0] if len(inner) == 1 else None
        place, kind = Place((*place.path, element), owner, kind), ""
        if isinstance(element, str):  # a number is an item of a list, whose model is already known
            inner = _models_of(owner, element)
    return place


def describe(error: ErrorDetails, model: type[BaseModel]) -> list[str]:
    """The lines for one error in the values of `model`."""
    place, received = locate(error["loc"], model), error["input"]
    sealed = _SEALED if _mentions_test(place.path, received) else ""
    cause = error.get("ctx", {}).get("error")
    match error["type"]:
        case "extra_forbidden":
            kind = f" for {place.kind!r}" if place.kind in _kinds(model, place.path[0]) else ""
            return [f"{place}: unknown key{kind}{sealed or _nearest_key(place, model)}"]
        case "missing":
            return [f"{place}: missing, expected a value"]
        case "union_tag_not_found":
            return [f"{place}.name: missing; expected one of: {', '.join(_kinds(model, place.path[0]))}"]
        case "union_tag_invalid":
            name = received["name"]
            nearest = did_you_mean(str(name), _kinds(model, place.path[0]))
            return [f"{place}.name: received {_short(name)}{nearest}"]
        case "literal_error" if isinstance(received, str) and place.owner is not None:
            words = _words(place.owner.model_fields[str(place.path[-1])].annotation)
            return [f"{place}: received {_short(received)}{did_you_mean(received, words)}{sealed}"]
        case "value_error" if isinstance(cause, RecipeError):
            return list(cause.problems)  # these contain their own paths
        case "value_error":
            # A named architecture is checked together with its options: the name may be the wrong part.
            where = "arch" if isinstance(cause, ArchitectureError) and place.path[-1] == "options" else place
            lines = cause.problems if isinstance(cause, CnnlabError) else [str(cause)]
            return [f"{where}: {line}{sealed}" for line in lines]
    return [f"{place}: received {_short(received)}, expected {_expectation(error)}{sealed}"]


def _models_of(owner: type[BaseModel] | None, key: str | int) -> list[type[BaseModel]]:
    """The possible models of a field."""
    field = owner.model_fields.get(str(key)) if owner else None
    return list(_models_in(field.annotation)) if field else []


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _kinds(model: type[BaseModel], key: str | int) -> list[str]:
    """The names of a table's kinds: sgd, adam, ..."""
    models = _models_of(model, key)
    return [one.model_fields["name"].default for one in models] if len(models) > 1 else []


def _words(annotation: Any) -> Iterator[str]:
    """The words that a field accepts."""
    for argument in get_args(annotation):
        if isinstance(argument, str):
            yield argument
        yield from _words(argument)


def _nearest_key(place: Place, model: type[BaseModel]) -> str:
    key = str(place.path[-1])
    if len(place.path) == 1:  # `lr = 0.1` at the top: the key belongs into a table
        for table in model.model_fields:
            if any(key in inner.model_fields for inner in _models_of(model, table)):
                return f"; did you mean '{table}.{key}'?"
    return did_you_mean(key, place.owner.model_fields if place.owner else ())


def _expectation(error: ErrorDetails) -> str:
    expected = error["msg"].removeprefix("Input should be ")
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "a table"
    if error["type"] in ("too_short", "string_too_short"):
        return "at least one" if error["type"] == "too_short" else "a word that is not empty"
    if error["type"].startswith(("greater_than", "less_than")):
        return f"a value {expected}"
    return _PLAIN_WORDS.get(expected, expected[:1].lower() + expected[1:])


def _mentions_test(path: Location, received: Any) -> bool:
    """Whether the user tries to select on test, for example `early_stop = { monitor = "test_accuracy" }`."""
    return path[:1] == ("train",) and isinstance(received, str) and received.lower().startswith("test")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
