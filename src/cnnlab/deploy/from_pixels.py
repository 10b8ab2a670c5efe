"""A network that includes its normalisation, as it is exported and timed.

Shape legend: N images, C channels, H x W pixels, K classes.
"""

import copy

from torch import Tensor, nn

from cnnlab.deploy.predictor import Predictor
from cnnlab.engines.torch.network import Normalise


class FromPixels(nn.Module):
    """From pixels 0..1, N x C x H x W, to logits N x K, by a copy of a predictor's network."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.model = copy.deepcopy(predictor.model).cpu()
        self.normalise = Normalise(predictor.normalisation, levels=1)
        self.eval()

    def forward(self, pixels_NCHW: Tensor) -> Tensor:
        logits_NK: Tensor = self.model(self.normalise(pixels_NCHW))
        return logits_NK
