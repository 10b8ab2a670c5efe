"""Parameters in the text form: `{width}`, `{2 * width}` and `{classes}` become their values.

Between the braces stands a name, or a formula of numbers, names, + - * / // and parentheses.
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping

from cnnlab.core.errors import ArchitectureError
from cnnlab.core.suggest import did_you_mean

Value = int | float | str

_FIELD = re.compile(r"\{([^{}]*)\}")
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def has_parameters(text: str) -> bool:
    """Whether a text of layers contains parameters."""
    return "{" in text


def parameters_of(text: str) -> set[str]:
    """Names of the parameters that well-formed formulas of `text` use."""
    names: set[str] = set()
    for match in _FIELD.finditer(text):
        try:
            tree = ast.parse(match[1].strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # `fill_parameters` reports it
            continue
        names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names


def fill_parameters(text: str, values: Mapping[str, Value]) -> str:
    """`text` with the values of its formulas. Raises ArchitectureError with all problems and their positions."""
    problems: list[str] = []

    def written(match: re.Match[str]) -> str:
        try:
            return _write(_evaluate(match[1], values))
        except ValueError as problem:
            problems.append(f"position {match.start() + 1}: {match[0]}: {problem}")
            return "1"

    filled = _FIELD.sub(written, text)
    if (brace := re.search(r"[{}]", _FIELD.sub(lambda match: " " * len(match[0]), text))) is not None:
        problems.append(f"position {brace.start() + 1}: this {brace[0]!r} has no partner")
    if problems:
        raise ArchitectureError(*problems)
    return filled


def _evaluate(formula: str, values: Mapping[str, Value]) -> Value:
    try:
        return _value(ast.parse(formula.strip(), mode="eval").body, values)
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("expected a name or a formula such as {width} or {2 * width}") from None
    except ZeroDivisionError:
        raise ValueError("it divides by 0") from None


def _value(node: ast.expr, values: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.Name(id=name):
            if name not in values:
                raise ValueError(f"parameter {name!r} has no value{did_you_mean(name, values) if values else ''}")
            return values[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_number(operand, values)
        case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
            return _OPERATORS[type(sign)](_number(left, values), _number(right, values))
    raise ValueError("expected numbers, names, + - * / // and parentheses")


def _number(node: ast.expr, values: Mapping[str, Value]) -> int | float:
    value = _value(node, values)
    if isinstance(value, str):
        raise ValueError("a word cannot be part of a formula")
    return value


def _write(value: Value) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
