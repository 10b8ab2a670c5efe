"""Likely causes of failures, as text: for a diverged run and for the check before the first step."""

import math

from cnnlab.engines.protocol import Start
from cnnlab.recipe import Recipe

# A good untrained network predicts nearly uniformly. A loss this far above ln(classes), in nats, means that the pixels
# have a wrong scale, softmax is applied twice, or the initial weights are bad.
_TOLERATED_START = 0.7
# Of one batch of CIFAR-10: the shipped networks have spreads from 0.014 and gradients of the first layer from 0.026 of
# the last one's; All-CNN-C, Network in Network and a plain network of nine layers, which do not start to learn from
# torch's initial weights, have spreads of 0.00003 to 0.0002 and gradients of 0.002 to 0.005 of the last one's.
_LEAST_SPREAD = 1e-3
_LEAST_GRADIENT = 8e-3


def likely_cause_of_divergence(recipe: Recipe, lr: float, step: int) -> str:
    """One sentence: the usual cause at this step and what to change."""
    if recipe.precision == "fp16":
        return "likely cause: fp16 overflowed; try --set precision=bf16 or fp32"
    if lr >= (0.1 if recipe.optim.name == "sgd" else 0.01):
        remedy = f"try --set optim.lr={lr / 10:g}"
    elif recipe.train.clip_norm is None:
        remedy = "try --set train.clip_norm=1, or a lower optim.lr"
    else:
        remedy = f"try --set optim.lr={recipe.optim.lr / 10:g}"
    when = "within the first steps: the learning rate is too high" if step < 100 else "late in the training"
    return f"likely cause: the weights grew without limit {when}; {remedy}"


def start_warnings(start: Start, num_classes: int) -> list[str]:
    """Warnings where the untrained network probably cannot learn, or its pixels are wrong.

    A loss near ln(classes) is not enough: a network whose signal vanishes between the layers has it too. Such a network
    has the same logits for all images, or nearly no gradient in its first layer.
    """
    warnings = []
    expected = math.log(num_classes)
    if abs(start.loss - expected) > _TOLERATED_START:
        warnings.append(
            f"initial loss is {start.loss:.3f}, expected about ln({num_classes}) = {expected:.3f}: "
            "check the normalisation of the pixels, and that the network ends in plain logits"
        )
    first, last = start.gradients
    if start.spread < _LEAST_SPREAD:
        warnings.append(
            f"the untrained network gives nearly the same logits for all images: they differ by {start.spread:.2g} "
            f"(expected {_LEAST_SPREAD:g} or more), so it may never start to learn; "
            "try --set arch.init=he, or batch normalisation"
        )
    elif first < _LEAST_GRADIENT * last:
        warnings.append(
            f"the first layer gets a gradient of {first:.2g}, the last one of {last:.2g}: it may hardly be trained; "
            "try --set arch.init=he, or batch normalisation"
        )
    return warnings
