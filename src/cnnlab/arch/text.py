"""The text form of layers: `conv 5x5 8 | relu | residual(conv 3x3 8 pad 1 | bn; shortcut B) | linear 10`.

    layers   = layer { "|" layer }
    layer    = name { value } { option }            required values come first, in order
             | "residual" "(" layers [ ";" { option } ] ")"
    option   = name value | name | "no" name        the last two for true and false: `bias`, `nobias`

Spaces and line ends separate words. Reading reports all problems of a text together, each with its position.
"""

import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from cnnlab.arch.kinds import FLAG, Kind, kinds_of, required_of
from cnnlab.arch.layers import LAYERS, MAX_NESTING, NAME_OF, SYNONYMS, TOO_DEEP, Layer, Residual
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.suggest import did_you_mean


def write_layers(layers: Sequence[Layer]) -> str:
    """The canonical text: without defaults, options in the order of the layer's fields."""
    return " | ".join(map(write_layer, layers))


def write_layer(layer: Layer) -> str:
    """The canonical text of one layer."""
    kinds, required = kinds_of(type(layer)), required_of(type(layer))
    words = [kinds[name].write(getattr(layer, name)) for name in required]
    options = []
    for name, value in changed_options(layer).items():
        is_flag = kinds[name] is FLAG
        options += [name if value else f"no{name}"] if is_flag else [name, kinds[name].write(value)]
    if isinstance(layer, Residual):
        return f"residual({'; '.join(filter(None, [write_layers(layer.body), ' '.join(options)]))})"
    return " ".join([NAME_OF[type(layer)], *words, *options])


def changed_options(layer: Layer) -> dict[str, Any]:
    """Options of a layer that differ from their defaults."""
    options = ((field.name, field.default) for field in fields(layer) if field.default is not MISSING)
    return {name: getattr(layer, name) for name, default in options if getattr(layer, name) != default}


def read_layers(text: str) -> tuple[Layer, ...]:
    """The layers of `text`. Raises ArchitectureError with all problems and their positions."""
    reader = _Reader(text)
    layers = () if reader.is_too_deep() else reader.layers(closing="")
    if reader.problems:
        raise ArchitectureError(*reader.problems)
    return layers


@dataclass(frozen=True)
class _Token:
    text: str
    position: int


class _Reader:
    """Recursive descent parser of one text; after a problem it continues with the next layer."""

    def __init__(self, text: str) -> None:
        self.text = text
        matches = re.finditer(r"[|();]|[^\s|();]+", text)
        self.tokens = [_Token(match.group(), match.start()) for match in matches]
        self.tokens.append(_Token("", len(text.rstrip())))
        self.problems: list[str] = []

    @property
    def next(self) -> _Token:
        return self.tokens[0]

    def take(self) -> _Token:
        return self.tokens.pop(0)

    def report(self, token: _Token, problem: str) -> None:
        """Add a problem with the text around its position and a mark below it."""
        start = max(0, token.position - 40)
        excerpt = re.sub(r"\s", " ", self.text[start : token.position + 40])
        marker = " " * (token.position - start) + "^"
        self.problems.append(f"position {token.position + 1}: {problem}\n    {excerpt}\n    {marker}")

    def is_too_deep(self) -> bool:
        """Whether residuals are nested too deep; adds one problem then."""
        depth = 0
        for token in self.tokens:
            depth += {"(": 1, ")": -1 if depth else 0}.get(token.text, 0)
            if depth > MAX_NESTING:
                self.report(token, TOO_DEEP)
                return True
        return False

    def layers(self, closing: str) -> tuple[Layer, ...]:
        """Layers up to the end of the text or one of the characters in `closing`."""
        layers = []
        while True:
            layer = self.layer()
            if layer is not None:
                layers.append(layer)
            ends = {"", *closing}
            if self.next.text not in ends | {"|"}:
                self.report(self.next, f"received {self.next.text!r}, expected '|' and a layer, or the end")
            while self.next.text not in ends | {"|"}:
                self.take()
            if self.next.text in ends:
                return tuple(layers)
            self.take()

    def layer(self) -> Layer | None:
        """One layer, or None with problems added."""
        start = self.next
        if start.text in {"", "|", ";", ")", "("}:
            received = repr(start.text) if start.text else "the end"
            self.report(start, f"received {received}, expected the name of a layer")
            return None
        name = SYNONYMS.get(self.take().text, start.text)
        body = self.body() if name == "residual" else None
        words = body[1] if body else self.words()
        if name not in LAYERS:
            self.report(start, f"unknown layer {name!r}{did_you_mean(name, LAYERS)}")
            return None
        values: dict[str, Any] = {"body": body[0]} if body else {}
        if not self.fill(values, LAYERS[name], start, words) or (body and not body[0]):
            return None
        try:
            return LAYERS[name](**values)
        except ArchitectureError as error:
            self.report(start, "; ".join(error.problems))
            return None

    def words(self) -> list[_Token]:
        """The words up to the next separator."""
        words = []
        while self.next.text not in {"", "|", "(", ")", ";"}:
            words.append(self.take())
        return words

    def body(self) -> tuple[tuple[Layer, ...], list[_Token]]:
        """Layers and option words between the parentheses of a residual."""
        if self.next.text != "(":
            self.report(self.next, "expected '(' and the layers of the body after 'residual'")
            return (), self.words()
        opening = self.take()
        layers = self.layers(closing=";)")
        options: list[_Token] = []
        if self.next.text == ";":
            self.take()
            options = self.words()
        if self.next.text == ")":
            self.take()
        else:
            self.report(opening, "this '(' is not closed by ')'")
        return layers, options

    def fill(self, values: dict[str, Any], declaration: type[Layer], start: _Token, words: list[_Token]) -> bool:
        """Read one layer's required values, then its options, into `values`. False if a problem was added."""
        kinds, required = kinds_of(declaration), required_of(declaration)
        before = len(self.problems)
        if len(words) < len(required):
            received = " ".join([start.text, *(word.text for word in words)])
            self.report(start, f"received {received!r}, expected {_usage(declaration)}")
            return False
        for name, word in zip(required, words, strict=False):
            self.value(values, name, kinds[name], word)
        options = {name: kind for name, kind in kinds.items() if name not in required}
        rest = words[len(required) :]
        while rest:
            self.option(values, options, rest, start)
        return len(self.problems) == before

    def option(self, values: dict[str, Any], kinds: dict[str, Kind], words: list[_Token], start: _Token) -> None:
        """Read and remove the first option of `words`."""
        word = words.pop(0)
        flags = {spelling: name for name, kind in kinds.items() if kind is FLAG for spelling in (name, f"no{name}")}
        name = flags.get(word.text, word.text)
        if name in values:
            self.report(word, f"{name!r} is given twice")
        if word.text in flags:
            values[name] = word.text == name
        elif name not in kinds:
            valid = [*(name for name, kind in kinds.items() if kind is not FLAG), *flags]
            hint = did_you_mean(name, valid) if valid else f"; {start.text!r} takes nothing more here"
            self.report(word, f"unknown option {name!r} of {start.text!r}{hint}")
            words.clear()
        elif not words:
            self.report(word, f"{name!r} needs a value: {kinds[name].expected}")
        else:
            self.value(values, name, kinds[name], words.pop(0))

    def value(self, values: dict[str, Any], name: str, kind: Kind, word: _Token) -> None:
        """Read one word into `values[name]`."""
        try:
            values[name] = kind.accept_word(name, word.text)
        except ValueError as problem:
            self.report(word, str(problem))


def _usage(declaration: type[Layer]) -> str:
    kinds = kinds_of(declaration)
    values = [f"<{name}: {kinds[name].expected}>" for name in required_of(declaration)]
    return " ".join([NAME_OF[declaration], *values])
