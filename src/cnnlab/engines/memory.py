"""Memory of this machine and process, and how a refused allocation is recognised."""

import os
import resource
import sys
from pathlib import Path


def peak_memory() -> int:
    """The most bytes of memory that this process has used so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts in other units there
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_of_process() -> int:
    """Bytes that this process uses now; where the system does not report them, the most so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak_memory()


def memory_available() -> int | None:
    """Free bytes of the machine; None where the system does not report them."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or a device refused an allocation: by name, because each framework has its own error."""
    is_named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_named or "DefaultCPUAllocator" in str(error)
