"""The environment of a run as one value: on what data, machine and program it was trained, and how.

A fact that an older file does not have is None: it is not known, and nothing guesses it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from cnnlab.runs.values import FileValue, Value

T = TypeVar("T", bound=str | bool)

# JSON has lists where these values have tuples.
Texts = Annotated[tuple[str, ...], Field(strict=False)]
Numbers = Annotated[tuple[float, ...], Field(strict=False)]
Pair = Annotated[tuple[float, float], Field(strict=False)]
Shape = Annotated[tuple[int, int, int], Field(strict=False)]


class DataFacts(Value):
    """The data set, the images of each split, and the statistics that pixels were normalised with.

    `location` is where it lay: a path, or the name of a data set; None in collected or very old files.
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
    """What computed, and the bytes in use there before and after the network came."""

    kind: str
    name: str
    memory_before_model: int
    memory_after_model: int


class Choice(Value, Generic[T]):
    """What was chosen, why, and the milliseconds a step that were measured."""

    value: T
    reason: str
    milliseconds: dict[str, float]


class ExecutionFacts(Value):
    """How it was run. `workers` is the number of trainings that shared the machine at the same time."""

    threads: int
    workers: int | None
    precision: Choice[Literal["fp32", "bf16", "fp16"]]
    compile: Choice[bool]


class ArchitectureFacts(Value):
    """The network as text, and what it costs for one image."""

    text: str
    parameters: int
    macs: int


class MachineFacts(Value):
    """The machine and what was installed there."""

    host: str | None
    cpu: str | None
    cores: int | None
    platform: str
    python: str
    versions: dict[str, str]


class Environment(FileValue):
    """Everything about a run but its recipe and what came out. `created` is in UTC; as text it sorts by time."""

    FORMAT: ClassVar[int] = 2

    format: int = FORMAT
    recipe_hash: str
    created: str
    command: Texts
    cnnlab: str
    code_sha256: str
    engine: str
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
        """Format 1 had no number and no workers, and the machine's facts at the top, without host and cpu.

        It knew one engine, and of the start the loss alone.

        Collected runs have their command as one text, and no location.
        """
        device, data, execution = (_table(values, key) for key in ("device", "data", "execution"))
        command = values.get("command")
        values = {**values, "data": {"location": None, **data}}
        if isinstance(command, str):
            values["command"] = command.split()
        if written > 1:
            return values
        machine = {key: values[key] for key in ("cores", "platform", "python", "versions") if key in values}
        # The name of the device is the processor's where the processor computed.
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
    """UTC, for people to read; durations never depend on it."""
    return datetime.now(UTC).isoformat()


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table of the file; empty where it is missing or none, so that its fields are what is reported."""
    found = values.get(key)
    return found if isinstance(found, dict) else {}
