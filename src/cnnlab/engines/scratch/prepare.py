"""From a recipe and its data to a from-scratch engine ready for its first step, and what the engine offers besides.

Shape legend: B images of a batch, K classes.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.shapes import Shape
from cnnlab.core.cores import processor_name
from cnnlab.core.errors import CnnlabError, MemoryExceededError
from cnnlab.engines.initial import initial_weights
from cnnlab.engines.memory import memory_available, memory_of_process
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.protocol import ExecutionOptions, Parts, Prepared, Start
from cnnlab.engines.scratch.engine import ScratchEngine
from cnnlab.engines.scratch.images import ResidentImages
from cnnlab.engines.scratch.predictor import ScratchNetwork, Teacher
from cnnlab.engines.scratch.threads import choose_threads, one_blas_thread, slow_blas_notes
from cnnlab.recipe import Recipe
from cnnlab.recipe.sections import Loss
from cnnlab.runs.environment import Choice, DeviceFacts, ExecutionFacts
from cnnlab.scratch.losses import Criterion, Targets
from cnnlab.scratch.network import Network
from cnnlab.scratch.parameters import Parameters
from cnnlab.scratch.team import Team

# Weights, gradients of the network and of each thread, at least one state of the optimizer; 4 bytes each.
_BYTES_PER_PARAMETER = 16


def prepare(
    recipe: Recipe, architecture: Architecture, parts: Parts, options: ExecutionOptions, settled: ExecutionFacts | None
) -> Prepared:
    """See `engines.protocol.EngineModule`. Raises CnnlabError, MemoryExceededError."""
    _check_options(recipe, options)
    trace = architecture.trace(parts.image_shape)
    needed, available = trace.parameters * _BYTES_PER_PARAMETER, memory_available()
    if available is not None and needed > available:
        raise MemoryExceededError(
            f"the network has {trace.parameters:,} parameters and would need {needed / 2**30:.1f} GiB to train; "
            f"{available / 2**30:.1f} GiB are free; choose a smaller architecture"
        )
    threads = choose_threads(options.threads or (settled.threads if settled else None))
    team = Team(threads)
    dtype = np.dtype(np.float32)
    splits = {name: ResidentImages(split, parts.normalisation, dtype) for name, split in parts.splits.items()}
    before = memory_of_process()
    initial = initial_weights(architecture, parts.image_shape, recipe.seed, recipe.arch.init)
    start = _start_of(architecture, initial, splits["train"], recipe)
    taught = parts.teacher
    teachers = (
        None if taught is None else [Teacher(taught, parts.image_shape, parts.normalisation) for _ in range(threads)]
    )
    engine = ScratchEngine(recipe, architecture, initial, splits, team, dtype, teachers)
    used = DeviceFacts(
        kind="cpu", name=processor_name(), memory_before_model=before, memory_after_model=memory_of_process()
    )
    execution = ExecutionFacts(
        threads=threads,
        workers=options.workers,
        precision=Choice(value="fp32", reason="the only one of this engine", milliseconds={}),
        compile=Choice(value=False, reason="this engine has nothing to compile", milliseconds={}),
    )
    return Prepared(engine, used, execution, start, slow_blas_notes())


def _check_options(recipe: Recipe, options: ExecutionOptions) -> None:
    """Raise CnnlabError for everything that this engine cannot do."""
    problems = []
    if options.device not in ("auto", "cpu"):
        problems.append(f"--device: received {options.device!r}, expected auto or cpu with --engine scratch")
    if options.compile == "on":
        problems.append("--compile: received 'on', expected auto or off with --engine scratch")
    if recipe.precision not in ("auto", "fp32"):
        problems.append(f"precision: received {recipe.precision!r}, expected auto or fp32 with --engine scratch")
    if problems:
        raise CnnlabError(*problems)


def _start_of(
    architecture: Architecture, initial: Mapping[str, NDArray[Any]], train: ResidentImages, recipe: Recipe
) -> Start:
    """The untrained network on the first stored images, as many as one pass has, in training mode.

    Of dropout, half-random masks of a fixed seed: as with torch, this is for the user to see, not for training.
    """
    shape = train.image_shape
    size = math.ceil(min(recipe.train.batch_size, len(train)) / recipe.train.accumulate)
    parameters = Parameters(architecture.trace(shape).arrays, initial)
    network = Network(architecture, shape, parameters, Team(1))
    criterion, seen = Criterion(Loss()), []

    def share(rank: int, logits_BK: Any, images: Any, start: int, stop: int) -> Any:
        seen.append(np.array(logits_BK))
        return criterion(logits_BK, Targets(train.labels_N[start:stop]))

    def masks(start: int, stop: int, path: str, units: int, p: float) -> Any:
        return np.random.default_rng(0).random((stop - start, units)) >= p

    with one_blas_thread():
        loss, _ = network.backward(train.stored, (0, size), share, masks)
    gradients = [g for g in network.gradients.by_name.values() if g.ndim > 1]
    first, last = (
        (float(np.sqrt(np.square(g).mean())) for g in (gradients[0], gradients[-1])) if gradients else (0.0, 0.0)
    )
    return Start(loss, float(seen[0].std(axis=0).mean()), (first, last))


def network(
    architecture: Architecture,
    image_shape: Shape,
    normalisation: Normalisation,
    weights: Mapping[str, NDArray[Any]],
    device: str = "cpu",
) -> ScratchNetwork:
    """See `engines.protocol.EngineModule`."""
    return ScratchNetwork(architecture, image_shape, normalisation, weights, Team(1))


def free_memory(device: str) -> tuple[str, int | None]:
    """See `engines.protocol.EngineModule`."""
    if device not in ("auto", "cpu"):
        raise CnnlabError(f"--device: received {device!r}, expected auto or cpu with --engine scratch")
    return "cpu", memory_available()


def release() -> None:
    """See `engines.protocol.EngineModule`: NumPy's arrays are freed with their engine."""
