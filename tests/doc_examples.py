"""The examples of the documentation: shell commands and Python blocks, with where they stand.

A code block is fenced, or indented by four spaces after an empty line. It holds
    Python          where it is fenced as `python`, or indented and begins with an import of cnnlab;
    shell commands  every line of a block fenced as `console` or `bash` (a prompt `$ ` is dropped), and the lines
                    of an indented block that begin with `cnnlab ` or `make `.
A preset's comment lines that begin with `cnnlab ` are commands too; two spaces end them and begin a remark.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
PRESETS = sorted(ROOT.glob("src/cnnlab/recipe/presets/*.toml"))

_COMMAND = re.compile(r"(?:\$ )?((?:cnnlab|make) .*)")
_REMARK = re.compile(r"#\s+(cnnlab (?:(?!  ).)*)")
_PYTHON = re.compile(r"(?:from|import) cnnlab")


@dataclass(frozen=True)
class Example:
    """One command, or one block of Python, and the line of the file it begins at."""

    file: Path
    line: int
    kind: Literal["shell", "python"]
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Block:
    """Lines of code as they stand; `language` is the word after the fence, None where the block is indented."""

    line: int
    language: str | None
    lines: list[str]


def examples(file: Path) -> list[Example]:
    """Every example of a page or preset, in reading order."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".toml":
        found = enumerate(text.splitlines(), start=1)
        comments = ((number, _REMARK.match(line)) for number, line in found)
        return [Example(file, number, "shell", match[1]) for number, match in comments if match]
    return [example for block in blocks(text) for example in _examples_of(file, block)]


def blocks(text: str) -> list[Block]:
    """The code blocks of a Markdown text."""
    found: list[Block] = []
    fence: Block | None = None
    indented: Block | None = None
    previous = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("```"):
            if fence is None:
                fence = Block(number + 1, line[3:].strip(), [])
                found.append(fence)
            else:
                fence = None
        elif fence is not None:
            fence.lines.append(line)
        elif line.startswith("    ") and (indented is not None or not previous.strip()):
            if indented is None:
                indented = Block(number, None, [])
                found.append(indented)
            indented.lines.append(line[4:])
        elif line.strip():
            indented = None
        previous = line
    return found


def _examples_of(file: Path, block: Block) -> list[Example]:
    text = "\n".join(block.lines)
    if block.language == "python" or (block.language is None and _PYTHON.match(text)):
        return [Example(file, block.line, "python", text)]
    commands = [(number, line.strip()) for number, line in enumerate(block.lines, start=block.line)]
    if block.language in ("console", "bash"):
        return [
            Example(file, number, "shell", line.removeprefix("$ "))
            for number, line in commands
            if line and not line.startswith("#")
        ]
    if block.language is None:
        matches = ((number, _COMMAND.match(line)) for number, line in commands)
        return [Example(file, number, "shell", match[1]) for number, match in matches if match]
    return []
