"""The torch engine, see `engines/protocol.py`. Everything of `engines` that imports torch is in this folder."""

from cnnlab.engines.torch.devices import free_memory, release
from cnnlab.engines.torch.network import network
from cnnlab.engines.torch.prepare import prepare

__all__ = ["free_memory", "network", "prepare", "release"]
