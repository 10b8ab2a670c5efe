"""Write a recipe's values as TOML: numbers, words, lists, tables. `tomllib` reads it back exactly.

The standard library reads TOML but does not write it.
"""

import json
from collections.abc import Mapping
from typing import Any


def to_toml(values: Mapping[str, Any]) -> str:
    """Top-level scalars, then one `[table]` per mapping, deeper ones inline; empty tables are left out."""
    scalars = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    blocks = ["".join(_lines(scalars))]
    for key, table in values.items():
        if isinstance(table, Mapping) and (lines := _lines(table)):
            blocks.append(f"[{_key(key)}]\n" + "".join(lines))
    return "\n".join(blocks)


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [
        f"{_key(key)} = {_value(value)}\n"
        for key, value in table.items()
        if value is not None and value != {}
    ]


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "_").isidentifier()
    return key if bare else _value(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            # JSON's escapes are all TOML's; only DEL must be escaped in TOML and is not in JSON.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    raise TypeError(f"not a recipe value: {value!r}")
