"""What the images of a batch are: their labels, and those of the images mixed into them; loss and hits.

Shape legend: B images, K classes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F


class Targets(NamedTuple):
    """`weights`: share of the image's own label; the rest belongs to its partner's. None where nothing is mixed."""

    labels: torch.Tensor
    partners: torch.Tensor | None = None
    weights: torch.Tensor | None = None

    def part(self, start: int, stop: int) -> "Targets":
        partners, weights = (
            None if one is None else one[start:stop] for one in (self.partners, self.weights)
        )
        return Targets(self.labels[start:stop], partners, weights)

    def loss(self, logits_BK: torch.Tensor, label_smoothing: float) -> torch.Tensor:
        """Mean cross-entropy; of a mixed image, the weighted mean of both labels' (Zhang et al., "mixup", 2018)."""
        if self.partners is None or self.weights is None:
            return F.cross_entropy(logits_BK, self.labels, label_smoothing=label_smoothing)
        own, other = (
            F.cross_entropy(logits_BK, labels, label_smoothing=label_smoothing, reduction="none")
            for labels in (self.labels, self.partners)
        )
        return torch.lerp(other, own, self.weights).mean()

    def hits(self, logits_BK: torch.Tensor) -> torch.Tensor:
        """How many largest logits are those of the label; of a mixed image, of the label with the larger share."""
        labels = self.labels
        if self.partners is not None and self.weights is not None:
            labels = torch.where(self.weights < 0.5, self.partners, labels)
        return (logits_BK.argmax(1) == labels).sum()
