"""Where the time of an epoch goes, and what bounds the speed: the torch engine's own parts, timed one by one.

    python -m bench.breakdown simplenn-aug --threads 2
    python -m bench.breakdown simplenn-aug --threads 2 --pages off      # without huge pages (engines/torch/pages.py)

Each part is timed on the real recipe, the device synchronised before and after it, in a loop without
checkpoints, hooks and output. Prints one JSON object.
"""

import argparse
import json
import os
import statistics
import time
from dataclasses import asdict, dataclass
from itertools import pairwise

from torch.autograd import DeviceType  # type: ignore[attr-defined]  # torch does not list it
from torch.profiler import ProfilerActivity, profile

from cnnlab import Options, Recipe
from cnnlab.engines.torch.devices import synchronise
from cnnlab.engines.torch.engine import TorchEngine
from cnnlab.launch.assemble import assemble

PARTS = ("augmentation", "forward and backward", "optimizer")
_NUM_OPERATORS = 8
_LR = 1e-3  # speed does not depend on it; a small one keeps the weights finite


@dataclass(frozen=True)
class Breakdown:
    """One recipe's epoch taken apart.

    `milliseconds`: median of each part per step; `step_milliseconds`: of a whole `train_step`.
    `seconds`: what each part adds to one epoch; `shares`: the same as shares of the epoch.
    `bound_images_per_second`: the speed if all but forward and backward were free.
    `operators`: the largest shares of the time in forward and backward, by torch's own profiler;
    `convolution_share`: all convolution operators in it together.
    """

    recipe: str
    precision: str
    compiled: bool
    steps_per_epoch: int
    milliseconds: dict[str, float]
    step_milliseconds: float
    seconds: dict[str, float]
    shares: dict[str, float]
    step_images_per_second: float
    bound_images_per_second: float
    convolution_share: float
    operators: dict[str, float]


def break_down(recipe: Recipe, threads: int, rounds: int) -> Breakdown:
    """Assemble the recipe as `train` does and time `rounds` steps. Needs a val split. Raises CnnlabError."""
    prepared = assemble(recipe, Options(threads=threads)).prepared
    engine = prepared.engine
    assert isinstance(engine, TorchEngine)
    epoch_start = _start_epoch(engine)
    parts, whole = _time_steps(engine, rounds)
    evaluation = _evaluate(engine)
    steps, batch_size = engine.steps_per_epoch, recipe.train.batch_size
    seconds = {
        "augmentation": epoch_start + steps * parts["augmentation"],
        "forward and backward": steps * parts["forward and backward"],
        "optimizer": steps * parts["optimizer"],
        "evaluation": evaluation,
    }
    operators = _operator_shares(engine, max(1, rounds // 5))
    return Breakdown(
        recipe=recipe.name,
        precision=prepared.execution.precision.value,
        compiled=prepared.execution.compile.value,
        steps_per_epoch=steps,
        milliseconds={part: 1000 * value for part, value in parts.items()},
        step_milliseconds=1000 * whole,
        seconds=seconds,
        shares={part: value / sum(seconds.values()) for part, value in seconds.items()},
        step_images_per_second=batch_size / whole,
        bound_images_per_second=batch_size / parts["forward and backward"],
        convolution_share=sum(share for name, share in operators.items() if "convolution" in name),
        operators=dict(list(operators.items())[:_NUM_OPERATORS]),
    )


def _now(engine: TorchEngine) -> float:
    """The time when the device has done all it was asked for."""
    synchronise(engine.device)
    return time.perf_counter()


def _start_epoch(engine: TorchEngine) -> float:
    """Seconds to draw order and augmentation of one epoch, the second one: the first finds its memory."""
    engine.start_epoch(1)
    start = _now(engine)
    engine.start_epoch(0)
    return _now(engine) - start


def _evaluate(engine: TorchEngine) -> float:
    """Seconds of one evaluation on val, the second one likewise."""
    engine.logits("val")
    start = _now(engine)
    engine.logits("val")
    return _now(engine) - start


def _time_steps(engine: TorchEngine, rounds: int) -> tuple[dict[str, float], float]:
    """Median seconds of each part of a step, and of a whole step.

    Whole steps alternate with those taken apart: the speed of a machine drifts within seconds.
    """
    apart: list[dict[str, float]] = []
    whole: list[float] = []
    # An incomplete last batch would count as a fast one.
    full_batches = len(engine.splits["train"]) // engine.recipe.train.batch_size
    for number in range(rounds):
        place = number % full_batches
        apart.append(_step_apart(engine, place))
        start = _now(engine)
        engine.train_step(place, _LR)
        whole.append(_now(engine) - start)
    warm = rounds // 10  # in the first steps memory is still being found
    parts = {part: statistics.median(step[part] for step in apart[warm:]) for part in PARTS}
    return parts, statistics.median(whole[warm:])


def _step_apart(engine: TorchEngine, place: int) -> dict[str, float]:
    """What `train_step` does, with the seconds of each part."""
    size = engine.recipe.train.batch_size
    times = [_now(engine)]
    images, targets = engine.splits["train"].gather(place * size, (place + 1) * size, engine._normalise)
    times.append(_now(engine))
    engine.backward(images, targets, place)
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
        for step in range(num_steps):
            engine.backward(images, targets, step)
        synchronise(engine.device)
    # On CUDA the kernels are listed once more under their own names; the operators' rows hold them already.
    rows = [event for event in profiler.key_averages() if event.device_type == DeviceType.CPU]
    times = {row.key: row.self_device_time_total if on_device else row.self_cpu_time_total for row in rows}
    total = sum(times.values())
    return {name: times[name] / total for name in sorted(times, key=lambda name: -times[name])}


def main() -> None:
    """Print the breakdown of the recipe of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--pages", choices=("on", "off"), default="on")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    os.environ["CNNLAB_HUGE_PAGES"] = "1" if args.pages == "on" else "0"
    recipe = Recipe.load(args.recipe, args.overrides)
    print(json.dumps(asdict(break_down(recipe, args.threads, args.rounds))))


if __name__ == "__main__":
    main()
