"""The architecture language: layers as values with shapes, parameters and MACs. Imports no framework."""

from cnnlab.arch.architecture import Architecture, parse
from cnnlab.arch.named import NAMED, named, resolve
from cnnlab.arch.trace import Row, Trace

__all__ = ["NAMED", "Architecture", "Row", "Trace", "named", "parse", "resolve"]
