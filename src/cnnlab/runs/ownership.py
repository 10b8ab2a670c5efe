"""One writer for a run folder: an exclusive lock, and the identity of the process that holds it.

The lock is an `flock`, which the system releases whatever way the process ends. Its file also names the owner
by host, process number and process start, so that a reader can tell a live run from an abandoned one without
touching the lock, and a process number used again by another program is not mistaken for the owner.
"""

import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from cnnlab.core.errors import RunError
from cnnlab.core.files import storage_errors
from cnnlab.runs import layout


@dataclass(frozen=True)
class Owner:
    """A process. `started` is its start in clock ticks since boot, None where the system does not tell."""

    host: str
    pid: int
    started: int | None

    def is_alive(self) -> bool:
        """Whether the process still runs. A process of another host cannot be seen and counts as alive."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # someone else's process: it exists
        return _process_start(self.pid) == self.started


def _process_start(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None without /proc, and for a process that ended and awaits collection."""
    try:
        # The second field is the command in parentheses and may hold anything, also ")" and spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def read_owner(run: Path) -> Owner | None:
    """Who holds the lock of a run folder according to its lock file; None when it was released."""
    try:
        return Owner(**json.loads((run / layout.LOCK).read_text()))
    except (OSError, ValueError, TypeError):
        return None


class RunLock:
    """The exclusive right to write a run folder, held from construction to `release()`."""

    def __init__(self, run: Path, what: str = "run") -> None:
        """Take the lock at once. Raises RunError if another writer holds it, StorageError if not writable.

        `what` is the word for what lies in the folder.
        """
        path = run / layout.LOCK
        with storage_errors(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                owner = Owner(socket.gethostname(), os.getpid(), _process_start(os.getpid()))
                os.ftruncate(self._descriptor, 0)
                os.write(self._descriptor, json.dumps(asdict(owner)).encode())
            except BlockingIOError:
                os.close(self._descriptor)
                raise RunError(_in_use(run, what)) from None
            except OSError:
                os.close(self._descriptor)
                raise

    def release(self) -> None:
        """Give the lock back; the emptied file says that nobody owns the run. Repeating it does nothing."""
        if self._descriptor < 0:
            return
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = -1


def _in_use(run: Path, what: str) -> str:
    owner = read_owner(run)
    holder = f"process {owner.pid} on {owner.host}" if owner else "another process"
    return f"{what} {run.name} is in use by {holder}; wait until it ends, or stop that process first"
