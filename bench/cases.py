"""What is compared: which preset with which model of the yardstick, and the speed that is required."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`epochs` are trained per repetition; the last one counts. `asked` and `goal` are multiples of the yardstick."""

    model: str
    preset: str
    epochs: int
    asked: float
    goal: float


CASES = (
    # An epoch of SimpleNN takes seconds, so the first one, which fills memory and caches, does not count.
    Case("simplenn", "simplenn-aug", epochs=2, asked=2.2, goal=4.0),
    # An epoch of ResNet-20 takes about a minute with the yardstick; the time of its start is negligible.
    Case("resnet20", "resnet20-short", epochs=1, asked=2.1, goal=3.0),
)

# Also the yardstick's batch size; the small data of `--quick` still fill several batches.
BATCH_SIZE = 128
MEMORY_ASKED = 1.5
READY_ASKED = 2.0
