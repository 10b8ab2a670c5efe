"""One writer for a folder: an exclusive lock, the identity of the process that holds it, and its heartbeat.

The lock is an `flock`, which the system releases whatever way the process ends. Its file names the owner and a token
drawn for this holding of the lock; while it is held, a thread sets the file's modification time every few seconds.
Whether a folder has an owner is decided in this order:

1. somebody holds the lock: yes;
2. nobody does, and the owner ran under this very kernel (same boot, or same host where the boot is not known): no;
3. the lock cannot be probed, and the owner ran on this host: its process number and start decide;
4. the owner ran elsewhere, where a lock of a network file system may not be seen: its heartbeat decides. It is late
   after `STALE_SECONDS` by the clock of the file system that holds the file; two machines' clocks are compared only
   where nothing can be written there, and then by an hour.

An owner that was late, and lost the folder to another process, finds another token in the file and writes no more.
"""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from cnnlab.core.errors import RunError
from cnnlab.core.files import storage_errors
from cnnlab.runs import layout

BEAT_SECONDS = 5.0
STALE_SECONDS = 30.0
_STALE_BY_OUR_CLOCK = 3600.0
# A reader that probes the lock holds it, shared, for an instant: a writer tries again this often.
_ATTEMPTS, _PAUSE = 100, 0.01
_MOST_BYTES = 4096


class TakenOverError(RunError):
    """The folder has another owner now: this process must not write there any more."""


@dataclass(frozen=True)
class Owner:
    """A process. `started`: clock ticks since boot, None where the system does not tell; so for `boot`.

    `token` is drawn for one holding of the lock; empty in the files of older versions, which have no heartbeat.
    """

    host: str
    pid: int
    started: int | None
    boot: str | None = None
    token: str = ""

    @classmethod
    def this_process(cls) -> "Owner":
        """This process, about to hold a lock."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _process_start(pid), _boot_id(), secrets.token_hex(8))

    @classmethod
    def from_json(cls, text: bytes) -> "Owner | None":
        """What a lock file says; None for a released or damaged one."""
        try:
            values = json.loads(text)
            return cls(**{key: values[key] for key in cls.__dataclass_fields__ if key in values})
        except (ValueError, TypeError):
            return None

    def to_json(self) -> bytes:
        """The inverse of `from_json`."""
        return json.dumps(asdict(self)).encode()

    @property
    def is_of_this_kernel(self) -> bool:
        """Whether locks that it holds are seen here. A host can change its name, a boot cannot."""
        boot = _boot_id()
        return self.host == socket.gethostname() if None in (self.boot, boot) else self.boot == boot

    @property
    def has_process(self) -> bool:
        """Whether a process of this host with its number and start runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # someone else's process: it exists
        return _process_start(self.pid) == self.started


def read_owner(folder: Path) -> Owner | None:
    """Who owns a folder according to its lock file, alive or not; None when it was released."""
    try:
        return Owner.from_json((folder / layout.LOCK).read_bytes())
    except OSError:
        return None


def is_owned(folder: Path) -> bool:
    """Whether a process that may write the folder is alive. Disturbs nobody, and works in a read-only folder."""
    try:
        descriptor = os.open(folder / layout.LOCK, os.O_RDONLY)
    except PermissionError:
        return True  # a lock of somebody who lets nobody look
    except OSError:
        return False
    try:
        locked, owner = _is_locked(descriptor), Owner.from_json(os.pread(descriptor, _MOST_BYTES, 0))
        if locked or owner is None:
            return bool(locked)
        if owner.is_of_this_kernel:
            return locked is None and owner.has_process
        if not owner.token:
            return locked is None
        return _beats(descriptor, folder)
    finally:
        os.close(descriptor)


class FolderLock:
    """The exclusive right to write a folder, held from construction to `release()`."""

    def __init__(self, folder: Path, what: str = "run") -> None:
        """Take the lock at once. Raises RunError if another process owns the folder, StorageError if not writable.

        `what` is the word for what lies in the folder.
        """
        path = folder / layout.LOCK
        with storage_errors(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if not _lock(self._descriptor) or _is_alive_elsewhere(self._descriptor, folder):
                    raise RunError(_in_use(folder, what))
                self._sign()
            except BaseException:
                os.close(self._descriptor)
                raise
        _heart.add(self)

    @classmethod
    def inherit(cls, descriptor: int) -> Self:
        """The lock that the process which started this one has left to it: see `leave_to_child`."""
        lock = cls.__new__(cls)
        lock._descriptor = descriptor
        lock._sign()
        _heart.add(lock)
        return lock

    def leave_to_child(self, start: Callable[[int], None]) -> None:
        """Call `start` with the descriptor for a child process to inherit; the lock is then the child's alone."""
        _heart.remove(self)
        start(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def _sign(self) -> None:
        """Name this process as the owner."""
        self._content = Owner.this_process().to_json()
        os.pwrite(self._descriptor, self._content, 0)
        os.ftruncate(self._descriptor, len(self._content))

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
        """Give the lock back; the emptied file says that nobody owns the folder. Repeating it does nothing."""
        _heart.remove(self)
        if self._descriptor < 0:
            return
        try:
            if self._is_ours():
                os.ftruncate(self._descriptor, 0)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def beat(self) -> None:
        """Say that the owner is alive: the file's time becomes the present one of its file system."""
        # A file system that refuses a time refuses content too: the next write tells.
        with contextlib.suppress(OSError):
            if self._is_ours():
                os.utime(self._descriptor)

    def _is_ours(self) -> bool:
        return os.pread(self._descriptor, _MOST_BYTES, 0) == self._content


class _Heart:
    """One thread for all locks that this process holds."""

    def __init__(self) -> None:
        self._locks: set[FolderLock] = set()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, lock: FolderLock) -> None:
        with self._guard:
            self._locks.add(lock)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
                self._thread.start()

    def remove(self, lock: FolderLock) -> None:
        with self._guard:
            self._locks.discard(lock)

    def _run(self) -> None:
        while True:
            time.sleep(BEAT_SECONDS)
            with self._guard:  # no lock is released meanwhile
                for lock in self._locks:
                    lock.beat()


_heart = _Heart()


def _lock(descriptor: int) -> bool:
    """Take the exclusive lock; False where another writer has it. Readers that only probe are waited for."""
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
    """Whether a writer holds the lock of an open file; None where the file system does not tell."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _is_alive_elsewhere(descriptor: int, folder: Path) -> bool:
    """Whether the lock that we could take is, on a file system that hides it from us, held by a live owner."""
    owner = Owner.from_json(os.pread(descriptor, _MOST_BYTES, 0))
    return bool(owner and owner.token and not owner.is_of_this_kernel and _beats(descriptor, folder))


def _beats(descriptor: int, folder: Path) -> bool:
    """Whether an owner's heartbeat is recent. The file has just been opened, so its time is not a cached one."""
    written = os.fstat(descriptor).st_mtime
    try:
        with tempfile.TemporaryFile(dir=folder.parent) as file:
            now, late = os.fstat(file.fileno()).st_mtime, STALE_SECONDS
    except OSError:
        now, late = time.time(), _STALE_BY_OUR_CLOCK
    return abs(now - written) <= late


def _process_start(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None without /proc, and for a process that ended and awaits collection."""
    try:
        # The second field is the command in parentheses and may hold anything, also ")" and spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _boot_id() -> str | None:
    """Drawn by the kernel at its start; None where there is no such file."""
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
