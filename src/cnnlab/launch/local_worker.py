"""A worker of `LocalLauncher`, one job after the other: `python -m cnnlab.launch.local_worker ENGINE CORE...`

It reads jobs from standard input, one line of JSON each. The input closes when the study ends, also when it is killed;
then the worker saves and stops as after SIGTERM.

Every job begins in the state of a new process, except that modules are imported and data are mapped. After an error
that may have damaged the process (a bug, no more memory) the worker exits, and the launcher starts another one.
"""

import gc
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cnnlab.core.errors import CnnlabError, Interrupted, MemoryExceededError
from cnnlab.engines.protocol import engine_module
from cnnlab.launch.launcher import Failure, Job
from cnnlab.recipe import Recipe
from cnnlab.runs import RunFolder

_READY = b"ready\n"


def main(engine: str, cores: list[int]) -> None:
    """Train until the input closes."""
    answers = os.dup(1)
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)  # before the import of torch, whose threads inherit it
    jobs = _Jobs()
    import cnnlab.launch.one  # noqa: F401 - everything is imported while the first job arrives

    release = engine_module(engine).release
    gc.freeze()  # modules stay: garbage collection ignores them from here on
    while (job := jobs.take()) is not None:
        is_sound = _work(job)
        jobs.is_busy = False
        if not is_sound:
            return
        _forget(release)
        os.write(answers, _READY)


class _Jobs:
    """The incoming jobs. A thread reads them, so that the end of the study is noticed during a training."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.is_busy = False
        threading.Thread(target=self._read, daemon=True).start()

    def take(self) -> Job | None:
        """Wait for the next job; None when the study has ended."""
        line = self._jobs.get()
        return None if line is None else Job.from_line(line)

    def _read(self) -> None:
        """Not with `sys.stdin`: a thread that waits for its buffer makes the interpreter abort at exit."""
        rest = b""
        while part := os.read(0, 65536):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self.is_busy = True
                self._jobs.put(line)
        self._jobs.put(None)
        if self.is_busy:
            os.kill(os.getpid(), signal.SIGTERM)


def _work(job: Job) -> bool:
    """Train a job; errors are printed to its log and stored as its failure. Returns whether the worker may continue."""
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    sys.argv = list(job.command)
    try:
        _train(job)
    except Interrupted as ended:  # recorded in its run folder
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

    if job.resume is None:
        train(Recipe.from_dict(job.recipe), job.options)
    else:
        resume(RunFolder(job.resume), job.options)


def _forget(release: Callable[[], None]) -> None:
    """Free what the last job used. Every training sets threads, seeds and handlers of signals itself."""
    release()
    with suppress(OSError):  # Linux only: restart the count of peak memory
        Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    main(sys.argv[1], [int(core) for core in sys.argv[2:]])
