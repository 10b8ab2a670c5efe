"""The losses that a recipe can choose, each with its gradient by hand; the same as `engines/torch/targets.py`.

Shape legend: B images of the batch or of a part of it, K classes.
"""

from typing import Any, NamedTuple

import numpy as np

from cnnlab.recipe.sections import Loss
from cnnlab.scratch.parameters import Array

SMALLEST_MISS = 1e-12
"""Of the focal loss 1 - p, and not quite 0: there the derivative of a power below 1 is infinite."""


class Targets(NamedTuple):
    """The labels of a batch, and those of the images mixed into it, all B.

    `weights`: share of the image's own label, the rest is its partner's. None where nothing is mixed.
    """

    labels: Array
    partners: Array | None = None
    weights: Array | None = None

    def part(self, start: int, stop: int) -> "Targets":
        """The images start..stop."""
        further = (None if array is None else array[start:stop] for array in self[1:])
        return Targets(self.labels[start:stop], *further)


class Total(NamedTuple):
    """What sums over a whole batch are divided by: its number of images, and the sum of their class weights."""

    images: int
    weight: Array


class Share(NamedTuple):
    """What a part gives of a batch: `loss`, its part of the mean, float64; `gradient_BK` of it; `hits`, a count."""

    loss: Array
    gradient_BK: Array
    hits: Array


class Criterion:
    """The loss of a recipe, without its L1 penalty. `class_weights_K`: factors of images by label, or None."""

    def __init__(self, loss: Loss, class_weights_K: Array | None = None, xp: Any = np) -> None:
        self.loss, self.xp = loss, xp
        self.class_weights_K = None if class_weights_K is None else xp.asarray(class_weights_K, np.float64)

    def total(self, whole: Targets) -> Total:
        """The divisors of a batch, which each of its parts needs."""
        if self.class_weights_K is None:
            return Total(len(whole.labels), float(len(whole.labels)))
        return Total(len(whole.labels), sum(weights.sum(dtype=np.float64) for _, weights in self._labels(whole)))

    def __call__(
        self, logits_BK: Array, targets: Targets, total: Total | None = None, teacher_BK: Array | None = None
    ) -> Share:
        """The share of `targets` in the mean over a batch with this `total`; None where they are all of it.

        `logits_BK` float32 or float64; the gradient has their type. `teacher_BK`: the logits of the network that the
        recipe distils. What is not finite in the logits gives a loss that is not finite, without a warning.
        """
        total = self.total(targets) if total is None else total
        with np.errstate(all="ignore"):
            loss, gradient_BK = self._of_labels(logits_BK, targets, total)
            if self.loss.distill is not None and teacher_BK is not None:
                share, temperature = self.loss.distill.weight, self.loss.distill.temperature
                log_q_BK = self._log_softmax(logits_BK / temperature)
                log_p_BK = self._log_softmax(teacher_BK / temperature)
                p_BK = self.xp.exp(log_p_BK)
                divergence = (p_BK * (log_p_BK - log_q_BK)).sum(dtype=np.float64) / total.images
                loss = (1 - share) * loss + share * temperature**2 * divergence
                gradient_BK *= 1 - share
                gradient_BK += (self.xp.exp(log_q_BK) - p_BK) * (share * temperature / total.images)
        return Share(loss, gradient_BK, self._hits(logits_BK, targets))

    def _of_labels(self, logits_BK: Array, targets: Targets, total: Total) -> tuple[Array, Array]:
        """The share of the labels' loss, and its gradient."""
        softened_BK = None if self.loss.name == "mse" else self._log_softmax(logits_BK)
        loss, gradient_BK = 0.0, self.xp.zeros_like(logits_BK)
        for labels_B, weights_B in self._labels(targets):
            if softened_BK is None:
                each_B, one_BK = self._squares(logits_BK, labels_B)
            else:
                each_B, one_BK = self._entropies(softened_BK, labels_B)
            loss = loss + (weights_B * each_B).sum(dtype=np.float64)
            one_BK *= (weights_B / total.weight).astype(one_BK.dtype)[:, None]
            gradient_BK += one_BK
        return loss / total.weight, gradient_BK

    def _labels(self, targets: Targets) -> list[tuple[Array, Array]]:
        """The labels of the images and, where some are mixed, of their partners, each B with its weights B."""
        labels_B, partners_B, shares_B = targets
        if partners_B is None or shares_B is None:
            return [(labels_B, self._weights_of(labels_B))]
        own_B, others_B = shares_B * self._weights_of(labels_B), (1 - shares_B) * self._weights_of(partners_B)
        return [(labels_B, own_B), (partners_B, others_B)]

    def _weights_of(self, labels_B: Array) -> Array:
        if self.class_weights_K is None:
            return self.xp.ones(len(labels_B), np.float64)
        return self.class_weights_K[labels_B]

    def _squares(self, logits_BK: Array, labels_B: Array) -> tuple[Array, Array]:
        """Of each image the mean squared difference from its softened one-hot label, and the gradients."""
        num_classes, smoothing = logits_BK.shape[1], self.loss.label_smoothing
        off_BK = logits_BK - smoothing / num_classes
        off_BK[self.xp.arange(len(labels_B)), labels_B] -= 1 - smoothing
        each_B = (off_BK * off_BK).mean(axis=1)
        off_BK *= 2 / num_classes
        return each_B, off_BK

    def _entropies(self, log_p_BK: Array, labels_B: Array) -> tuple[Array, Array]:
        """Of each image the cross-entropy, focal if the recipe says so, and the gradients.

        Cross-entropy of q = (1 - s) one-hot + s / K: its gradient is p - q (Szegedy et al. 2016, section 7).
        """
        xp, smoothing, num_classes = self.xp, self.loss.label_smoothing, log_p_BK.shape[1]
        rows_B = xp.arange(len(labels_B))
        each_B = -log_p_BK[rows_B, labels_B]
        p_BK = xp.exp(log_p_BK)
        gradient_BK = p_BK - smoothing / num_classes if smoothing else p_BK.copy()
        gradient_BK[rows_B, labels_B] -= 1 - smoothing
        if smoothing:
            each_B = (1 - smoothing) * each_B - smoothing * log_p_BK.mean(axis=1)
        if self.loss.name != "focal":
            return each_B, gradient_BK
        # Lin et al. 2017, equation 4: the product rule, with d p / d z = p (one-hot - p).
        gamma, likelihood_B = self.loss.gamma, p_BK[rows_B, labels_B]
        miss_B = 1 - likelihood_B
        is_free_B = miss_B >= SMALLEST_MISS
        miss_B = xp.maximum(miss_B, SMALLEST_MISS)
        slope_B = gamma * each_B * miss_B ** (gamma - 1) * likelihood_B * is_free_B
        factor_B = miss_B**gamma
        p_BK[rows_B, labels_B] -= 1
        gradient_BK *= factor_B[:, None]
        gradient_BK += slope_B[:, None] * p_BK
        return factor_B * each_B, gradient_BK

    def _log_softmax(self, logits_BK: Array) -> Array:
        """Shifted by the largest logit of each image, so that no power overflows."""
        shifted_BK = logits_BK - logits_BK.max(axis=1, keepdims=True)
        return shifted_BK - self.xp.log(self.xp.exp(shifted_BK).sum(axis=1, keepdims=True))

    def _hits(self, logits_BK: Array, targets: Targets) -> Array:
        """The number of correct answers; for a mixed image the label with the larger share is correct."""
        labels_B, partners_B, shares_B = targets
        if partners_B is not None and shares_B is not None:
            labels_B = self.xp.where(shares_B < 0.5, partners_B, labels_B)
        return (logits_BK.argmax(axis=1) == labels_B).sum()
