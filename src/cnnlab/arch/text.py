"""The text form of layers: `conv 5x5 8 | relu | 2 * residual(conv 3x3 8 pad 1 | bn; shortcut B) | linear 10`.

    layers   = item { "|" item }
    item     = [ count "*" ] ( layer | "(" layers ")" )
    layer    = name { value } { option }            required values come first, in order
             | name "(" layers { ";" layers } ")"   concat and sum
             | "residual" "(" layers [ ";" { option } ] ")"
    option   = name value | name | "no" name        the last two for true and false: `bias`, `nobias`
             | name "(" layers ")"                  a shortcut of layers

Spaces and line ends separate words. Reading reports all problems of a text together, each with its position. The
canonical text has no repetition: `2 * relu` is written `relu | relu`.
"""

import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

from cnnlab.arch.kinds import FLAG, Kind, kinds_of, required_of
from cnnlab.arch.layers import LAYERS, MAX_NESTING, TOO_DEEP, Container, Layer, Layers, own_name, unknown_layer
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.suggest import did_you_mean

MOST_LAYERS = 10_000
"""Most layers that a repetition may make."""


def write_layers(layers: Sequence[Layer]) -> str:
    """The canonical text: without defaults, options in the order of the layer's fields."""
    return " | ".join(map(write_layer, layers))


def write_layer(layer: Layer) -> str:
    """The canonical text of one layer."""
    kinds, required = kinds_of(type(layer)), required_of(type(layer))
    words = [kinds[name].write(getattr(layer, name)) for name in required]
    options = []
    for name, value in changed_options(layer).items():
        if kinds[name] is FLAG:
            options.append(name if value else f"no{name}")
        elif is_layers(value):
            options.append(f"{name}({write_layers(value)})")
        else:
            options += [name, kinds[name].write(value)]
    if isinstance(layer, Container):
        return f"{layer.name}({'; '.join(filter(None, [*map(write_layers, layer.groups), ' '.join(options)]))})"
    return " ".join([layer.name, *words, *options])


def changed_options(layer: Layer) -> dict[str, Any]:
    """Options of a layer that differ from their defaults."""
    options = ((field.name, field.default) for field in fields(layer) if field.default is not MISSING)
    return {name: getattr(layer, name) for name, default in options if getattr(layer, name) != default}


def is_layers(value: object) -> bool:
    """Whether the value of an option is a tuple of layers."""
    return isinstance(value, tuple) and all(isinstance(each, Layer) for each in value)


def read_layers(text: str) -> Layers:
    """The layers of `text`. Raises ArchitectureError with all problems and their positions."""
    reader = _Reader(text)
    layers = () if reader.is_too_deep() else reader.layers(closing="")
    if reader.problems:
        raise ArchitectureError(*reader.problems)
    return layers


@dataclass(frozen=True)
class _Token:
    """A word or a sign; for a word with parentheses behind it, also the layers in them."""

    text: str
    position: int
    layers: Layers | None = None


class _Reader:
    """Recursive descent parser of one text; after a problem it continues with the next layer."""

    def __init__(self, text: str) -> None:
        self.text = text
        matches = re.finditer(r"[|();*]|[^\s|();*]+", text)
        self.tokens = [_Token(match.group(), match.start()) for match in matches]
        self.tokens.append(_Token("", len(text.rstrip())))
        self.place = 0
        self.problems: list[str] = []

    @property
    def next(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        token = self.next
        self.place += 1
        return token

    def report(self, token: _Token, problem: str) -> None:
        """Add a problem with the text around its position and a mark below it."""
        start = max(0, token.position - 40)
        excerpt = re.sub(r"\s", " ", self.text[start : token.position + 40])
        marker = " " * (token.position - start) + "^"
        self.problems.append(f"position {token.position + 1}: {problem}\n    {excerpt}\n    {marker}")

    def is_too_deep(self) -> bool:
        """Whether parentheses are nested too deep; adds one problem then."""
        depth = 0
        for token in self.tokens:
            depth += {"(": 1, ")": -1 if depth else 0}.get(token.text, 0)
            if depth > MAX_NESTING:
                self.report(token, TOO_DEEP)
                return True
        return False

    def layers(self, closing: str) -> Layers:
        """Layers up to the end of the text or one of the characters in `closing`."""
        layers: list[Layer] = []
        while True:
            layers += self.item()
            ends = {"", *closing}
            if self.next.text not in ends | {"|"}:
                self.report(self.next, f"received {self.next.text!r}, expected '|' and a layer, or the end")
            while self.next.text not in ends | {"|"}:
                self.take()
            if self.next.text in ends:
                return tuple(layers)
            self.take()

    def item(self) -> Layers:
        """One layer, or several of a repetition or group; without those that have problems."""
        start = self.next
        times = 1
        if self.tokens[self.place + 1 : self.place + 2] and self.tokens[self.place + 1].text == "*":
            self.take()
            self.take()
            if not re.fullmatch(r"[1-9][0-9]{0,5}", start.text):
                self.report(start, f"received {start.text!r} before '*', expected a whole number of at least 1")
            else:
                times = int(start.text)
        if self.next.text == "(":
            layers = self.group()
        else:
            layer = self.layer()
            layers = () if layer is None else (layer,)
        if times * len(layers) > MOST_LAYERS:
            self.report(start, f"this makes {times * len(layers):,} layers, expected at most {MOST_LAYERS:,}")
            return ()
        return times * layers

    def group(self, closing: str = ")") -> Layers:
        """The layers between parentheses, of which the first one is next."""
        opening = self.take()
        layers = self.layers(closing)
        self.close(opening)
        return layers

    def close(self, opening: _Token) -> None:
        if self.next.text == ")":
            self.take()
        else:
            self.report(opening, "this '(' is not closed by ')'")

    def layer(self) -> Layer | None:
        """One layer, or None with problems added."""
        start = self.next
        if start.text in {"", "|", ";", ")", "(", "*"}:
            received = repr(start.text) if start.text else "the end"
            self.report(start, f"received {received}, expected the name of a layer")
            return None
        self.take()
        declaration = LAYERS.get(own_name(start.text))
        if declaration is None:
            self.report(start, unknown_layer(start.text, LAYERS))
            self.words()
            if self.next.text == "(":
                self.groups(many=True)
            return None
        values: dict[str, Any] = {}
        if issubclass(declaration, Container):
            before = len(self.problems)
            groups, words = self.groups(declaration.many)
            values[declaration.group_field] = groups if declaration.many else groups[0]
            if not all(groups):
                assert len(self.problems) > before
                return None
        else:
            words = self.words()
        if not self.fill(values, declaration, start, words):
            return None
        try:
            return declaration(**values)
        except ArchitectureError as error:
            self.report(start, "; ".join(error.problems))
            return None

    def words(self) -> list[_Token]:
        """The words up to the next separator."""
        words = []
        while self.next.text not in {"", "|", "(", ")", ";", "*"}:
            words.append(self.take())
        return words

    def groups(self, many: bool) -> tuple[tuple[Layers, ...], list[_Token]]:
        """Groups of layers and option words between the parentheses of a container."""
        if self.next.text != "(":
            self.report(self.next, f"expected '(' and layers after {self.tokens[self.place - 1].text!r}")
            return ((),), self.words()
        opening = self.take()
        groups = [self.layers(closing=";)")]
        words: list[_Token] = []
        while self.next.text == ";":
            self.take()
            if many:
                groups.append(self.layers(closing=";)"))
            else:
                words += self.option_words()
        self.close(opening)
        return tuple(groups), words

    def option_words(self) -> list[_Token]:
        """The words up to the next separator; parentheses behind one are its layers."""
        words: list[_Token] = []
        while True:
            words += self.words()
            if self.next.text != "(" or not words:
                return words
            last = words[-1]
            words[-1] = _Token(last.text, last.position, self.group())

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
        elif word.layers is not None:
            if not word.layers:
                return  # what is wrong with them has been reported
            try:
                values[name] = kinds[name].accept(name, word.layers)
            except ValueError:
                self.report(word, f"{name!r} takes no layers; expected {kinds[name].expected}")
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
    return " ".join([declaration.name, *values])
