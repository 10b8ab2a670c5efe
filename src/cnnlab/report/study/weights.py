"""Distributions of the trained weights, for studies that change a penalty on them (L1, L2)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.compare.metrics import best_weights
from cnnlab.report.document import Paragraph, Picture, Section, Table
from cnnlab.report.figures.style import save_vector
from cnnlab.report.figures.weights import share_near_zero, weight_histograms
from cnnlab.report.study.facts import ArmFacts, StudyFacts
from cnnlab.report.study.wording import code

NEAR_ZERO = 1e-3
_PENALTIES = {"loss.l1", "optim.weight_decay", "optim.decay_norm_and_bias"}
_MOST_ARMS, _MOST_LAYERS = 6, 10

Weights = dict[str, dict[str, NDArray[np.floating[Any]]]]  # layer -> arm -> the weights of all seeds


def weights_section(facts: StudyFacts, figures: Path) -> Section | None:
    """Histograms by layer and the share of weights near zero. None if no arm changes a penalty.

    Only the largest layers and the first arms are drawn if there are many. Raises RunError, StorageError.
    """
    arms = penalised(facts)
    if len(arms) < 2:
        return None
    if not all(run.has_weights for arm in arms for run in arm.runs.values()):
        return Section("Weights", (Paragraph("Not shown: these runs are stored without their weights."),))
    weights = _by_layer(arms)
    drawn = sorted(weights, key=lambda layer: -max(array.size for array in weights[layer].values()))[:_MOST_LAYERS]
    shown = {layer: weights[layer] for layer in weights if layer in drawn}
    path = save_vector(weight_histograms(shown, NEAR_ZERO), figures / "weights.svg")
    caption = (
        "Distributions of the weights of each layer, all seeds of an arm together, of the network with the best val "
        f"accuracy; each panel shows the share of weights with a size below {NEAR_ZERO:g}."
    )
    picture = Picture(path, caption, "Histograms of weights, a panel for each layer")
    return Section("Weights", (picture, *_tables(weights, [arm.name for arm in arms])))


def penalised(facts: StudyFacts) -> list[ArmFacts]:
    """The reference, then the arms whose recipes differ from it only in a penalty; those with runs."""
    reference = facts.reference
    others = [
        arm
        for arm in facts.arms
        if arm != reference and {path for path, *_ in arm.changes(reference.recipe)} <= _PENALTIES
    ]
    chosen = [arm for arm in (reference, *others) if arm.runs]
    return chosen[:_MOST_ARMS] if others else []


def _by_layer(arms: list[ArmFacts]) -> Weights:
    """The layers in the order of computation, named as in the printed trace."""
    run = next(iter(arms[0].runs.values()))
    data = run.environment.data
    trace = run.recipe.arch.build(data.image_shape, len(data.classes)).trace(data.image_shape)
    stored = {arm.name: [best_weights(run) for run in arm.runs.values()] for arm in arms}
    names = {f"{row.path}.weight": f"{row.path}: {row.label}" for row in trace.rows}
    return {
        label: {arm: np.concatenate([run[name].ravel() for run in runs]) for arm, runs in stored.items()}
        for name, label in names.items()
        if all(name in run for runs in stored.values() for run in runs)
    }


def _tables(weights: Weights, arms: list[str]) -> tuple[Table, Table]:
    """A row per layer, a column per arm: the shares near zero, and the standard deviations."""
    header = ("layer", *map(code, arms))
    shares = tuple(
        (code(layer), *(f"{share_near_zero(of_arms[arm], NEAR_ZERO):.2%}" for arm in arms))
        for layer, of_arms in weights.items()
    )
    deviations = tuple(
        (code(layer), *(f"{of_arms[arm].std():.4f}" for arm in arms)) for layer, of_arms in weights.items()
    )
    caption = f"Share of weights with |w| < {NEAR_ZERO:g}, layer by layer, all seeds together."
    return Table(header, shares, caption), Table(header, deviations, "Standard deviation of the same weights.")
