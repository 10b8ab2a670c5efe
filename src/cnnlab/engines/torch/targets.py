"""The targets of a batch and the loss that a recipe chooses, as a mean over the batch.

Shape legend: B images of the batch, K classes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F

from cnnlab.recipe.sections import Loss


class Targets(NamedTuple):
    """The labels of a batch, and those of the images mixed into it.

    `weights`: share of the image's own label, the rest is its partner's. None where nothing is mixed.
    """

    labels: torch.Tensor
    partners: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    def part(self, start: int, stop: int) -> "Targets":
        further = (None if tensor is None else tensor[start:stop] for tensor in self[1:])
        return Targets(self.labels[start:stop], *further)

    def mean_of(self, values_B: torch.Tensor, values_of_partners_B: torch.Tensor | None) -> torch.Tensor:
        """Per image the weighted mean of a value of its label and one of its partner's (Zhang et al. 2018)."""
        if self.weights is None or values_of_partners_B is None:
            return values_B
        return torch.lerp(values_of_partners_B, values_B, self.weights)

    def hits(self, logits_BK: torch.Tensor) -> torch.Tensor:
        """The number of correct answers; for a mixed image the label with the larger share is correct."""
        labels = self.labels
        if self.partners is not None and self.weights is not None:
            labels = torch.where(self.weights < 0.5, self.partners, labels)
        return (logits_BK.argmax(1) == labels).sum()


class Criterion:
    """The loss of a recipe, without its L1 penalty. `class_weights_K`: factors of images by label, or None."""

    def __init__(self, loss: Loss, class_weights_K: torch.Tensor | None = None) -> None:
        self.loss = loss
        self.class_weights_K = class_weights_K

    def __call__(
        self, logits_BK: torch.Tensor, targets: Targets, whole: Targets, teacher_BK: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The part of the mean over the batch `whole` that belongs to `targets`, which may be all of it."""
        value = self._of_labels(logits_BK, targets, whole)
        if self.loss.distill is None or teacher_BK is None:
            return value
        share, temperature = self.loss.distill.weight, self.loss.distill.temperature
        divergence = F.kl_div(
            F.log_softmax(logits_BK / temperature, dim=1),
            F.log_softmax(teacher_BK / temperature, dim=1),
            reduction="sum",
            log_target=True,
        )
        return (1 - share) * value + share * temperature**2 * divergence / len(whole.labels)

    def _of_labels(self, logits_BK: torch.Tensor, targets: Targets, whole: Targets) -> torch.Tensor:
        if targets.partners is None and self.class_weights_K is None and self.loss.name == "cross-entropy":
            mean = F.cross_entropy(logits_BK, targets.labels, label_smoothing=self.loss.label_smoothing)
            return mean if targets is whole else mean * (len(targets.labels) / len(whole.labels))
        own, other = (
            None if labels is None else self._weights_of(labels) * self._each(logits_BK, labels)
            for labels in (targets.labels, targets.partners)
        )
        assert own is not None
        return targets.mean_of(own, other).sum() / self._total_weight(whole)

    def _each(self, logits_BK: torch.Tensor, labels_B: torch.Tensor) -> torch.Tensor:
        """The loss of each image."""
        smoothing = self.loss.label_smoothing
        if self.loss.name == "mse":
            aims_BK = F.one_hot(labels_B, logits_BK.shape[1]).to(logits_BK.dtype)
            aims_BK = aims_BK * (1 - smoothing) + smoothing / logits_BK.shape[1]
            return (logits_BK - aims_BK).square().mean(1)
        each_B = F.cross_entropy(logits_BK, labels_B, label_smoothing=smoothing, reduction="none")
        if self.loss.name == "focal":
            log_likelihood_B = F.log_softmax(logits_BK, dim=1).gather(1, labels_B[:, None])[:, 0]
            # 1 - p, and not quite 0: there the derivative of a power below 1 is infinite.
            each_B = each_B * (-torch.expm1(log_likelihood_B)).clamp_min(1e-12) ** self.loss.gamma
        return each_B

    def _weights_of(self, labels_B: torch.Tensor) -> torch.Tensor | float:
        return 1.0 if self.class_weights_K is None else self.class_weights_K[labels_B]

    def _total_weight(self, targets: Targets) -> torch.Tensor | int:
        """What a sum over a batch is divided by: the number of its images, or the sum of their weights."""
        if self.class_weights_K is None:
            return len(targets.labels)
        partners = None if targets.partners is None else self.class_weights_K[targets.partners]
        return targets.mean_of(self.class_weights_K[targets.labels], partners).sum()
