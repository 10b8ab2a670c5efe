"""Losses: one number for a batch, and its gradient for the logits, where backpropagation begins.

Softmax turns logits z into probabilities p[k] = exp(z[k]) / sum of exp(z), with d log p[a] / d z[k] = (1 if k = a
else 0) - p[k]. All else follows from this line.

Shapes: B images, K classes. Labels are class numbers from 0 on. A batch's loss is the mean of its images' losses, so
the gradient of one image is divided by B; with class weights it is a weighted mean.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cnnlab.recipe.sections import Loss
from cnnlab.scratch.reference.layer import Array

Labels = NDArray[np.integer]

SMALLEST_MISS = 1e-12
"""Of the focal loss 1 - p, and not quite 0: there the derivative of a power below 1 is infinite."""


class Result(NamedTuple):
    """The loss of a batch, and d loss / d logits."""

    loss: float
    gradient_BK: Array


def cross_entropy(
    logits_BK: Array, labels_B: Labels, smoothing: float = 0, class_weights_K: Array | None = None
) -> Result:
    """- sum over k of q[k] * log p[k] for each image, with its aims q. As the q add up to 1, its gradient is p - q."""
    log_p_BK = log_softmax(logits_BK)
    aims_BK = aims(labels_B, logits_BK.shape[1], smoothing)
    each_B = -(aims_BK * log_p_BK).sum(axis=1)
    return _mean(each_B, np.exp(log_p_BK) - aims_BK, labels_B, class_weights_K)


def focal(
    logits_BK: Array, labels_B: Labels, gamma: float, smoothing: float = 0, class_weights_K: Array | None = None
) -> Result:
    """(1 - p)^gamma * cross-entropy, with p of the image's label (Lin et al. 2017): what is learned counts less.

    The product rule, with d p[a] / d z[k] = p[a] * ((1 if k = a else 0) - p[k]). Here `miss` is 1 - p, computed from
    log p: where p is rounded to 1, the difference would be 0.
    """
    log_p_BK, num_classes = log_softmax(logits_BK), logits_BK.shape[1]
    p_BK = np.exp(log_p_BK)
    aims_BK, label_BK = aims(labels_B, num_classes, smoothing), aims(labels_B, num_classes)
    entropy_B = -(aims_BK * log_p_BK).sum(axis=1)
    gradient_entropy_BK = p_BK - aims_BK
    p_B = (p_BK * label_BK).sum(axis=1)
    true_miss_B = -np.expm1((log_p_BK * label_BK).sum(axis=1))
    miss_B = np.maximum(true_miss_B, SMALLEST_MISS)
    slope_B = np.where(true_miss_B >= SMALLEST_MISS, gamma * miss_B ** (gamma - 1), 0)
    gradient_factor_BK = (-slope_B * p_B)[:, None] * (label_BK - p_BK)
    factor_B = miss_B**gamma
    gradient_BK = factor_B[:, None] * gradient_entropy_BK + entropy_B[:, None] * gradient_factor_BK
    return _mean(factor_B * entropy_B, gradient_BK, labels_B, class_weights_K)


def squared_error(
    logits_BK: Array, labels_B: Labels, smoothing: float = 0, class_weights_K: Array | None = None
) -> Result:
    """The mean over k of (z[k] - q[k])^2 for each image, with its aims q."""
    num_classes = logits_BK.shape[1]
    difference_BK = logits_BK - aims(labels_B, num_classes, smoothing)
    each_B = (difference_BK**2).mean(axis=1)
    return _mean(each_B, 2 * difference_BK / num_classes, labels_B, class_weights_K)


def distillation(logits_BK: Array, teacher_BK: Array, temperature: float) -> Result:
    """T^2 KL(teacher || network), both softened by the temperature T: softmax(z / T) (Hinton et al. 2015).

    KL = sum over k of t[k] * (log t[k] - log p[k]) has for z / T the gradient p - t, and for z 1 / T of it.
    """
    log_p_BK, log_t_BK = log_softmax(logits_BK / temperature), log_softmax(teacher_BK / temperature)
    t_BK = np.exp(log_t_BK)
    each_B = temperature**2 * (t_BK * (log_t_BK - log_p_BK)).sum(axis=1)
    gradient_BK = temperature * (np.exp(log_p_BK) - t_BK)
    return Result(float(each_B.mean()), gradient_BK / len(logits_BK))


def recipe_loss(
    settings: Loss,
    logits_BK: Array,
    labels_B: Labels,
    class_weights_K: Array | None = None,
    teacher_BK: Array | None = None,
) -> Result:
    """The loss that a recipe chooses, without its L1 penalty; `teacher_BK` where it distils."""
    smoothing = settings.label_smoothing
    if settings.name == "focal":
        own = focal(logits_BK, labels_B, settings.gamma, smoothing, class_weights_K)
    elif settings.name == "mse":
        own = squared_error(logits_BK, labels_B, smoothing, class_weights_K)
    else:
        own = cross_entropy(logits_BK, labels_B, smoothing, class_weights_K)
    if settings.distill is None or teacher_BK is None:
        return own
    taught, share = distillation(logits_BK, teacher_BK, settings.distill.temperature), settings.distill.weight
    return Result(
        (1 - share) * own.loss + share * taught.loss, (1 - share) * own.gradient_BK + share * taught.gradient_BK
    )


def log_softmax(logits_BK: Array) -> Array:
    """log p of each image. Its largest logit is subtracted first: p stays the same, and exp cannot overflow."""
    shifted_BK: Array = logits_BK - logits_BK.max(axis=1, keepdims=True)
    log_p_BK: Array = shifted_BK - np.log(np.exp(shifted_BK).sum(axis=1, keepdims=True))
    return log_p_BK


def aims(labels_B: Labels, num_classes: int, smoothing: float = 0) -> Array:
    """What the network should answer, B x K: 1 for the label, 0 for others; smoothed, a share goes to all equally."""
    one_hot_BK = np.eye(num_classes)[labels_B]
    return (1 - smoothing) * one_hot_BK + smoothing / num_classes


def _mean(each_B: Array, gradient_BK: Array, labels_B: Labels, class_weights_K: Array | None) -> Result:
    """The mean over the batch, in which the class of an image may decide how much it counts."""
    weights_B = np.ones(len(labels_B)) if class_weights_K is None else class_weights_K[labels_B]
    shares_B = weights_B / weights_B.sum()
    return Result(float(shares_B @ each_B), shares_B[:, None] * gradient_BK)
