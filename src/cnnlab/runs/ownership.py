"""One writer for a folder: an exclusive lock, the identity of its owner, and the owner's heartbeat.

The lock is an `flock`, which the system releases however the process ends. The lock file contains the owner and a token
that is drawn each time the lock is taken; while it is held, a thread updates the file's modification time every few
seconds. Whether a folder has an owner is decided in this order:

1. the lock is held: yes;
2. it is free, and the owner ran under this kernel (same boot, or same host where the boot is not known): no;
3. the lock cannot be tested, and the owner ran on this host: yes if its process number and start still exist;
4. the owner ran elsewhere, and locks of a network file system may be invisible here: yes if its heartbeat is not older
   than `STALE_SECONDS`, by the clock of that file system. Where nothing can be written there, the clocks of two
   machines must be compared, and an hour is allowed.

An owner that was late and lost the folder to another process finds another token in the file and writes no more.
"""

import contextlib
import fcntl
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from cnnlab.core.errors import RunError
from cnnlab.core.files import storage_errors
from cnnlab.runs import layout
from cnnlab.runs.values import Value

BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
_STALE_BY_OUR_CLOCK = 3600.0
# A reader that tests the lock has it, shared, for a moment: a writer tries again this often.
_ATTEMPTS, _PAUSE = 100, 0.01
_MAX_BYTES = 4096


class TakenOverError(RunError):
    """The folder has another owner now: this process must not write there any more."""


class Owner(Value):
    """A process. `started`: clock ticks since boot. `started` and `boot` are None where the system has no such value.

    `token` is drawn for each holding of the lock; empty in files of older versions, which have no heartbeat.
    """

    host: str
    pid: int
    started: int | None
    boot: str | None = None
    token: str = ""

    @property
    def is_of_this_kernel(self) -> bool:
        """Whether its locks are visible here. A host can change its name, a boot cannot."""
        boot = _boot_id()
        return self.host == socket.gethostname() if None in (self.boot, boot) else self.boot == boot

    @property
    def has_process(self) -> bool:
        """Whether a process of this host has its number and start."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # a process of another user: it exists
        return _process_start(self.pid) == self.started


def read_owner(folder: Path) -> Owner | None:
    """The owner in the lock file of a folder, alive or not; None when it was released."""
    try:
        return _parsed((folder / layout.LOCK).read_bytes())
    except OSError:
        return None


def is_owned(folder: Path) -> bool:
    """Whether a process that may write the folder is alive. Works in a read-only folder, and never delays a writer."""
    try:
        descriptor = os.open(folder / layout.LOCK, os.O_RDONLY)
    except PermissionError:
        return True  # the lock of another user who allows nobody to read it
    except OSError:
        return False
    try:
        locked, owner = _is_locked(descriptor), _parsed(os.pread(descriptor, _MAX_BYTES, 0))
        if locked or owner is None:
            return bool(locked)
        if owner.is_of_this_kernel:
            return locked is None and owner.has_process
        return _has_heartbeat(descriptor, folder) if owner.token else locked is None
    finally:
        os.close(descriptor)


class FolderLock:
    """The exclusive right to write a folder, from construction to `release()`; a thread maintains its heartbeat."""

    def __init__(self, folder: Path, what: str = "run") -> None:
        """Take the lock at once. Raises RunError if another process owns the folder, StorageError if not writable.

        `what` is the word for the content of the folder in messages.
        """
        path = folder / layout.LOCK
        with storage_errors(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if not _lock(descriptor) or _is_alive_elsewhere(descriptor, folder):
                    raise RunError(_in_use(folder, what))
                self._hold(descriptor)
            except BaseException:
                os.close(descriptor)
                raise

    @classmethod
    def inherit(cls, descriptor: int) -> Self:
        """The lock that the parent process passed to this one, see `leave_to_child`."""
        lock = cls.__new__(cls)
        lock._hold(descriptor)
        return lock

    def leave_to_child(self, start: Callable[[int], None]) -> None:
        """Call `start` with the descriptor for a child process to inherit; then only the child holds the lock."""
        self._stop_heartbeat()
        start(self._descriptor)
        self._close()

    def check(self, folder: Path) -> None:
        """Raises TakenOverError where the folder, maybe renamed since, has another owner now; StorageError."""
        path = folder / layout.LOCK
        with storage_errors(path):
            try:
                same_file = os.path.samestat(path.stat(), os.fstat(self._descriptor))
            except FileNotFoundError:
                same_file = False
            if same_file and self._is_ours():
                return
        owner = read_owner(folder)
        taker = f"process {owner.pid} on {owner.host} has taken it over" if owner else "its lock was removed"
        raise TakenOverError(
            f"{folder.name} does not belong to this process any more: {taker} while this one did not answer; "
            "nothing more is written there from here"
        )

    def release(self) -> None:
        """Release the lock and empty its file: the folder has no owner. Repeating it does nothing."""
        if self._descriptor < 0:
            return
        self._stop_heartbeat()
        try:
            if self._is_ours():
                os.ftruncate(self._descriptor, 0)
        finally:
            self._close()

    def _hold(self, descriptor: int) -> None:
        """Write this process as the owner, and start the heartbeat."""
        pid = os.getpid()
        owner = Owner(
            host=socket.gethostname(), pid=pid, started=_process_start(pid), boot=_boot_id(), token=secrets.token_hex(8)
        )
        self._descriptor, self._content = descriptor, owner.model_dump_json().encode()
        os.pwrite(descriptor, self._content, 0)
        os.ftruncate(descriptor, len(self._content))
        self._is_over = threading.Event()
        self._heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heartbeat.start()

    def _beat(self) -> None:
        while not self._is_over.wait(BEAT_SECONDS):
            # Where a file system refuses a new time, the next write of content fails too, and reports it.
            with contextlib.suppress(OSError):
                if self._is_ours():
                    os.utime(self._descriptor)

    def _stop_heartbeat(self) -> None:
        self._is_over.set()
        self._heartbeat.join()

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def _is_ours(self) -> bool:
        return os.pread(self._descriptor, _MAX_BYTES, 0) == self._content


def _parsed(content: bytes) -> Owner | None:
    """The owner in the content of a lock file; None where it was released or is damaged."""
    try:
        return Owner.model_validate_json(content)
    except ValidationError:
        return None


def _lock(descriptor: int) -> bool:
    """Take the exclusive lock; False where another writer has it. Waits for readers that test it."""
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if _is_locked(descriptor):
                return False
            time.sleep(_PAUSE)
        else:
            return True
    return False


def _is_locked(descriptor: int) -> bool | None:
    """Whether a writer holds the lock of an open file; None where the file system cannot answer."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _is_alive_elsewhere(descriptor: int, folder: Path) -> bool:
    """Whether an owner on another machine, whose lock is invisible here, is alive."""
    owner = _parsed(os.pread(descriptor, _MAX_BYTES, 0))
    return bool(owner and owner.token and not owner.is_of_this_kernel and _has_heartbeat(descriptor, folder))


def _has_heartbeat(descriptor: int, folder: Path) -> bool:
    """Whether an owner's heartbeat is recent. The file has just been opened, so its time is not a cached one."""
    written = os.fstat(descriptor).st_mtime
    try:
        with tempfile.TemporaryFile(dir=folder.parent) as file:
            now, allowed = os.fstat(file.fileno()).st_mtime, STALE_SECONDS
    except OSError:
        now, allowed = time.time(), _STALE_BY_OUR_CLOCK
    return abs(now - written) <= allowed


def _process_start(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None without /proc, and for a process that ended and awaits collection."""
    try:
        # The second field is the command in parentheses and may contain anything, also ")" and spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _boot_id() -> str | None:
    """The kernel's random number of this boot; None where the file does not exist."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _in_use(folder: Path, what: str) -> str:
    owner = read_owner(folder)
    holder = f"process {owner.pid} on {owner.host}" if owner else "another process"
    elsewhere = owner is not None and not owner.is_of_this_kernel
    dead = f" (one that died is noticed after {STALE_SECONDS:.0f} seconds)" if elsewhere else ""
    return f"{what} {folder.name} is in use by {holder}; wait until it ends, or stop that process first{dead}"
