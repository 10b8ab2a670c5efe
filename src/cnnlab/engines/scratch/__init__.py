"""The from-scratch engine, see `engines/protocol.py`: networks of `cnnlab.scratch`, without torch."""

from cnnlab.engines.scratch.prepare import free_memory, network, prepare, release

__all__ = ["free_memory", "network", "prepare", "release"]
