"""Make the notebooks from their sources, execute them, and write them with their outputs.

    python -m notebooks.build                        # all four, the full budget; hours
    python -m notebooks.build --budget short         # minutes: a test on real images
    python -m notebooks.build resnet-cifar10         # one of them
    python -m notebooks.build --text-only            # only texts have changed, not code: keep the outputs

A source is a Python file in the percent format of many editors: `# %% [markdown]` begins a cell of comments, `# %%`
one of code. The notebooks run one after another in the folder `--work`: `save_test_predictions` needs a file that
`resnet-cifar10` writes there, and a training that is finished there is not repeated.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from cnnlab.core.files import write_atomic

ROOT = Path(__file__).resolve().parent
NAMES = ("simplenn-cifar10", "simplenn-cifar10-dev", "resnet-cifar10", "save_test_predictions")
BUDGETS = ("full", "short", "tiny")
BUDGET_VARIABLE = "CNNLAB_BUDGET"  # what the notebooks read

_CELL = re.compile(r"^# %%(?: \[(markdown)\])?\n", re.MULTILINE)


def cells_of(source: str) -> list[Any]:
    """The cells of a source; text before the first mark is only for readers of the source."""
    _, *parts = _CELL.split(source)
    cells = []
    for number, (kind, text) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        if kind == "markdown":
            lines = [line.removeprefix("#").removeprefix(" ") for line in text.strip().splitlines()]
            cell = nbformat.v4.new_markdown_cell("\n".join(lines))
        else:
            cell = nbformat.v4.new_code_cell(text.strip())
        cell["id"] = f"cell-{number}"  # by default random; equal sources make equal notebooks
        cells.append(cell)
    return cells


def notebook_of(name: str) -> Any:
    """The notebook of a source, without outputs."""
    source = (ROOT / "source" / f"{name}.py").read_text(encoding="utf-8")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells_of(source), metadata=metadata)


def execute(notebook: Any, work: Path) -> None:
    """Run every cell in the folder `work`; the outputs have no paths of this machine."""
    metadata = dict(notebook["metadata"])
    place = {"metadata": {"path": str(work)}}
    NotebookClient(notebook, timeout=None, record_timing=False, coalesce_streams=True, resources=place).execute()
    notebook["metadata"] = metadata  # the kernel adds the version of Python, which differs between machines
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            _hide_places(output, {str(work): ".", str(Path.home()): "~"})


def _hide_places(value: Any, places: dict[str, str]) -> None:
    """Replace every mention of a folder of this machine, in place."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, str):
            for place, short in places.items():
                value[key] = value[key].replace(place, short)
        else:
            _hide_places(inner, places)


def keep_outputs(notebook: Any, earlier: Any) -> None:
    """Copy the outputs of an earlier notebook with the same code. Raises SystemExit if the code differs."""
    now, before = ([cell for cell in one["cells"] if cell["cell_type"] == "code"] for one in (notebook, earlier))
    if [cell["source"] for cell in now] != [cell["source"] for cell in before]:
        sys.exit("the code has changed: execute the notebook, without --text-only")
    for new, old in zip(now, before, strict=True):
        new["outputs"], new["execution_count"] = old["outputs"], old["execution_count"]


def build(name: str, out: Path, work: Path, text_only: bool = False) -> None:
    """Make one notebook and write it to the folder `out`. Raises nbclient's CellExecutionError, StorageError."""
    notebook = notebook_of(name)
    path = out / f"{name}.ipynb"
    if text_only:
        keep_outputs(notebook, nbformat.read(path, as_version=4))
    else:
        work.mkdir(parents=True, exist_ok=True)
        execute(notebook, work.resolve())
    nbformat.validate(notebook)
    write_atomic(path, nbformat.writes(notebook) + "\n")
    print(f"wrote {path}", flush=True)


def main(words: Sequence[str] | None = None) -> None:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(prog="notebooks.build", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--budget", choices=BUDGETS, default="full")
    parser.add_argument("--text-only", action="store_true", help="keep the outputs that are there")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder of the notebooks")
    parser.add_argument("--work", type=Path, default=Path("build/notebooks"), help="folder they run in")
    chosen = parser.parse_args(words)
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"no notebook {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    os.environ[BUDGET_VARIABLE] = chosen.budget
    for name in chosen.names or NAMES:
        build(name, chosen.out, chosen.work / chosen.budget, chosen.text_only)


if __name__ == "__main__":
    main()
