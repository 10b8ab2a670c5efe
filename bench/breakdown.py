"""Which part of an epoch takes how long, and what limits the speed: parts of the torch engine, timed one by one.

    python -m bench.breakdown simplenn-aug --threads 2
    python -m bench.breakdown simplenn-aug --threads 2 --pages off      # without huge pages (engines/torch/pages.py)

Each part is timed on the real recipe, in a loop without checkpoints, hooks and output. The device is synchronised
before and after each part. Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from torch.autograd import DeviceType  # type: ignore[attr-defined]  # torch does not list it
from torch.profiler import ProfilerActivity, profile

from cnnlab import Options, Recipe
from cnnlab.engines.torch.devices import synchronise
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.launch.assemble import assemble

PARTS = ("augmentation", "forward and backward", "optimizer")
_NUM_OPERATORS = 8
_LR = 1e-3  # speed does not depend on it; a small one keeps the weights finite


def break_down(recipe: Recipe, threads: int, rounds: int) -> dict[str, Any]:
    """Assemble the recipe as `train` does and time `rounds` steps. Needs a val split. Raises CnnlabError."""
    prepared = assemble(recipe, Options(threads=threads)).prepared
    engine = prepared.engine
    assert isinstance(engine, TorchEngine)
    epochs = iter((1, 0))
    epoch_start = _second_time(engine, lambda: engine.start_epoch(next(epochs)))
    parts, whole = _time_steps(engine, rounds)
    evaluation = _second_time(engine, lambda: engine.logits("val"))
    steps, batch_size = engine.steps_per_epoch, recipe.train.batch_size
    seconds = {part: steps * value for part, value in parts.items()} | {"evaluation": evaluation}
    seconds["augmentation"] += epoch_start
    operators = _operator_shares(engine, max(1, rounds // 5))
    return {
        "recipe": recipe.name,
        "precision": prepared.execution.precision.value,
        "compiled": prepared.execution.compile.value,
        "steps_per_epoch": steps,
        # The median of each part of a step, and of a whole `train_step`.
        "milliseconds": {part: 1000 * value for part, value in parts.items()},
        "step_milliseconds": 1000 * whole,
        # What each part adds to one epoch.
        "seconds": seconds,
        "shares": {part: value / sum(seconds.values()) for part, value in seconds.items()},
        "step_images_per_second": batch_size / whole,
        # The speed if everything but forward and backward took no time.
        "bound_images_per_second": batch_size / parts["forward and backward"],
        # Of the time in forward and backward, by torch's profiler: all convolutions, and the largest operators.
        "convolution_share": sum(share for name, share in operators.items() if "convolution" in name),
        "operators": dict(list(operators.items())[:_NUM_OPERATORS]),
    }


def _now(engine: TorchEngine) -> float:
    """The time after the device has finished all its work."""
    synchronise(engine.device)
    return time.perf_counter()


def _second_time(engine: TorchEngine, action: Callable[[], object]) -> float:
    """Seconds of an action that is done twice: the first time allocates its memory."""
    action()
    start = _now(engine)
    action()
    return _now(engine) - start


def _time_steps(engine: TorchEngine, rounds: int) -> tuple[dict[str, float], float]:
    """Median seconds of each part of a step, and of a whole step.

    Whole steps alternate with steps in parts, because the speed of a machine changes within seconds.
    """
    apart: list[dict[str, float]] = []
    whole: list[float] = []
    # An incomplete last batch would seem fast.
    full_batches = len(engine.splits["train"]) // engine.recipe.train.batch_size
    for number in range(rounds):
        place = number % full_batches
        apart.append(_step_apart(engine, place))
        start = _now(engine)
        engine.train_step(place, _LR)
        whole.append(_now(engine) - start)
    warm = rounds // 10  # the first steps still allocate memory
    parts = {part: statistics.median(step[part] for step in apart[warm:]) for part in PARTS}
    return parts, statistics.median(whole[warm:])


def _step_apart(engine: TorchEngine, place: int) -> dict[str, float]:
    """The work of `train_step`, with the seconds of each part."""
    size = engine.recipe.train.batch_size
    times = [_now(engine)]
    images, targets = engine.splits["train"].gather(place * size, (place + 1) * size, engine._normalise)
    times.append(_now(engine))
    engine.backward(images, targets, place * size)
    times.append(_now(engine))
    engine.update(_LR)
    times.append(_now(engine))
    return dict(zip(PARTS, (after - before for before, after in pairwise(times)), strict=True))


def _operator_shares(engine: TorchEngine, num_steps: int) -> dict[str, float]:
    """Share of each torch operator in forward and backward of one batch, largest first."""
    on_device = engine.device.type == "cuda"
    size = engine.recipe.train.batch_size
    images, targets = engine.splits["train"].gather(0, size, engine._normalise)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    with profile(activities=activities) as profiler:
        for _ in range(num_steps):
            engine.backward(images, targets, 0)
        synchronise(engine.device)
    # On CUDA the kernels are also listed under their own names; the rows of the operators already contain them.
    rows = [event for event in profiler.key_averages() if event.device_type == DeviceType.CPU]
    times = {row.key: row.self_device_time_total if on_device else row.self_cpu_time_total for row in rows}
    total = sum(times.values())
    return {name: times[name] / total for name in sorted(times, key=lambda name: -times[name])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--pages", choices=("on", "off"), default="on")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    os.environ["CNNLAB_HUGE_PAGES"] = "1" if args.pages == "on" else "0"
    recipe = Recipe.load(args.recipe, args.overrides)
    print(json.dumps(break_down(recipe, args.threads, args.rounds)))


if __name__ == "__main__":
    main()
