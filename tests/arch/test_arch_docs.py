"""The documentation page: examples run, every layer is there, the figures are those of the code."""

import re
from pathlib import Path

import pytest

from cnnlab.arch import NAMED, named, parse
from cnnlab.arch.layers import LAYERS, SYNONYMS

TEXTS = r"^    (.*residual\(conv.*\)|conv .*linear 10)$"
FIGURES = r"^\| `{}` \|[^|]*\| ([\d,]+)[^|]*\| ([\d,]+)"
PAGE = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_python_examples_run(block):
    exec(compile(block, "docs/architectures.md", "exec"), {})


@pytest.mark.parametrize("line", re.findall(TEXTS, PAGE, re.MULTILINE))
def test_text_examples_are_read(line):
    assert parse(line).layers


@pytest.mark.parametrize("name", [*LAYERS, *SYNONYMS])
def test_every_layer_is_documented(name):
    assert re.search(rf"`{re.escape(name)}[` (]", PAGE), f"{name} is missing"


@pytest.mark.parametrize("name", NAMED)
def test_figures(name):
    parameters, macs = re.search(rf"^\| `{name}` \|[^|]*\| ([\d,]+)[^|]*\| ([\d,]+)", PAGE, re.MULTILINE).groups()
    trace = named(name).trace((3, 32, 32))
    assert (parameters, macs) == (f"{trace.parameters:,}", f"{trace.macs:,}")
