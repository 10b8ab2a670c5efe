"""A report as a Jupyter notebook: texts and tables as Markdown, figures inside it, commands as cells to run."""

import base64
import re
from pathlib import Path
from typing import Any

from cnnlab.core.files import write_atomic
from cnnlab.report.document import Block, Bullets, Code, Document, InlineWriter, Paragraph, Picture, Table
from cnnlab.report.templating import MEDIA_TYPES, optional_module, read_figure

_COMMANDS = ("cnnlab ", "python ", "make ", "pip ")
# As entities: Jupyter interprets HTML, and mathematics between dollars, before Markdown.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}
# The beginning of a paragraph that would be a numbered list, a list or a rule.
_BEGINS_LIST = re.compile(r"^(?:\d{1,9}(?=[.)](?:\s|$))|(?=[-+](?:\s|$))|(?=-[- ]*$))")
_MARKS = {"strong_open": "**", "strong_close": "**", "em_open": "*", "em_close": "*"}


def write_notebook(document: Document, path: Path) -> None:
    """Write the report. Raises CnnlabError without nbformat or for a figure that cannot be read, StorageError."""
    format_ = optional_module("nbformat", "a notebook needs nbformat", "notebook")
    subtitle, footer = inline_markdown(document.subtitle), inline_markdown(document.footer)
    cells = [format_.v4.new_markdown_cell(f"# {inline_markdown(document.title)}\n\n{subtitle}")]
    for section in document.sections:
        texts = [f"## {inline_markdown(section.title)}"]
        for block in section.blocks:
            if isinstance(block, Code) and (runnable := _runnable(block.text)):
                texts += [f"*{inline_markdown(block.caption)}*"] if block.caption else []
                cells += _flushed(format_, texts)
                cells.append(format_.v4.new_code_cell(runnable))
            elif isinstance(block, Picture):
                cells += _flushed(format_, texts)
                cells.append(_picture(format_, block))
            else:
                texts.append(_markdown(block))
        cells += _flushed(format_, texts)
    if footer:
        cells.append(format_.v4.new_markdown_cell(f"---\n\n{footer}"))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # by default random; equal reports are equal files
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = format_.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    write_atomic(path, format_.writes(notebook) + "\n")


def inline_markdown(text: str, in_table: bool = False) -> str:
    """Running text as Jupyter's Markdown; HTML and mathematics in it are shown, not interpreted."""
    write = InlineWriter(
        _MARKS, _escaped, lambda code: _code_span(code, in_table), lambda address: ("[", f"]({address})")
    )
    return _BEGINS_LIST.sub(lambda found: f"{found[0]}\\", write(text))


def _escaped(text: str) -> str:
    marked = re.sub(r"([\\`*_\[\]|~#])", r"\\\1", text)
    return "".join(_ENTITIES.get(letter, letter) for letter in marked)


def _code_span(code: str, in_table: bool) -> str:
    fence = "`" * (max((len(run) for run in re.findall("`+", code)), default=0) + 1)
    space = " " if "`" in code else ""
    shown = code.replace("|", "\\|") if in_table else code  # a bar would end the cell of a table
    return f"{fence}{space}{shown}{space}{fence}"


def _markdown(block: Block) -> str:
    match block:
        case Paragraph(text=text):
            return inline_markdown(text)
        case Bullets(items=items):
            return "\n".join(f"- {inline_markdown(item)}" for item in items)
        case Table():
            return _table(block)
        case Code(text=text, caption=caption):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            shown = f"{fence}\n{text}\n{fence}"
            return f"{shown}\n\n*{inline_markdown(caption)}*" if caption else shown
        case Picture():
            raise AssertionError("a picture is a cell of its own")


def _table(table: Table) -> str:
    def line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(inline_markdown(cell, in_table=True) for cell in cells)} |"

    rule = f"|{'|'.join('---:' if numeric else ':---' for numeric in table.numeric)}|"
    rows = "\n".join([line(table.header), rule, *map(line, table.rows)])
    return f"{rows}\n\n*{inline_markdown(table.caption)}*" if table.caption else rows


def _flushed(format_: Any, texts: list[str]) -> list[Any]:
    """The texts as one cell, none if there are no texts; empties the list."""
    cells = [format_.v4.new_markdown_cell("\n\n".join(texts))] if texts else []
    texts.clear()
    return cells


def _picture(format_: Any, picture: Picture) -> Any:
    """The figure as the cell's attachment: the PNG next to an SVG, if there is one, because more viewers show it."""
    png = picture.file.with_suffix(".png")
    file = png if png.exists() else picture.file
    content = base64.b64encode(read_figure(file)).decode()
    name = f"figure{file.suffix}"
    text = f"![{_escaped(picture.alt)}](attachment:{name})\n\n*{inline_markdown(picture.caption)}*"
    return format_.v4.new_markdown_cell(text, attachments={name: {MEDIA_TYPES[file.suffix]: content}})


def _runnable(text: str) -> str:
    """A program with imports unchanged, commands after Jupyter's `!`; empty for anything else, such as outputs."""
    if re.search(r"^(?:from|import) ", text, re.MULTILINE) and _is_python(text):
        return text
    joined = re.sub(r"\s*\\\n\s*", " ", text)  # a line that ends with a backslash is joined with the next
    commands = [(line, bool(line.strip()) and not line.lstrip().startswith("#")) for line in joined.splitlines()]
    plain = [(line.removeprefix("$ "), is_command) for line, is_command in commands]
    given = [line for line, is_command in plain if is_command]
    if not given or not all(line.startswith(_COMMANDS) for line in given):
        return ""
    return "\n".join(f"!{line}" if is_command else line for line, is_command in plain)


def _is_python(text: str) -> bool:
    try:
        compile(text, "cell", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True
