"""Learning curves of a study."""

import math
from pathlib import Path

from cnnlab.report.document import Block, Paragraph, Picture, Section
from cnnlab.report.figures.bands import Quantity, learning_panels, mean_curves
from cnnlab.report.figures.style import SPLIT_STYLES, save_vector
from cnnlab.report.study.facts import StudyFacts
from cnnlab.report.study.wording import listed


def curves_section(facts: StudyFacts, figures: Path) -> Section | None:
    """Val accuracy of all arms in one plot; then one panel per arm with all splits. None without runs."""
    arms = {arm.name: [run.metrics for _, run in sorted(arm.runs.items())] for arm in facts.arms if arm.runs}
    if not arms:
        return None
    several = any(len(runs) > 1 for runs in arms.values())
    seeds = "Means over seeds; the bands span the seeds that were run." if several else "One seed per arm."
    blocks: list[Block] = [Paragraph(_before_training(facts))]
    rows = [row for runs in arms.values() for run in runs for row in run]
    if any(row.get("val_accuracy") is not None for row in rows):
        path = save_vector(mean_curves(arms), figures / "curves.svg")
        caption = f"Accuracy on val by epoch. {seeds}"
        blocks.append(Picture(path, caption, "Val accuracy against the epoch, a line for each arm"))
    note = "Train is measured during training, on augmented images and with dropout if there is any."
    texts: dict[Quantity, str] = {"accuracy": note, "loss": ""}
    for quantity, text in texts.items():
        path = save_vector(learning_panels(arms, quantity), figures / f"learning-{quantity}.svg")
        scored = [split for split in SPLIT_STYLES if any(row.get(f"{split}_{quantity}") is not None for row in rows)]
        caption = f"{quantity.capitalize()} on {listed(scored)}, arm by arm. {text}".rstrip()
        alt = f"{quantity} on {listed(scored)} against the epoch, a panel for each arm"
        blocks.append(Picture(path, caption, alt))
    return Section("Learning curves", tuple(blocks))


def _before_training(facts: StudyFacts) -> str:
    """The loss before the first step, and that of equal probabilities."""
    environments = [run.environment for run in facts.runs]
    losses = sorted(each.initial_loss for each in environments)
    found = f"{losses[0]:.3f}" if losses[0] == losses[-1] else f"{losses[0]:.3f} to {losses[-1]:.3f}"
    classes = len(environments[0].data.classes)
    return (
        f"Before the first step the loss is {found}. A network that gives each of {classes} classes the same "
        f"probability has −ln(1/{classes}) = ln {classes} = {math.log(classes):.3f}."
    )
