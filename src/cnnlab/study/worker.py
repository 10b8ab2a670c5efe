"""One training in a process of its own: `python -m cnnlab.study.worker`, started by the runner and by nobody else.

Standard input brings the job, one line of JSON, and stays open as long as the study lives. When it closes the study
has died, in whatever way; the worker then saves and stops as after SIGTERM. A pipe can do what no handler can: it is
closed for a process that is killed, too.
"""

import json
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cnnlab.core.errors import CnnlabError, Interrupted


@dataclass(frozen=True)
class Job:
    """What to train, and where. `resume` is a stopped run to continue; `threads` None: as many as it had.

    `cores` are the ones to stay on, empty for all; `command` is what the run shall remember as its command.
    """

    recipe: dict[str, Any]
    resume: str | None
    runs: str
    device: str
    threads: int | None
    compile: str
    data_dir: str | None
    cores: tuple[int, ...]
    command: tuple[str, ...]

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Job":
        """The inverse of `to_line`."""
        return cls(**json.loads(line))


def main() -> int:
    """Train, and tell by the exit code how it went: those of `cnnlab`. What went wrong is printed on stderr."""
    job = Job.from_line(_read_line())
    threading.Thread(target=_stop_with_the_study, daemon=True).start()
    if job.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job.cores)  # before torch is imported: its threads stay where it started
    sys.argv = list(job.command)
    try:
        _train(job)
    except CnnlabError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return error.exit_code
    except Interrupted as stopped:
        return stopped.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _train(job: Job) -> None:
    from cnnlab.launch.one import resume, train
    from cnnlab.launch.options import Options
    from cnnlab.recipe import Recipe
    from cnnlab.runs import RunFolder

    options = Options(
        device=job.device,
        threads=job.threads,
        compile=job.compile,
        data_dir=Path(job.data_dir) if job.data_dir else None,
        runs=Path(job.runs),
    )
    if job.resume is None:
        train(Recipe.from_dict(job.recipe), options)
    else:
        resume(RunFolder(Path(job.resume)), options)


def _read_line() -> bytes:
    """Not through `sys.stdin`: a thread that waits in its buffer would abort the interpreter's exit."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit("the study ended before it said what to train")
        line += part
    return line


def _stop_with_the_study() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
