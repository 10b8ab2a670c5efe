"""What a run should remember of the machine, the versions and the code that made it."""

import hashlib
import os
import platform
import socket
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import cnnlab
from cnnlab.compare.comparable import BITWISE
from cnnlab.core.cores import processor_name
from cnnlab.runs.environment import Environment

_LIBRARIES = ("torch", "numpy", "pillow", "pyarrow", "safetensors", "pydantic")


def describe_machine() -> dict[str, Any]:
    """Operating system, Python, library versions, command line and a hash of cnnlab's own source."""
    return {
        "cnnlab": cnnlab.__version__,
        "code_sha256": code_hash(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "machine": {
            "host": socket.gethostname(),
            "cpu": processor_name(),
            "cores": os.cpu_count(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "versions": {name: metadata.version(name) for name in _LIBRARIES},
        },
    }


@cache
def code_hash() -> str:
    """SHA-256 over every Python file of the package, by relative path: equal hash, equal program.

    Read once: a process that lives on runs the files that it has loaded, not what they are changed to.
    """
    package = Path(cnnlab.__file__).parent
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def not_bitwise(before: Environment, now: Environment) -> str | None:
    """Why a resumed run may differ in the last bits from an uninterrupted one; None where it will not."""
    read = [(fact.name, fact.read(before), fact.read(now)) for fact in BITWISE]
    changed = [f"{name} {first}, now {second}" for name, first, second in read if first != second]
    if not changed:
        return None
    return "resumed under other conditions, so not bitwise as if never stopped: " + "; ".join(changed)
