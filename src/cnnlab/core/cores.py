"""The processor: its name, and the cores that this process may use."""

import os
import platform
from pathlib import Path


def usable_cores() -> list[int]:
    """Numbers of these cores: in containers and batch jobs fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def processor_name() -> str:
    """Name of the processor as its vendor writes it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
