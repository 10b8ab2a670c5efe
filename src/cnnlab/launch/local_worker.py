"""A worker of `LocalLauncher`: `python -m cnnlab.launch.local_worker CORE...`, which trains one job after the other.

Standard input brings the jobs, a line of JSON each, and stays open as long as the study lives. When it closes the study
has died, in whatever way; the worker then saves and stops as after SIGTERM. A pipe can do what no handler can: it is
closed for a process that is killed, too.

Every job begins in the state of a new process, but that modules are imported and data are mapped. After an error that
may have spoilt the process (a bug, memory exhausted) the worker exits, and the launcher starts another.
"""

import gc
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path

from cnnlab.core.errors import CnnlabError, Interrupted, MemoryExceededError
from cnnlab.launch.launcher import Failure, Job

_READY = b"ready\n"


def main(cores: list[int]) -> None:
    """Train until the input closes."""
    answers = os.dup(1)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)  # before torch is imported: its threads stay where it started
    jobs = _Jobs()
    import cnnlab.launch.one  # noqa: F401 - while the first job is on its way; it brings torch

    gc.freeze()  # what is imported is no garbage: no collection looks at it again
    while (job := jobs.take()) is not None:
        is_sound = _work(job)
        jobs.done()
        if not is_sound:
            return
        _forget()
        os.write(answers, _READY)


class _Jobs:
    """The jobs that come in, read by a thread of its own, which also notices the study's end while one is trained."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._is_busy = False
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> Job | None:
        """The next one; None when the study has ended."""
        line = self._jobs.get()
        return None if line is None else Job.from_line(line)

    def done(self) -> None:
        """The one that was taken has ended."""
        self._is_busy = False

    def _read(self) -> None:
        """Not through `sys.stdin`: a thread that waits in its buffer would abort the interpreter's exit."""
        rest = b""
        while part := os.read(0, 65536):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._is_busy = True
                self._jobs.put(line)
        self._jobs.put(None)
        if self._is_busy:
            os.kill(os.getpid(), signal.SIGTERM)


def _work(job: Job) -> bool:
    """Train a job; what goes wrong is printed into its log, and kept as its failure. Returns whether to go on."""
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.argv = list(job.command)
    try:
        _train(job)
    except Interrupted as ended:  # its run folder says so
        print(ended, file=sys.stderr)
    except CnnlabError as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        Failure("; ".join(error.problems), error.exit_code).write(job.failure, job.name)
        return not isinstance(error, MemoryExceededError)
    except Exception as error:
        traceback.print_exc()
        Failure(f"{type(error).__name__}: {error} (a bug: see {job.log})", 1).write(job.failure, job.name)
        return False
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return True


def _train(job: Job) -> None:
    from cnnlab.launch.one import resume, train
    from cnnlab.recipe import Recipe
    from cnnlab.runs import RunFolder

    if job.resume is None:
        train(Recipe.from_dict(job.recipe), job.options)
    else:
        resume(RunFolder(job.resume), job.options)


def _forget() -> None:
    """Give back what the last job held. Threads, seeds and handlers of signals are set by every training itself."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()  # after a few networks it would compile no more, and say nothing
    with suppress(OSError):  # Linux alone: the most memory held so far is counted from here
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main([int(core) for core in sys.argv[1:]])
