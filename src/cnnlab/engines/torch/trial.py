"""Checks before the first step: is the network correct, can it learn, and how does it run fastest here?

Each trial uses the first training batch. The network has afterwards the state that it had before.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from cnnlab.arch.trace import Trace
from cnnlab.core.errors import ArchitectureError
from cnnlab.engines.protocol import Start
from cnnlab.engines.torch.devices import DTYPES, synchronise
from cnnlab.runs.environment import Choice, Precision

_WARM_STEPS, _TIMED_STEPS = 1, 3
_ROUNDS = 2
# A first step that takes this many seconds is measurement enough: of a large network, trials would take minutes.
_LONG_STEP = 2.0
# Compiling takes about half a minute: too long for shorter trainings.
_SHORTEST_TRAINING_TO_COMPILE = 15 * 60.0
# A compiled step must take at most this share of an eager one: smaller gains are within the noise of two trials.
_WORTHWHILE = 0.9
# Only a format that is this much faster replaces the preferred one. With two formats of nearly equal speed, noise would
# decide: runs of one recipe on one machine would use different formats and could not be compared bit by bit.
_CLEARLY_FASTER = 1.5


def check_model(model: nn.Module, trace: Trace, images: torch.Tensor) -> None:
    """Shape check with a dummy batch and parameter count, against the architecture's own. Raises ArchitectureError."""
    counted = sum(p.numel() for p in model.parameters())
    if counted != trace.parameters:
        raise ArchitectureError(f"the network has {counted:,} parameters, its architecture counts {trace.parameters:,}")
    with torch.no_grad(), _unchanged(model):
        shape = tuple(model(torch.zeros_like(images[:2], dtype=torch.float32)).shape[1:])
    if shape != trace.output_shape:
        raise ArchitectureError(f"the network gives {shape} for one image, its architecture {trace.output_shape}")


def start_of(model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> Start:
    """Loss, spread and gradients of the untrained network on one batch, in training mode as in the first step."""
    with _unchanged(model.train()):
        with torch.random.fork_rng(devices=[images.device] if images.is_cuda else []):
            torch.manual_seed(0)  # dropout, if there is any
            logits_BK = model(images.float())
        loss = F.cross_entropy(logits_BK, labels)
        torch.autograd.backward(loss)
        spread = float(logits_BK.detach().std(0, correction=0).mean())
        weights = [p.grad for p in model.parameters() if p.ndim > 1 and p.grad is not None]
        first, last = (float(g.square().mean().sqrt()) for g in (weights[0], weights[-1])) if weights else (0.0, 0.0)
        return Start(loss.item(), spread, (first, last))


def choose_precision(
    requested: Precision | Literal["auto"],
    candidates: Sequence[Precision],
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> Choice[Precision]:
    """The recipe's number format; for `auto` the first candidate, or a much faster one on this machine.

    The formats are measured in turns, so that a busy moment of the machine affects all of them.
    """
    if requested != "auto":
        return Choice(value=requested, reason="set by the recipe", milliseconds={})
    preferred = candidates[0]
    if len(candidates) == 1:
        return Choice(value=preferred, reason="the only fast one on this device", milliseconds={})
    rounds: list[dict[Precision, float]] = []
    while len(rounds) < _ROUNDS and not (rounds and max(rounds[0].values()) > 1000 * _LONG_STEP):
        rounds.append({p: _milliseconds(model, images, labels, p) for p in candidates})
    measured: dict[str, float] = {p: min(times[p] for times in rounds) for p in candidates}
    fastest = min(candidates, key=lambda p: measured[p])
    chosen, reason = fastest, f"{preferred} is more than {_CLEARLY_FASTER} times slower here"
    if measured[preferred] <= _CLEARLY_FASTER * measured[fastest]:
        chosen, reason = preferred, "native on this device, and not clearly slower"
    return Choice(value=chosen, reason=reason, milliseconds=measured)


def choose_compile(
    requested: str, precision: Precision, model: nn.Module, images: torch.Tensor, labels: torch.Tensor, total_steps: int
) -> Choice[bool]:
    """Whether to use `torch.compile`; for `auto`, whether it saves more time over the training than it takes."""
    if requested != "auto":
        return Choice(value=requested == "on", reason="set by --compile", milliseconds={})
    eager = _milliseconds(model, images, labels, precision)
    expected_seconds = eager * total_steps / 1000
    if expected_seconds < _SHORTEST_TRAINING_TO_COMPILE:
        reason = f"the whole training takes about {expected_seconds:.0f} s"
        return Choice(value=False, reason=reason, milliseconds={"eager": eager})
    start = time.perf_counter()
    try:
        compiled = _milliseconds(model, images, labels, precision, compiled=True)
    except Exception as error:  # the compiler raises many kinds; each of them means: do not compile here
        reason = f"torch.compile failed: {type(error).__name__}"
        return Choice(value=False, reason=reason, milliseconds={"eager": eager})
    cost = time.perf_counter() - start
    # Measured again after the long compilation: the load of the machine may have changed.
    eager = min(eager, _milliseconds(model, images, labels, precision))
    saved = (eager - compiled) * total_steps / 1000
    return Choice(
        value=compiled < _WORTHWHILE * eager and saved > cost,
        reason=f"compiling took {cost:.0f} s and would save {saved:.0f} s",
        milliseconds={"eager": eager, "compiled": compiled},
    )


def _milliseconds(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, precision: Precision, compiled: bool = False
) -> float:
    """Fastest of a few forward and backward passes of `model`."""
    device = images.device
    forward = torch.compile(model) if compiled else model
    images = images.to(DTYPES[precision])
    times = []
    with _unchanged(model):
        for step in range(_WARM_STEPS + _TIMED_STEPS):
            synchronise(device)
            start = time.perf_counter()
            with torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32"):
                logits = forward(images)
            torch.autograd.backward(F.cross_entropy(logits.float(), labels))
            synchronise(device)
            seconds = time.perf_counter() - start
            if step >= _WARM_STEPS or seconds > _LONG_STEP:
                times.append(1000 * seconds)
            if seconds > _LONG_STEP:
                break
    return min(times)


@contextmanager
def _unchanged(model: nn.Module) -> Iterator[None]:
    """Afterwards the network has its buffers again, and no gradients. A copy of it would need its memory twice."""
    kept = [(buffer, buffer.clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, value in kept:
            buffer.copy_(value)
        model.zero_grad(set_to_none=True)
