"""Shared by the renderers of a document: templates, and the content of its figures."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cnnlab.core.errors import CnnlabError
from cnnlab.core.files import write_atomic
from cnnlab.report.document import Document

MEDIA_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def render(template: str, filters: Mapping[str, Any], /, *, syntax: Any = None, **values: Any) -> str:
    """A template of `report/templates` with these values; `syntax` are Jinja's options for another syntax.

    In a template, `block is block("Table")` tests the type of a block.
    """
    environment = Environment(
        loader=PackageLoader("cnnlab.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **(syntax or {}),
    )
    environment.filters.update(filters)
    environment.tests["block"] = lambda block, kind: type(block).__name__ == kind
    return environment.get_template(template).render(values)


def copy_figures(
    document: Document, folder: Path, readable: Callable[[Path], Path] = lambda file: file
) -> dict[Path, str]:
    """Copy the file that `readable` gives for each picture as `figure-1.svg`, ...; returns their names.

    Raises CnnlabError for a figure that cannot be read, StorageError.
    """
    names = {}
    for number, picture in enumerate(document.pictures, start=1):
        source = readable(picture.file)
        names[picture.file] = f"figure-{number}{source.suffix}"
        write_atomic(folder / names[picture.file], read_figure(source))
    return names


def optional_module(name: str, needed_for: str, extra: str) -> Any:
    """A module of an optional extra. Raises CnnlabError with the command that installs it."""
    try:
        return import_module(name)
    except ImportError:
        raise CnnlabError(f'{needed_for}; install it with: pip install "cnnlab[{extra}]"') from None


def read_figure(file: Path) -> bytes:
    """The content of a figure. Raises CnnlabError if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise CnnlabError(f"cannot read the figure {file}: {error.strerror}") from error
