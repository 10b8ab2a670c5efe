"""Sources of a recipe's values: presets, files that extend others, and `--set` overrides."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnlab.core.errors import RecipeError
from cnnlab.core.suggest import did_you_mean
from cnnlab.recipe.canonical import without_schema
from cnnlab.recipe.schedule import SCHEDULES
from cnnlab.recipe.sections import OPTIMIZERS

PRESETS = Path(__file__).parent / "presets"

LABELS = ("name", "description", "promise")

Values = dict[str, Any]


def preset_names() -> tuple[str, ...]:
    """The recipes that come with cnnlab."""
    return tuple(sorted(path.stem for path in PRESETS.glob("*.toml")))


def read(reference: str | Path, folder: Path = Path()) -> Values:
    """The values of a preset or file, merged with everything that it extends. Raises RecipeError.

    Labels (name, description, promise) are not inherited. The default name is the file's.
    """
    return _read(_find(str(reference), folder), ())


def resolve(values: Mapping[str, Any], folder: Path = Path()) -> Values:
    """The values of a table whose `extends` may name a preset or a file in `folder`. Raises RecipeError."""
    return _extended(values, "this table", folder, ())


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """`base` changed by `changes`, table by table.

    If `changes` selects another kind (`optim.name`, `schedule.name`, an architecture), inherited keys that the
    new kind does not have are removed.
    """
    return _deep_merge(_fitting(base, changes), changes)


def parse_overrides(texts: Sequence[str]) -> tuple[Values, list[str]]:
    """The values of `--set a.b=c` overrides (the last one counts), and the problems found.

    After `=` comes a TOML value; other text is a word: `schedule.warmup=10%`.
    """
    values: Values = {}
    problems: list[str] = []
    for text in texts:
        path, equals, right = text.partition("=")
        keys = [key.strip() for key in path.split(".")]
        if not (equals and all(keys) and right.strip()):
            problems.append(f"--set {text}: expected key.path=value, such as optim.lr=0.1")
            continue
        values = _deep_merge(values, nest(keys, _override_value(right.strip())))
    return values, problems


def nest(keys: Sequence[str], value: Any) -> Values:
    """`nest(("optim", "lr"), 0.1)` is `{"optim": {"lr": 0.1}}`."""
    for key in reversed(keys):
        value = {key: value}
    return dict(value)


def _override_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _find(reference: str, folder: Path) -> Path:
    names = preset_names()
    if reference in names:
        return PRESETS / f"{reference}.toml"
    path = folder / reference
    if path.is_file():
        return path.resolve()
    raise RecipeError(f"recipe {reference!r}: neither a preset nor a file{did_you_mean(Path(reference).stem, names)}")


def _read(path: Path, seen: tuple[Path, ...]) -> Values:
    if path in seen:
        circle = " -> ".join(step.name for step in (*seen[seen.index(path) :], path))
        raise RecipeError(f"{path.name}: extends itself ({circle}); remove one `extends`")
    values = _parse(path)
    values.setdefault("name", path.stem)
    return _extended(values, path.name, path.parent, (*seen, path))


def _extended(given: Mapping[str, Any], where: str, folder: Path, seen: tuple[Path, ...]) -> Values:
    values = {key: value for key, value in given.items() if key != "extends"}
    base = given.get("extends")
    if base is None:
        return values
    if not isinstance(base, str):
        raise RecipeError(f"{where}: extends: received {base!r}, expected the name of a preset or a file")
    inherited = _read(_find(base, folder), seen)
    return merge({key: value for key, value in inherited.items() if key not in LABELS}, values)


def _parse(path: Path) -> Values:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise RecipeError(f"{path}: not valid TOML: nested too deeply") from error
    return without_schema(values, f"{path}: ")


def _deep_merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    merged = {**base, **changes}
    for key in base.keys() & changes.keys():
        if isinstance(base[key], Mapping) and isinstance(changes[key], Mapping):
            merged[key] = _deep_merge(base[key], changes[key])
    return merged


def _fitting(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Values:
    """`base` without the keys that the kinds selected in `changes` do not have."""
    fitting = dict(base)
    for table in {"optim", "schedule", "arch"} & base.keys() & changes.keys():
        old, new = base[table], changes[table]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            kept = _kept_keys(table, old, new)
            fitting[table] = {key: value for key, value in old.items() if key in kept}
    return fitting


def _kept_keys(table: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    name = new.get("name")
    if table == "arch":
        changed = "layers" in new or (name is not None and name != old.get("name"))
        return set() if changed else set(old)
    kinds = OPTIMIZERS if table == "optim" else SCHEDULES
    if isinstance(name, str) and name in kinds and name != old.get("name"):
        # Of a schedule only keys that make this kind: else `name = "constant"` would keep the warm-up of another.
        return set(kinds[name].__annotations__ if table == "schedule" else kinds[name].model_fields)
    return set(old)
