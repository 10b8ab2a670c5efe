"""What a launcher is: something that runs jobs, one training each, on slots of some machine.

A job's outcome is read from disk, so that it does not matter where it ran and whether anybody was watching: from its
run folder, and where it ended before it had one, from the failure that it left. `cnnlab.launch.local` is the first
launcher; one for a cluster needs the same five methods.
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter

from cnnlab.core.errors import RunError
from cnnlab.core.files import write_json
from cnnlab.launch.options import Options


@dataclass(frozen=True)
class Slot:
    """Room for one job at a time. `cores` are the ones to stay on, empty for all; `memory` in bytes, None: unknown."""

    number: int
    cores: tuple[int, ...]
    threads: int
    device: str = "auto"
    memory: int | None = None


@dataclass(frozen=True)
class Job:
    """One training. `resume` is a stopped run to continue; `command` is what the run remembers as its command.

    `failure` is the file for what goes wrong, `log` the one for what it prints. `options.threads` None: as many as the
    run that is continued had. Data are never downloaded by a job: whoever starts it has done so.
    """

    name: str
    recipe: dict[str, Any]
    resume: Path | None
    options: Options
    command: tuple[str, ...]
    failure: Path
    log: Path

    def to_line(self) -> bytes:
        """One line of JSON."""
        options = replace(self.options, download=False, download_display=None)
        return TypeAdapter(Job).dump_json(replace(self, options=options)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Job":
        """The inverse of `to_line`."""
        return TypeAdapter(cls).validate_json(line)


class Launcher(Protocol):
    """Runs jobs. Which slots there are is not decided here."""

    def start(self, slot: Slot, job: Job) -> None:
        """Start a job on a slot that is free. Raises StorageError where its log cannot be written."""

    def poll(self, slot: Slot) -> str | None:
        """None while the slot's job runs; else how its process ended, for a person to read, empty if not known."""

    def stop(self, slot: Slot) -> None:
        """Ask the slot's job to save and stop."""

    def end(self, slot: Slot) -> None:
        """End the slot's job at once, and wait until it is gone."""

    def close(self) -> None:
        """Give up everything that is still held. No job runs any more."""


@dataclass(frozen=True)
class Failure:
    """Why a job could not complete its run, in words, and the exit code that its kind of error has."""

    cause: str
    exit_code: int

    def write(self, path: Path, job: str) -> None:
        """Store it under the name of its job. Raises StorageError."""
        write_json(path, {"job": job, **asdict(self)})

    @classmethod
    def read(cls, path: Path) -> "Failure | None":
        """The one that is stored, if there is one. Raises RunError where the file is damaged."""
        try:
            value = json.loads(path.read_bytes())
            return cls(str(value["cause"]), int(value["exit_code"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{path} is damaged: expected a cause; remove it") from None
