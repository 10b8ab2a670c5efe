"""The protocol of launchers: a launcher runs jobs, one training each, on slots of a machine.

The outcome of a job is read from disk, wherever it ran: from its run folder, or from its failure file where it ended
before it had a folder. `cnnlab.launch.local` is the first launcher; one for a cluster needs the same five methods.
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
    """Resources of one job at a time. `cores`: those to use, empty for all; `memory` in bytes, None: unknown.

    Local workers keep to cores, threads and device; memory limits only how many of them there are.
    """

    number: int
    cores: tuple[int, ...]
    threads: int
    device: str = "auto"
    memory: int | None = None


@dataclass(frozen=True)
class Job:
    """One training. `resume` is a stopped run to continue; `command` is the command line that the run records.

    `failure` is the file for an error, `log` the file for the output. `options.threads` None: as many as the continued
    run had. A job downloads no data: that is done before it starts.
    """

    name: str
    recipe: dict[str, Any]
    resume: Path | None
    options: Options
    command: tuple[str, ...]
    failure: Path
    log: Path

    def to_line(self) -> bytes:
        options = replace(self.options, download=False, download_display=None)
        return TypeAdapter(Job).dump_json(replace(self, options=options)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Job":
        return TypeAdapter(cls).validate_json(line)


class Launcher(Protocol):
    """Runs jobs on slots that the caller chooses."""

    def start(self, slot: Slot, job: Job) -> None:
        """Start a job on a slot that is free. Raises StorageError where its log cannot be written."""

    def poll(self, slot: Slot) -> str | None:
        """None while the slot's job runs; then how its process ended as text, empty if unknown."""

    def stop(self, slot: Slot) -> None:
        """Ask the slot's job to save and stop."""

    def end(self, slot: Slot) -> None:
        """Kill the slot's job, and wait until its process has ended."""

    def close(self) -> None:
        """Release everything. No job runs any more."""


@dataclass(frozen=True)
class Failure:
    """Why a job could not complete its run, as text, and the exit code of its kind of error."""

    cause: str
    exit_code: int

    def write(self, path: Path, job: str) -> None:
        """Store it with the name of its job. Raises StorageError."""
        write_json(path, {"job": job, **asdict(self)})

    @classmethod
    def read(cls, path: Path) -> "Failure | None":
        """The stored failure, None without a file. Raises RunError where the file is damaged."""
        try:
            value = json.loads(path.read_bytes())
            return cls(str(value["cause"]), int(value["exit_code"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise RunError(f"{path} is damaged: expected a cause; remove it") from None
