"""What is raced: which preset stands against which model of the yardstick, and what is asked of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`epochs` are trained per repetition and the last one counts. `asked` and `goal` are multiples."""

    model: str
    preset: str
    epochs: int
    asked: float
    goal: float


CASES = (
    # An epoch of SimpleNN takes seconds, so its first one, in which memory and caches fill, does not count.
    Case("simplenn", "simplenn-aug", epochs=2, asked=2.2, goal=4.0),
    # An epoch of ResNet-20 takes about a minute with the yardstick; how it starts is lost in that.
    Case("resnet20", "resnet20-short", epochs=1, asked=2.1, goal=3.0),
)

# The yardstick's batch size too; small sets of `--quick` still fill several batches.
BATCH_SIZE = 128
MEMORY_ASKED = 1.5
READY_ASKED = 2.0
