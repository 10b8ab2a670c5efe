"""Before the first step: is the network what its architecture says, and what is the fastest way to run it here?

Everything is tried on copies of the network, with the first training batch; the network itself is left untouched.
"""

import copy
import time
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from cnnlab.arch.trace import Trace
from cnnlab.core.errors import ArchitectureError
from cnnlab.engines.execution import Choice, Precision
from cnnlab.engines.protocol import Start
from cnnlab.engines.torch.devices import DTYPES, synchronise

_WARM_STEPS, _TIMED_STEPS = 1, 3
_ROUNDS = 2
# Compiling takes about half a minute; below this much training it cannot pay.
_SHORTEST_TRAINING_TO_COMPILE = 15 * 60.0
# A step must get this much shorter before a compiled one is preferred: less is within what two trials differ by.
_WORTHWHILE = 0.9
# The preferred number format is given up only where another is this much faster. A close race decided by the clock
# would train one recipe in two formats on one machine, and its runs could not be compared bit by bit.
_CLEARLY_FASTER = 1.5


def check_model(model: nn.Module, trace: Trace, images: torch.Tensor) -> None:
    """Shape check with a dummy batch and parameter count, against the architecture's own. Raises ArchitectureError."""
    counted = sum(p.numel() for p in model.parameters())
    if counted != trace.parameters:
        raise ArchitectureError(
            f"the network has {counted:,} parameters, its architecture counts {trace.parameters:,}"
        )
    with torch.no_grad():
        shape = tuple(copy.deepcopy(model)(torch.zeros_like(images[:2], dtype=torch.float32)).shape[1:])
    if shape != trace.output_shape:
        raise ArchitectureError(
            f"the network gives {shape} for one image, its architecture {trace.output_shape}"
        )


def start_of(model: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> Start:
    """How the untrained network answers one batch, in training mode as the first step sees it."""
    model = copy.deepcopy(model).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # dropout, if there is any
        logits_BK = model(images.float())
    loss = F.cross_entropy(logits_BK, labels)
    torch.autograd.backward(loss)
    spread = float(logits_BK.detach().std(0, correction=0).mean())
    weights = [p.grad for p in model.parameters() if p.ndim > 1 and p.grad is not None]
    first, last = (
        (float(g.square().mean().sqrt()) for g in (weights[0], weights[-1])) if weights else (0.0, 0.0)
    )
    return Start(loss.item(), spread, (first, last))


def choose_precision(
    requested: str,
    candidates: Sequence[Precision],
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> Choice:
    """The first of `candidates`, the preferred format, unless another is clearly faster here; or what the recipe says.

    The formats take their measured steps in turns, so that a busy moment of the machine falls on all of them.
    """
    if requested != "auto":
        return Choice(requested, "set by the recipe")
    preferred = candidates[0]
    if len(candidates) == 1:
        return Choice(preferred, "the only fast one on this device")
    rounds = [{p: _milliseconds(model, images, labels, p) for p in candidates} for _ in range(_ROUNDS)]
    measured: dict[str, float] = {p: min(times[p] for times in rounds) for p in candidates}
    fastest = min(candidates, key=lambda p: measured[p])
    if measured[preferred] > _CLEARLY_FASTER * measured[fastest]:
        return Choice(fastest, f"{preferred} is more than {_CLEARLY_FASTER} times slower here", measured)
    return Choice(preferred, "native on this device, and not clearly slower", measured)


def choose_compile(
    requested: str,
    precision: Precision,
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    total_steps: int,
) -> Choice:
    """Whether `torch.compile` saves more time over the whole training than it costs. `on` and `off` are obeyed."""
    if requested != "auto":
        return Choice(requested == "on", "set by --compile")
    eager = _milliseconds(model, images, labels, precision)
    expected_seconds = eager * total_steps / 1000
    if expected_seconds < _SHORTEST_TRAINING_TO_COMPILE:
        return Choice(False, f"the whole training takes about {expected_seconds:.0f} s", {"eager": eager})
    start = time.perf_counter()
    try:
        compiled = _milliseconds(model, images, labels, precision, compiled=True)
    except Exception as error:  # whatever the compiler raises, the answer is the same: it does not pay here
        return Choice(False, f"torch.compile failed: {type(error).__name__}", {"eager": eager})
    cost = time.perf_counter() - start
    # Once more after the long compilation: other programs may have come or gone meanwhile.
    eager = min(eager, _milliseconds(model, images, labels, precision))
    saved = (eager - compiled) * total_steps / 1000
    pays = compiled < _WORTHWHILE * eager and saved > cost
    reason = f"compiling took {cost:.0f} s and would save {saved:.0f} s"
    return Choice(pays, reason, {"eager": eager, "compiled": compiled})


def _milliseconds(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor, precision: Precision, compiled: bool = False
) -> float:
    """Fastest of a few forward and backward passes of a copy of `model`."""
    model, device = copy.deepcopy(model), images.device
    forward = torch.compile(model) if compiled else model
    images = images.to(DTYPES[precision])
    times = []
    for step in range(_WARM_STEPS + _TIMED_STEPS):
        synchronise(device)
        start = time.perf_counter()
        with torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32"):
            logits = forward(images)
        torch.autograd.backward(F.cross_entropy(logits.float(), labels))
        synchronise(device)
        if step >= _WARM_STEPS:
            times.append(1000 * (time.perf_counter() - start))
    return min(times)
