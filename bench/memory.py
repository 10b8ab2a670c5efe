"""Peak memory of a program with all its worker processes, measured from outside.

The measure is PSS: a process's own pages plus its part of the shared ones. The sum over a process group counts every
page once, also pages that forked data loaders share with their parent. PSS can only be sampled, so a short peak may be
missed. The highest resident size of a single process, which the kernel records, is used where it is larger.
"""

import re
import threading
import time
from pathlib import Path

_PROC = Path("/proc")
_SHORTEST_PAUSE = 0.2
# Reading PSS walks every page table and stops the program meanwhile: at most 2% of the time.
_PAUSE_PER_COST = 50


class MemoryWatch(threading.Thread):
    """Samples a process group from `start()` to `stop()`."""

    def __init__(self, process_group: int) -> None:
        super().__init__(daemon=True)
        self._process_group = process_group
        self._ended = threading.Event()
        self._peak = 0

    def run(self) -> None:
        """Sample until stopped; called by `start()`."""
        pause = 0.0
        while not self._ended.wait(pause):
            start = time.perf_counter()
            processes = _group_members(self._process_group)
            shared_out = sum(_kilobytes(process / "smaps_rollup", "Pss") for process in processes)
            highest = max((_kilobytes(process / "status", "VmHWM") for process in processes), default=0)
            self._peak = max(self._peak, 1024 * max(shared_out, highest))
            pause = max(_SHORTEST_PAUSE, _PAUSE_PER_COST * (time.perf_counter() - start))

    def stop(self) -> int | None:
        """Bytes of the highest sample; None on systems without /proc."""
        self._ended.set()
        self.join()
        return self._peak or None


def _group_members(process_group: int) -> list[Path]:
    members = []
    for process in _PROC.glob("[0-9]*"):
        # "pid (name) state parent group ..."; the name may contain spaces and brackets.
        fields = _read(process / "stat").rpartition(")")[2].split()
        if len(fields) > 2 and int(fields[2]) == process_group:
            members.append(process)
    return members


def _kilobytes(file: Path, key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB", _read(file), re.MULTILINE)
    return int(found[1]) if found else 0


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # the process has ended since it was listed
        return ""
