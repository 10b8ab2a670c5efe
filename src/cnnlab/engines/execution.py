"""How a recipe is executed on a machine, as values: settled once per run, stored in it, kept when it is resumed."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Precision = Literal["fp32", "bf16", "fp16"]


class ExecutionOptions(Protocol):
    """What whoever starts a training may ask of an engine. `threads` None: every core. `compile`: auto, on or off."""

    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int | None: ...
    @property
    def compile(self) -> str: ...


@dataclass(frozen=True)
class Choice:
    """What was chosen, why, and the milliseconds per step that were measured."""

    value: Any
    reason: str
    milliseconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Settled:
    """What an earlier session of a run chose; the next one keeps it."""

    threads: int
    precision: Choice
    compile: Choice


@dataclass(frozen=True)
class Execution:
    """Device (`cpu`, `cuda:0`, ...) and its name, bytes in use there before and after the network came, choices."""

    device: str
    device_name: str
    memory_before_model: int
    memory_after_model: int
    threads: int
    precision: Choice
    compile: Choice


def peak_memory() -> int:
    """The most bytes of memory this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts in other units there
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or a device refused an allocation: by name, as each framework has an error of its own."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "DefaultCPUAllocator" in str(error)
    )
