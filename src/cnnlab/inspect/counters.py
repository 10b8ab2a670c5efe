"""MACs and parameters of each layer by three counters, and the reasons of differences.

ours    `arch/trace.py`: multiply-accumulates of convolutions and linear layers, from the architecture alone
THOP    https://github.com/Lyken17/pytorch-OpCounter: hooks on modules, a rule for each type (`thop/vision`)
torch   `torch.utils.flop_counter.FlopCounterMode`: the executed operators; half of its FLOPs

All for one image. For some layers THOP adds other operations to its MACs: `_THOP_EXTRA` has its rules, from the source
of 0.1.1.post2209072238. A difference is explained only if such a rule gives exactly its number.
"""

import copy
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnlab.arch import Architecture, Row
from cnnlab.arch.layers import AvgPool, BatchNorm, GroupNorm, Layer, LayerNorm
from cnnlab.arch.shapes import Shape, show_shape
from cnnlab.core import numbers
from cnnlab.core.errors import ArchitectureError
from cnnlab.core.tables import table_lines
from cnnlab.engines.torch.network import build


class _Rule(NamedTuple):
    """Operations that THOP counts for each element of a layer's output, and the reason."""

    operations: int
    reason: str


_THOP_EXTRA: dict[type[Layer], _Rule] = {
    BatchNorm: _Rule(4, "2 operations for each element, doubled where it is scaled and shifted"),
    AvgPool: _Rule(1, "1 operation for each element of the output, whatever the window"),
}
"""Layers for which THOP counts other operations. For all other layers it counts only MACs."""

_THOP_WITHOUT_RULE = (GroupNorm, LayerNorm)
"""Layers that THOP does not know, so that it leaves out their parameters."""

_COUNTS = ("parameters", "macs", "thop_parameters", "thop_macs", "torch_macs")


@dataclass(frozen=True)
class CounterRow:
    """One layer, without parts that have their own rows. `explanation` is empty if all counters agree."""

    path: str
    layer: str
    output_shape: Shape
    weights: int
    biases: int
    macs: int
    thop_parameters: int
    thop_macs: int
    torch_macs: int
    explanation: str

    @property
    def parameters(self) -> int:
        """Number of trained values by our count."""
        return self.weights + self.biases


@dataclass(frozen=True)
class CounterTable:
    """All rows in the order of computation, for one image of `input_shape`, their sums and explanations.

    THOP's MACs include other operations; torch's are half of its FLOPs.
    """

    architecture: str
    input_shape: Shape
    parameters: int
    macs: int
    thop_parameters: int
    thop_macs: int
    torch_macs: int
    explanations: tuple[str, ...]
    rows: tuple[CounterRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything in the table, as JSON types."""
        values = asdict(self)
        return {**values, "layers": values.pop("rows")}

    def table(self) -> str:
        """Rows, totals and explanations as text; a count of 0 is blank."""
        numbers = ("params", "THOP params", "MACs", "torch MACs", "THOP MACs")
        columns = ("", "layer", "output", *numbers, "differs by")
        total = _cells("", "all layers, one image", "", self, "")
        body = [_cells(row.path, row.layer, show_shape(row.output_shape), row, row.explanation) for row in self.rows]
        head, rule, *lines, last = table_lines(columns, [*body, total], words=3)
        return "\n".join([head, rule, *lines, rule, last, "", *self.explanations])


def _cells(path: str, layer: str, output: str, counts: CounterRow | CounterTable, note: str) -> tuple[str, ...]:
    numbers = (counts.parameters, counts.thop_parameters, counts.macs, counts.torch_macs, counts.thop_macs)
    return (path, layer, output, *(f"{number:,}" if number else "" for number in numbers), note)


def count(architecture: Architecture, input_shape: Shape, model: nn.Module | None = None) -> CounterTable:
    """The three counts of one image of `input_shape`, (channels, height, width) or (features,).

    `model` is a network built from `architecture`, by default a new one; the counters use a copy, because THOP adds
    buffers to it. Raises ArchitectureError if `input_shape` or the model does not fit the architecture.
    """
    trace = architecture.trace(input_shape)
    network = build(architecture, input_shape) if model is None else copy.deepcopy(model)
    network = network.cpu().float().eval()
    paths = [row.path for row in trace.rows]
    # torch first: THOP adds buffers to the modules.
    torch_macs = _by_row(_torch_macs(network, input_shape), paths)
    thop = dict(_thop_leaves(_thop_tree(network, input_shape)))
    thop_macs = _by_row({name: macs for name, (macs, _) in thop.items()}, paths)
    thop_parameters = _by_row({name: parameters for name, (_, parameters) in thop.items()}, paths)
    rows = []
    for row in trace.rows:
        ours = (row.path, row.label, row.output_shape, row.weights, row.biases, row.macs)
        others = thop_parameters[row.path], thop_macs[row.path], torch_macs[row.path]
        rows.append(CounterRow(*ours, *others, explanation=_explain(row, *others)))
    sums = {name: sum(getattr(row, name) for row in rows) for name in _COUNTS}
    explanations = tuple(_conclusions(trace.rows, rows))
    return CounterTable(str(architecture), trace.input_shape, **sums, explanations=explanations, rows=tuple(rows))


def _torch_macs(network: nn.Module, input_shape: Shape) -> dict[str, int]:
    """Module name to MACs, for modules without children."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *input_shape))
    flops = counter.get_flop_counts()
    root = type(network).__name__  # the counter's name of the network
    leaves = [name for name, module in network.named_modules() if not any(module.children())]
    return {name: sum(flops.get(f"{root}.{name}", {}).values()) // 2 for name in leaves}


def _thop_tree(network: nn.Module, input_shape: Shape) -> Mapping[str, Any]:
    """THOP's result: name of a child to (operations, parameters, the same for its children)."""
    with warnings.catch_warnings():
        # Its first import compares versions with `distutils`, which is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import thop
    _, _, tree = thop.profile(network, (torch.zeros(1, *input_shape),), verbose=False, ret_layer_info=True)
    return dict(tree)


def _thop_leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, tuple[int, int]]]:
    """Module name and (operations, parameters), for modules without children."""
    for name, (operations, parameters, children) in tree.items():
        if children:
            yield from _thop_leaves(children, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", (int(operations), int(parameters))


def _by_row(counts: Mapping[str, int], paths: Iterable[str]) -> Counter[str]:
    """Sums by row: a module belongs to the row of its name or of its nearest parent (`0` for `0.depthwise`)."""
    known = set(paths)
    sums: Counter[str] = Counter()
    for name, number in counts.items():
        parts = name.split(".")
        above = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        owner = next((path for path in above if path in known), None)
        if owner is None:
            raise ArchitectureError(f"the network has a module {name!r}, its architecture no layer {name!r}")
        sums[owner] += number
    return sums


def _extra(row: Row) -> int:
    """Operations that THOP adds to the MACs of this layer, by its rules."""
    rule = _THOP_EXTRA.get(type(row.layer))
    return rule.operations * prod(row.output_shape) if rule else 0


def _explain(row: Row, thop_parameters: int, thop_macs: int, torch_macs: int) -> str:
    """The reason of differences in this layer, with the arithmetic; empty if the counters agree."""
    notes = []
    extra = thop_macs - row.macs
    if extra != _extra(row):
        notes.append(f"unexplained: THOP {extra:+,} MACs, expected {_extra(row):+,}")
    elif extra:
        notes.append(f"THOP {_THOP_EXTRA[type(row.layer)].operations} x {prod(row.output_shape):,}")
    if torch_macs != row.macs:
        notes.append(f"unexplained: torch {torch_macs - row.macs:+,} MACs")
    left_out = row.parameters if isinstance(row.layer, _THOP_WITHOUT_RULE) else 0
    if thop_parameters != row.parameters - left_out:
        notes.append(f"unexplained: THOP {thop_parameters - row.parameters:+,} parameters")
    elif left_out:
        notes.append(f"THOP -{left_out:,} parameters")
    return "; ".join(notes)


def _conclusions(traced: Iterable[Row], rows: Iterable[CounterRow]) -> Iterator[str]:
    """One line if all agree, else one for each reason of a difference."""
    pairs = list(zip(traced, rows, strict=True))
    thop = f"THOP {version('thop')}"
    if not any(row.explanation for _, row in pairs):
        yield f"All three agree in every layer: ours, torch {torch.__version__} and {thop}."
        return
    unexplained = [row for _, row in pairs if "unexplained" in row.explanation]
    for kind, rule in _THOP_EXTRA.items():
        explained = (row for row, counted in pairs if counted not in unexplained)
        extras = [_extra(row) for row in explained if type(row.layer) is kind]
        if extras:
            layers = numbers.count(len(extras), f"{kind.name} layer")
            yield f"{thop} counts {sum(extras):,} operations more in {layers}: {rule.reason}."
    without_rule = [row.parameters for row, _ in pairs if isinstance(row.layer, _THOP_WITHOUT_RULE)]
    if without_rule:
        layers = numbers.count(len(without_rule), "normalisation")
        yield f"{thop} has no rule for gn and ln, and leaves out {sum(without_rule):,} parameters of {layers}."
    if unexplained:
        yield f"Unexplained: the counters differ in layers {', '.join(row.path for row in unexplained)}."
    else:
        yield (
            f"Everywhere else, and with torch {torch.__version__} in every layer, the counts are equal. None of the "
            "three counts biases, activations, max-pooling, gap or the addition of a shortcut."
        )
