"""The final figures of a complete run as one value."""

from typing import Any, ClassVar

from cnnlab.runs.values import FileValue


class RunResult(FileValue):
    """Accuracy and loss per split of the network of the best epoch; sizes; seconds per clock; peak memory in bytes."""

    FORMAT: ClassVar[int] = 1

    format: int = FORMAT
    best_epoch: int
    epochs: int
    accuracy: dict[str, float]
    loss: dict[str, float]
    parameters: int
    macs: int
    seconds: dict[str, float]
    peak_memory: int

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    def __getitem__(self, name: str) -> Any:
        """`result["accuracy"]` is `result.accuracy`, for programs that expect a dictionary."""
        if name not in type(self).model_fields:
            raise KeyError(name)
        return getattr(self, name)
