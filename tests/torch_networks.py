"""Torch networks whose weights a test has changed by hand, as predictors."""

from collections.abc import Sequence

import numpy as np
from torch import nn

from cnnlab.arch import Architecture
from cnnlab.deploy.predictor import Predictor
from cnnlab.engines.normalisation import Normalisation


def predictor_of_module(
    model: nn.Module,
    architecture: Architecture,
    classes: Sequence[str],
    normalisation: Normalisation,
    shape: tuple[int, int, int],
) -> Predictor:
    """A predictor with a copy of the weights of `model`, the printed network of `architecture`."""
    weights = {name: np.array(value.detach().numpy()) for name, value in model.state_dict().items()}
    return Predictor(architecture, classes, normalisation, shape, weights)
