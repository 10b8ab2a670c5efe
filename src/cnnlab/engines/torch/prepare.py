"""From a recipe and its data to a torch engine ready for its first step, and how it will execute."""

import math

import torch

from cnnlab.arch import Architecture
from cnnlab.arch.trace import Trace
from cnnlab.core.errors import MemoryExceededError
from cnnlab.engines.protocol import ExecutionOptions, Parts, Prepared
from cnnlab.engines.torch import devices, trial
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.engines.torch.fast import fast
from cnnlab.engines.torch.network import initialised
from cnnlab.engines.torch.pages import prepare_heap
from cnnlab.engines.torch.resident import Normaliser, ResidentSplit
from cnnlab.engines.torch.teacher import Teacher
from cnnlab.recipe import Recipe
from cnnlab.runs.environment import DeviceFacts, ExecutionFacts

# Weights, gradients, at least one state of the optimizer, and as much again for working memory; 4 bytes each.
_BYTES_PER_PARAMETER = 16


def prepare(
    recipe: Recipe, architecture: Architecture, parts: Parts, options: ExecutionOptions, settled: ExecutionFacts | None
) -> Prepared:
    """See `engines.protocol.EngineModule`. Raises CnnlabError, MemoryExceededError."""
    prepare_heap()
    device = devices.choose_device(options.device)
    threads = devices.choose_threads(options.threads or (settled.threads if settled else None))
    trace = architecture.trace(parts.image_shape)
    _check_memory(trace, device)
    splits = {name: ResidentSplit(split, device) for name, split in parts.splits.items()}
    before = devices.memory_in_use(device)
    model = initialised(architecture, parts.image_shape, recipe.seed, recipe.arch.init).to(device)
    devices.synchronise(device)
    after = devices.memory_in_use(device)
    batch = _first_batch(recipe, splits["train"], parts)
    trial.check_model(model, trace, batch[0])
    start = trial.start_of(model, *batch)
    if settled:
        precision, compiled = settled.precision, settled.compile
    else:
        steps = recipe.train.total_steps(recipe.train.steps_per_epoch(len(splits["train"])))
        passes = steps * recipe.train.accumulate * (2 if recipe.optim.sam else 1)
        runnable = fast(model, architecture.layers, parts.image_shape)
        candidates = devices.supported_precisions(device)
        precision = trial.choose_precision(recipe.precision, candidates, runnable, *batch)
        compiled = trial.choose_compile(options.compile, precision.value, runnable, *batch, passes)
    taught = parts.teacher
    teacher = None if taught is None else Teacher(taught, parts.image_shape, parts.normalisation, device)
    engine = TorchEngine(
        recipe, architecture, model, splits, parts.normalisation, precision.value, compiled.value, teacher
    )
    name = devices.device_name(device)
    used = DeviceFacts(kind=device.type, name=name, memory_before_model=before, memory_after_model=after)
    execution = ExecutionFacts(threads=threads, workers=options.workers, precision=precision, compile=compiled)
    return Prepared(engine, used, execution, start)


def _check_memory(trace: Trace, device: torch.device) -> None:
    """Whether the device can store the weights and what training needs for them. Raises MemoryExceededError."""
    needed, available = trace.parameters * _BYTES_PER_PARAMETER, devices.memory_available(device)
    if available is not None and needed > available:
        raise MemoryExceededError(
            f"the network has {trace.parameters:,} parameters and would need {needed / 2**30:.1f} GiB to train; "
            f"{available / 2**30:.1f} GiB are free; choose a smaller architecture"
        )


def _first_batch(recipe: Recipe, train: ResidentSplit, parts: Parts) -> tuple[torch.Tensor, torch.Tensor]:
    """The first stored images of train, as many as one pass has, normalised, float32: only for trials."""
    size = math.ceil(min(recipe.train.batch_size, len(train)) / recipe.train.accumulate)
    normalise = Normaliser(parts.normalisation, train.height, train.width, torch.float32, train.labels.device)
    return normalise(train.stored(0, size)), train.labels[:size]
