"""What most likely went wrong, in words: for the message of a diverged run and for the check before the first step."""

import math

from cnnlab.recipe import Recipe

# Untrained networks that are initialised well predict nearly uniformly. A start this far above ln(classes), in
# nats, means confident nonsense: a wrong scale of the pixels, a doubled softmax, a bad initialisation.
_TOLERATED_START = 0.7


def likely_cause_of_divergence(recipe: Recipe, lr: float, step: int) -> str:
    """One sentence with the usual cause at this place and what to change."""
    if recipe.precision == "fp16":
        return "likely cause: fp16 overflowed; try --set precision=bf16 or fp32"
    if lr >= (0.1 if recipe.optim.name == "sgd" else 0.01):
        remedy = f"try --set optim.lr={lr / 10:g}"
    elif recipe.train.clip_norm is None:
        remedy = "try --set train.clip_norm=1, or a lower optim.lr"
    else:
        remedy = f"try --set optim.lr={recipe.optim.lr / 10:g}"
    when = "within the first steps: the learning rate is too high" if step < 100 else "late: a steep spot"
    return f"likely cause: the weights ran away {when}; {remedy}"


def initial_loss_warning(loss: float, num_classes: int) -> str | None:
    """A warning where the loss before the first step is far from ln(classes), the loss of knowing nothing."""
    expected = math.log(num_classes)
    if abs(loss - expected) <= _TOLERATED_START:
        return None
    return (
        f"initial loss is {loss:.3f}, expected about ln({num_classes}) = {expected:.3f}: "
        "check the normalisation of the pixels, and that the network ends in plain logits"
    )
