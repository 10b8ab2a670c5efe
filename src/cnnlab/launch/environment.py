"""The environment that a run records: data, machine, versions, choices, and a hash of the code."""

import hashlib
import os
import platform
import socket
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import cnnlab
from cnnlab.arch.trace import Trace
from cnnlab.compare.comparable import BITWISE
from cnnlab.core.cores import processor_name
from cnnlab.data import NAMED_SOURCES, Dataset
from cnnlab.engines.protocol import Parts, Prepared
from cnnlab.launch.options import Options
from cnnlab.recipe import Recipe
from cnnlab.runs.environment import ArchitectureFacts, DataFacts, Environment, MachineFacts, now

_LIBRARIES = ("torch", "numpy", "pillow", "pyarrow", "safetensors", "pydantic")


def describe(
    recipe: Recipe,
    options: Options,
    dataset: Dataset,
    parts: Parts,
    trace: Trace,
    prepared: Prepared,
    architecture: str,
) -> Environment:
    """The environment of a training that is about to begin."""
    named = dataset.name in NAMED_SOURCES
    return Environment(
        recipe_hash=recipe.hash,
        created=now(),
        command=(Path(sys.argv[0]).name, *sys.argv[1:]),
        cnnlab=cnnlab.__version__,
        code_sha256=code_hash(),
        engine=options.engine,
        teacher=None if parts.teacher is None else parts.teacher.digest,
        initial_loss=prepared.start.loss,
        initial_spread=prepared.start.spread,
        initial_gradients=prepared.start.gradients,
        data=DataFacts(
            name=dataset.name,
            digest=dataset.digest,
            classes=dataset.classes,
            image_shape=dataset.image_shape,
            location=dataset.location if named else str(Path(dataset.location).absolute()),
            images={name: len(split) for name, split in parts.splits.items()},
            mean=parts.normalisation.mean,
            std=parts.normalisation.std,
            seconds_to_load=dataset.seconds_to_load,
        ),
        device=prepared.device,
        execution=prepared.execution,
        architecture=ArchitectureFacts(text=architecture, parameters=trace.parameters, macs=trace.macs),
        machine=MachineFacts(
            host=socket.gethostname(),
            cpu=processor_name(),
            cores=os.cpu_count(),
            platform=platform.platform(),
            python=platform.python_version(),
            versions={name: metadata.version(name) for name in _LIBRARIES},
        ),
    )


@cache
def code_hash() -> str:
    """SHA-256 over every Python file of the package, by relative path: equal hash, equal program.

    Computed once: a long process runs the files that it has loaded, also when they have changed since.
    """
    package = Path(cnnlab.__file__).parent
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def not_bitwise(before: Environment, now: Environment) -> str | None:
    """Why a resumed run may differ in the last bits from an uninterrupted one; None where it does not."""
    read = [(fact.name, fact.read(before), fact.read(now)) for fact in BITWISE]
    changed = [f"{name} {first}, now {second}" for name, first, second in read if first != second]
    if not changed:
        return None
    return "resumed under other conditions, so not bitwise as if never stopped: " + "; ".join(changed)
