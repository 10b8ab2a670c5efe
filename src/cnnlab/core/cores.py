"""The processor's cores that this process may use."""

import os


def usable_cores() -> list[int]:
    """Their numbers; in containers and batch jobs they are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
