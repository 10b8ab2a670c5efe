"""The environment of a run as one value: its data, machine and program, and how it was executed.

A fact that an older file does not have is None: it is unknown, and nothing guesses it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from cnnlab.runs.values import FileValue, Value

T = TypeVar("T", covariant=True)
Precision = Literal["fp32", "bf16", "fp16"]

# JSON has lists where these values have tuples.
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Numbers = Annotated[tuple[float, ...], Field(strict=False)]
Pair = Annotated[tuple[float, float], Field(strict=False)]
Shape = Annotated[tuple[int, int, int], Field(strict=False)]


class DataFacts(Value):
    """The data set, the number of images of each split, and the statistics of the normalisation.

    `location` is a path or the name of a data set; None in collected or very old files.
    """

    name: str
    digest: str
    classes: Texts
    image_shape: Shape
    location: str | None
    images: dict[str, int]
    mean: Numbers
    std: Numbers
    seconds_to_load: float


class DeviceFacts(Value):
    """The device, and the bytes in use there before and after the network moved to it."""

    kind: str
    name: str
    memory_before_model: int
    memory_after_model: int


class Choice(Value, Generic[T]):
    """The chosen value, the reason, and the measured milliseconds per step."""

    value: T
    reason: str
    milliseconds: dict[str, float]


class ExecutionFacts(Value):
    """`workers` is the number of trainings that shared the machine at the same time."""

    threads: int
    workers: int | None
    precision: Choice[Precision]
    compile: Choice[bool]


class ArchitectureFacts(Value):
    """The network as text, and its cost for one image."""

    text: str
    parameters: int
    macs: int


class MachineFacts(Value):
    """The machine and its software."""

    host: str | None
    cpu: str | None
    cores: int | None
    platform: str
    python: str
    versions: dict[str, str]


class Environment(FileValue):
    """Everything about a run except its recipe and its results. `created` is in UTC; its text sorts by time.

    `teacher`: SHA-256 of the weights that the run distils.
    """

    FORMAT: ClassVar[int] = 3

    format: int = FORMAT
    recipe_hash: str
    created: str
    command: Texts
    cnnlab: str
    code_sha256: str
    engine: str
    teacher: str | None
    initial_loss: float
    initial_spread: float | None
    initial_gradients: Pair | None
    data: DataFacts
    device: DeviceFacts
    execution: ExecutionFacts
    architecture: ArchitectureFacts
    machine: MachineFacts

    @classmethod
    def upgraded(cls, values: dict[str, Any], written: int) -> dict[str, Any]:
        """Before format 3 no run had a teacher. Format 1 has no number, workers, spread, gradients, host and cpu; facts
        of the machine are at the top.

        Collected runs have their command as one text, and no location.
        """
        device, data, execution = (_table(values, key) for key in ("device", "data", "execution"))
        command = values.get("command")
        values = {**values, "data": {"location": None, **data}}
        if written < cls.FORMAT:
            values = {"teacher": None, **values, "format": cls.FORMAT}
        if isinstance(command, str):
            values["command"] = command.split()
        if written > 1:
            return values
        machine = {key: values[key] for key in ("cores", "platform", "python", "versions") if key in values}
        cpu = device.get("name") if device.get("kind") == "cpu" else None
        return {
            **values,
            "format": cls.FORMAT,
            "engine": values.get("engine", "torch"),
            "initial_spread": values.get("initial_spread"),
            "initial_gradients": values.get("initial_gradients"),
            "execution": {"workers": None, **execution},
            "machine": {"host": None, "cpu": cpu, **machine},
        }


def now() -> str:
    """UTC as text; durations never depend on it."""
    return datetime.now(UTC).isoformat()


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table of the file; empty where it is missing or not a table, so that the error names its fields."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}
