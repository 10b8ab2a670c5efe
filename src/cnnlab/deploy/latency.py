"""The time for one image: a batch of one, timed call by call, by several backends of the same network.

The pixels are already on the network's device: reading, decoding and copying an image are not timed. Each call is timed
with a monotonic clock, read after the device has finished. The first calls (compilation, caches, memory pools,
processor clock) are warm-up and not counted.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from cnnlab.arch import Architecture
from cnnlab.arch.shapes import Shape, show_shape
from cnnlab.core.errors import ArchitectureError, CnnlabError
from cnnlab.core.numbers import count
from cnnlab.core.seeding import derive_generator
from cnnlab.core.suggest import did_you_mean
from cnnlab.core.tables import table_lines
from cnnlab.data import decode_image
from cnnlab.deploy.backends import BACKENDS, NotRunnableError, Setting, eager
from cnnlab.deploy.export import FromPixels
from cnnlab.deploy.predictor import Predictor
from cnnlab.engines.initial import initial_weights
from cnnlab.engines.normalisation import Normalisation
from cnnlab.engines.torch.devices import choose_device, choose_threads, device_name, synchronise

WARMUP, ITERATIONS = 20, 500
_MOST_CALLS = 100_000

TOLERANCE = 1e-3
"""Largest difference / largest logit: more than for an export, because a GPU may multiply in TF32."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call, over `iterations` calls; `deviation` is the standard deviation between calls."""

    iterations: int
    mean: float
    median: float
    p95: float
    p99: float
    minimum: float
    deviation: float


@dataclass(frozen=True)
class Backend:
    """One backend. Without `timing`, `problem` is the cause.

    `difference` is the largest between its logits and the eager ones on the same image; it `agrees` within `TOLERANCE`.
    """

    name: str
    device: str
    timing: Timing | None = None
    difference: float | None = None
    agrees: bool | None = None
    problem: str = ""


@dataclass(frozen=True)
class Latency:
    """All backends of one network, and the conditions. `devices` are the full names of their devices."""

    architecture: str
    input_shape: tuple[int, int, int]
    warmup: int
    iterations: int
    threads: int
    devices: Mapping[str, str]
    backends: tuple[Backend, ...]


def time_calls(
    call: Callable[[], object],
    warmup: int,
    iterations: int,
    synchronise: Callable[[], None] = lambda: None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Timing:
    """Time `call`, after `warmup` calls that are not counted. `clock` returns nanoseconds.

    Percentiles are interpolated between calls; the deviation has n - 1 in its denominator.
    """
    for _ in range(warmup):
        call()
    synchronise()
    nanoseconds = []
    for _ in range(iterations):
        start = clock()
        call()
        synchronise()
        nanoseconds.append(clock() - start)
    milliseconds = np.array(nanoseconds) / 1e6
    median, p95, p99 = np.percentile(milliseconds, (50, 95, 99)).tolist()
    mean, deviation = float(milliseconds.mean()), float(milliseconds.std(ddof=1))
    return Timing(iterations, mean, median, p95, p99, float(milliseconds.min()), deviation)


def measure_latency(
    predictor: Predictor,
    image: Path | None = None,
    *,
    warmup: int = WARMUP,
    iterations: int = ITERATIONS,
    threads: int | None = None,
    device: str = "auto",
    backends: Sequence[str] = tuple(BACKENDS),
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Latency:
    """Time the network on one image (default: a seeded random one) with each of `backends`.

    `threads` (default: all cores) apply to torch and onnxruntime, only during the measurement. A backend that is not
    installed or fails has a row with the cause. Raises CnnlabError with all bad values, ImageError.
    """
    check_timing(warmup, iterations, threads, backends)
    target = choose_device(device)
    pixels_1CHW = _pixels(predictor.image_shape, image)
    threads_before = torch.get_num_threads()
    chosen = choose_threads(threads)
    try:
        with torch.inference_mode():
            setting = Setting(predictor, FromPixels(predictor).to(target), pixels_1CHW, target, chosen)
            expected_1K = eager(setting).logits()
            timed = partial(time_calls, warmup=warmup, iterations=iterations, clock=clock)
            rows = tuple(_measure(name, setting, expected_1K, timed) for name in backends)
    finally:
        torch.set_num_threads(threads_before)
    devices = {row.device: device_name(torch.device(row.device)) for row in rows if row.device}
    return Latency(str(predictor.architecture), predictor.image_shape, warmup, iterations, chosen, devices, rows)


def _measure(name: str, setting: Setting, expected_1K: NDArray[np.float32], timed: Callable[..., Timing]) -> Backend:
    """One backend, checked against the eager logits before it is timed."""
    try:
        runner = BACKENDS[name](setting)
        logits_1K = runner.logits()
    except NotRunnableError as error:
        return Backend(name, "", problem=str(error))
    timing = timed(runner.call, synchronise=lambda: synchronise(runner.device))
    if name == "eager":
        return Backend(name, str(runner.device), timing)
    difference = float(np.abs(logits_1K - expected_1K).max())
    agrees = difference <= TOLERANCE * max(1.0, float(np.abs(expected_1K).max()))
    return Backend(name, str(runner.device), timing, difference, agrees)


def untrained(architecture: Architecture, input_shape: Shape) -> Predictor:
    """A network of that architecture with initial weights, as fast as a trained one.

    Raises ArchitectureError if it does not make logits from an image of `input_shape`, (channels, height, width).
    """
    output_shape = architecture.trace(input_shape).output_shape
    if len(input_shape) != 3 or len(output_shape) != 1:
        raise ArchitectureError(
            f"received an architecture from {show_shape(input_shape)} to {show_shape(output_shape)}, expected one "
            "from an image to logits; end it with 'flatten' or 'gap', and 'linear'"
        )
    channels, height, width = input_shape
    normalisation = Normalisation((0.5,) * channels, (0.25,) * channels)
    classes = [str(index) for index in range(output_shape[0])]
    weights = initial_weights(architecture, input_shape, seed=0)
    return Predictor(architecture, classes, normalisation, (channels, height, width), weights)


def latency_table(measured: Mapping[str, Latency]) -> str:
    """A table of all networks as text: milliseconds, agreement with eager, and problems."""
    columns = ("network", "backend", "device", "mean", "median", "p95", "p99", "min", "std", "logits off by")
    pairs = [(name, latency, row) for name, latency in measured.items() for row in latency.backends]
    lines = table_lines(columns, [_cells(name, row) for name, _, row in pairs], words=3)
    setups = dict.fromkeys(
        f"Milliseconds for one image: {latency.iterations:,} calls after {latency.warmup:,} of warm-up, "
        f"{count(latency.threads, 'thread')}."
        for latency in measured.values()
    )
    devices = dict.fromkeys(f"{short}: {full}" for _, latency, _ in pairs for short, full in latency.devices.items())
    return "\n".join([*lines, "", *setups, *devices, *problems(measured)])


def problems(measured: Mapping[str, Latency]) -> list[str]:
    """A line for every backend that could not be run, or whose logits differ from the eager ones."""
    pairs = [(name, row) for name, latency in measured.items() for row in latency.backends]
    failed = [f"{name}, {row.name}: {row.problem}" for name, row in pairs if row.problem]
    differ = [
        f"{name}, {row.name}: its logits are {row.difference:.2g} off the eager ones; do not use it"
        for name, row in pairs
        if row.agrees is False
    ]
    return failed + differ


def _cells(network: str, row: Backend) -> tuple[str, ...]:
    if row.timing is None:
        return (network, row.name, row.device, *[""] * 6, "failed")
    t = row.timing
    numbers = (f"{value:.3f}" for value in (t.mean, t.median, t.p95, t.p99, t.minimum, t.deviation))
    parity = "" if row.difference is None else f"{row.difference:.1e}" + ("" if row.agrees else " DIFFERS")
    return (network, row.name, row.device, *numbers, parity)


def check_timing(
    warmup: int, iterations: int, threads: int | None = None, backends: Sequence[str] = tuple(BACKENDS)
) -> None:
    """Raises CnnlabError with every value that `measure_latency` does not accept."""
    ranges = (("warmup", warmup, 1), ("iterations", iterations, 10))
    found = [
        f"{name}: received {value:,}, expected {low:,} to {_MOST_CALLS:,}"
        for name, value, low in ranges
        if not low <= value <= _MOST_CALLS
    ]
    if threads is not None and threads < 1:
        found.append(f"threads: received {threads}, expected at least 1")
    if not backends:
        found.append(f"backends: received none, expected some of {', '.join(BACKENDS)}")
    unknown = [name for name in backends if name not in BACKENDS]
    found += [f"backend: unknown {name!r}{did_you_mean(name, BACKENDS)}" for name in unknown]
    if found:
        raise CnnlabError(*found)


def _pixels(image_shape: tuple[int, int, int], image: Path | None) -> NDArray[np.float32]:
    """One image, 1 x C x H x W, pixels 0..1. Raises ImageError."""
    channels, height, width = image_shape
    if image is None:
        random = derive_generator(0, "latency")
        pixels_HWC = random.integers(0, 256, (height, width, channels), dtype=np.uint8)
    else:
        pixels_HWC = decode_image(image, (height, width), channels)
    return np.ascontiguousarray(pixels_HWC.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255)
