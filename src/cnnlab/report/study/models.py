"""What is compared: the networks of the arms, how long, with which augmentation and at which rate they are trained."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from cnnlab.arch import Architecture
from cnnlab.arch.layers import BatchNorm, Conv, GroupNorm, LayerNorm, Linear, SepConv
from cnnlab.optim.schedules import lr_at
from cnnlab.recipe import Recipe
from cnnlab.recipe.schedule import Plateau
from cnnlab.report.document import Block, Picture, Section, Table
from cnnlab.report.figures.rates import Curves, rate_curves
from cnnlab.report.figures.style import save_vector
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.wording import NOTHING, code

_POINTS = 400
_KINDS = (
    ("convolutions", (Conv, SepConv)),
    ("linear layers", (Linear,)),
    ("normalisations", (BatchNorm, GroupNorm, LayerNorm)),
)

_NETWORK = (*(name for name, _ in _KINDS), "parameters", "MACs")
_TRAINING_CAPTION = (
    "The trainings: epochs, augmentation by name, optimizer and schedule, where they differ. "
    "All differences are under *Recipes*."
)
_TRAINING = ("epochs", "augmentation", "optimizer", "schedule")


def models_section(facts: StudyFacts, figures: Path) -> Section | None:
    """Tables of the arms, and the learning rate where it differs. None without runs, or if all this is the same."""
    if not facts.runs:
        return None
    data = facts.runs[0].environment.data
    built = {arm.name: arm.recipe.arch.build(data.image_shape, len(data.classes)) for arm in facts.arms}
    networks = {name: _network(architecture, data.image_shape) for name, architecture in built.items()}
    trainings = {arm.name: _training(arm.recipe) for arm in facts.arms}
    tables = (
        _differing(_NETWORK, networks, "The networks, in what differs. MACs: multiply-accumulates for one image."),
        _differing(
            _TRAINING,
            trainings,
            _TRAINING_CAPTION,
        ),
    )
    blocks: list[Block] = [table for table in tables if table is not None]
    curves = rates(facts)
    if len({tuple(values) for _, values in curves.values()}) > 1:
        path = save_vector(rate_curves(curves), figures / "rates.svg")
        note = " A plateau schedule is drawn as it was under the first seed." if _has_plateau(facts) else ""
        caption = f"The learning rate over the training of each arm.{note}"
        blocks.append(Picture(path, caption, "Learning rate against the part of the training, a line for each arm"))
    return Section("Models", tuple(blocks)) if blocks else None


def _differing(header: Sequence[str], cells: Mapping[str, Sequence[str]], caption: str) -> Table | None:
    """A row for each arm, and the columns in which arms differ; None where there are none."""
    columns = [column for column in range(len(header)) if len({row[column] for row in cells.values()}) > 1]
    if not columns:
        return None
    rows = tuple((code(name), *(row[column] for column in columns)) for name, row in cells.items())
    return Table(("arm", *(header[column] for column in columns)), rows, caption)


def rates(facts: StudyFacts) -> Curves:
    """Arm -> parts of the training (0..1) and the learning rate there, of arms that have runs."""
    found: Curves = {}
    for arm in facts.arms:
        if not arm.runs:
            continue
        run = arm.runs[min(arm.runs)]
        steps = arm.recipe.train.steps_per_epoch(run.environment.data.images["train"])
        total = arm.recipe.train.total_steps(steps)
        if isinstance(arm.recipe.schedule, Plateau):
            measured = [float(row["lr"]) for row in run.metrics]
            found[arm.name] = (np.arange(1, len(measured) + 1) / len(measured), np.array(measured))
            continue
        places = np.unique(np.linspace(0, total - 1, _POINTS).round().astype(int))
        values = [lr_at(arm.recipe.schedule, arm.recipe.optim.lr, int(step), steps, total) for step in places]
        found[arm.name] = (places / total, np.array(values))
    return found


def _has_plateau(facts: StudyFacts) -> bool:
    return any(isinstance(arm.recipe.schedule, Plateau) for arm in facts.arms)


def _network(architecture: Architecture, image_shape: tuple[int, int, int]) -> tuple[str, ...]:
    trace = architecture.trace(image_shape)
    kinds = Counter(type(row.layer) for row in trace.rows)
    counts = (sum(kinds[kind] for kind in of_kind) for _, of_kind in _KINDS)
    return (*map(str, counts), f"{trace.parameters:,}", f"{trace.macs:,}")


def _training(recipe: Recipe) -> tuple[str, ...]:
    methods = [name for name, value in recipe.augment.model_dump().items() if value is not None]
    augmentation = ", ".join(str(recipe.augment.policy) if name == "policy" else name for name in methods)
    optimizer = f"{recipe.optim.name}, {recipe.optim.lr:g}, decay {recipe.optim.weight_decay:g}"
    phases = [
        f"{key} {value}"
        for key, value in recipe.schedule.model_dump(mode="json").items()
        if key in ("warmup", "hold", "cooldown") and value not in ("0ep", "0%", "0it")
    ]
    schedule = recipe.schedule.name + (f" ({', '.join(phases)})" if phases else "")
    return str(recipe.train.epochs), augmentation or NOTHING, optimizer, schedule
