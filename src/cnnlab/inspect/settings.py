"""Settings of measurements: results are comparable only with equal settings. No torch.

The defaults are used for claims of studies.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cnnlab.core.errors import CnnlabError

OnStep = Callable[[int, int], None]
"""Called after each step of a measurement with the number of finished and of all steps."""


@dataclass(frozen=True)
class LandscapeSettings:
    """`points` x `points` losses of `images` training images, within `span` of the weights in both directions.

    In units of the weights' norm: at 1 every filter is changed by its own norm. `directions`: the seed of the two
    directions; None: the run's seed, so that replicates have different planes.
    """

    images: int = 1000
    points: int = 21
    span: float = 1.0
    directions: int | None = None

    def __post_init__(self) -> None:
        problems = []
        if self.images < 1:
            problems.append(f"--images: received {self.images}, expected 1 or more")
        if self.points < 3 or self.points % 2 == 0:
            problems.append(
                f"--points: received {self.points}, expected an odd number from 3 on: the weights are the middle one"
            )
        if not 0 < self.span <= 10:
            problems.append(f"--span: received {self.span:g}, expected more than 0, at most 10")
        if self.directions is not None and self.directions < 0:
            problems.append(f"--directions: received {self.directions}, expected a seed, 0 or more")
        if problems:
            raise CnnlabError(*problems)


@dataclass(frozen=True)
class BatchNormSettings:
    """`images` training images; of the test split all are used."""

    images: int = 5000

    def __post_init__(self) -> None:
        if self.images < 2:
            raise CnnlabError(f"--images: received {self.images}, expected 2 or more")
