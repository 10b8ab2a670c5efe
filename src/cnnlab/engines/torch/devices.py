"""Device, number formats, threads and memory of this machine.

Courses ask for proof that the network is on the GPU, as `nvidia-smi` shows it: `memory_in_use` is read before and after
the network moves there, and the run records both numbers.
"""

import gc
import platform
import sys

import torch

from cnnlab.core.cores import processor_name, usable_cores
from cnnlab.core.errors import CnnlabError
from cnnlab.engines import memory
from cnnlab.runs.environment import Precision

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(requested: str = "auto") -> torch.device:
    """`auto` is CUDA, else MPS, else CPU. Raises CnnlabError where the requested device does not exist."""
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if requested == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if present[name]))
    name, _, index = requested.partition(":")
    if name not in present or (index and not index.isdigit()):
        raise CnnlabError(f"--device: received {requested!r}, expected auto, cpu, cuda, cuda:INDEX or mps")
    if not present[name]:
        available = ", ".join(name for name, is_present in present.items() if is_present)
        raise CnnlabError(f"--device: {requested!r} is not available here; available: {available}; use --device auto")
    if name == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise CnnlabError(
            f"--device: received {requested!r}, but this machine has {torch.cuda.device_count()} CUDA device(s)"
        )
    return torch.device(requested)


def choose_threads(requested: int | None) -> int:
    """Set the threads of the CPU kernels: the requested number, else every core that this process may use."""
    threads = requested or len(usable_cores())
    torch.set_num_threads(threads)
    return threads


def supported_precisions(device: torch.device) -> tuple[Precision, ...]:
    """Number formats that are fast on this device, the preferred one first."""
    if device.type == "cuda":
        return ("bf16", "fp32") if torch.cuda.is_bf16_supported() else ("fp16", "fp32")
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):  # else bf16 is emulated, slower than fp32
        return ("bf16", "fp32")
    return ("fp32",)


def device_name(device: torch.device) -> str:
    """The product name of the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple {platform.machine()} GPU"
    return processor_name()


def memory_in_use(device: torch.device) -> int:
    """Bytes: of the whole device for CUDA (what `nvidia-smi` shows), of this process otherwise."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return int(total - free)
    if device.type == "mps":
        return int(torch.mps.driver_allocated_memory())
    return memory.memory_of_process()


def memory_available(device: torch.device) -> int | None:
    """Free bytes; None where the system does not report them."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return memory.memory_available() if device.type == "cpu" else None


def free_memory(device: str) -> tuple[str, int | None]:
    """See `engines.protocol.EngineModule`."""
    chosen = choose_device(device)
    return str(chosen), memory_available(chosen)


def release() -> None:
    """See `engines.protocol.EngineModule`."""
    gc.collect()
    torch.cuda.empty_cache()
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()  # else it silently stops compiling after a few networks


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its work: only then may a clock be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
