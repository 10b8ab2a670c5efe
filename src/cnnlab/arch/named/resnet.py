"""ResNets for small images: 6n + 2 layers in three stages of 16, 32 and 64 channels.

Source: He, Zhang, Ren and Sun, "Deep residual learning for image recognition" (CVPR 2016), section 4.2. With
the paper's shortcut A, ResNet-20 has 269,722 parameters and 40,551,040 MACs for a 3x32x32 image, 10 classes.
"""

from collections.abc import Callable
from typing import Annotated

from cnnlab.arch.architecture import Architecture
from cnnlab.arch.kinds import choice
from cnnlab.arch.layers import ACTIVATIONS, BatchNorm, Conv, GlobalAvgPool, Linear, Residual


def resnet(depth: int) -> Callable[..., Architecture]:
    """The function that builds the ResNet of this depth, 6n + 2."""
    num_blocks, remainder = divmod(depth - 2, 6)
    assert num_blocks > 0, depth
    assert remainder == 0, depth

    def build(
        num_classes: int,
        *,
        shortcut: Annotated[str, choice("A", "B")] = "A",
        activation: Annotated[str, choice(*ACTIVATIONS)] = "relu",
    ) -> Architecture:
        """`shortcut` is for the two blocks that change the shape; all others are identities."""
        act = ACTIVATIONS[activation]()

        def block(channels: int, shrinks: bool) -> Residual:
            return Residual(
                body=(
                    *(Conv(3, channels, stride=2 if shrinks else 1, pad=1, bias=False), BatchNorm(), act),
                    *(Conv(3, channels, pad=1, bias=False), BatchNorm()),
                ),
                shortcut=shortcut if shrinks else "identity",
                activation=activation,
            )

        return Architecture(
            (
                *(Conv(3, 16, pad=1, bias=False), BatchNorm(), act),
                *(block(16, shrinks=False) for _ in range(num_blocks)),
                *(block(32, shrinks=position == 0) for position in range(num_blocks)),
                *(block(64, shrinks=position == 0) for position in range(num_blocks)),
                *(GlobalAvgPool(), Linear(num_classes)),
            )
        )

    return build
