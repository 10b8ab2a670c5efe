"""Memory: the most that this process has used, and how a refused allocation is recognised."""

import resource
import sys


def peak_memory() -> int:
    """The most bytes of memory that this process has used so far."""
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2) counts in other units there
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or a device refused an allocation: by name, because each framework has its own error."""
    is_named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_named or "DefaultCPUAllocator" in str(error)
